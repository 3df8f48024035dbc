import { ApiException } from "@kubernetes/client-node";
import { errorText } from "./error-text.ts";

/** How long the API server may take for one answer. */
const answerSeconds = 30;

/** What the API answers; rejects where it takes longer than it may. A client of its own has no limit. */
export async function answered<Answer>(question: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${answerSeconds} s`)), answerSeconds * 1000);
  });
  return Promise.race([question, limit]).finally(() => clearTimeout(timer));
}

/** An API error's message has the request's headers in it; its code is enough. */
export function apiFailure(error: unknown): string {
  if (error instanceof ApiException) return `status ${error.code}`;
  return errorText(error);
}

/** What the API has; nothing where there is no such thing. Rejects with any other failure. */
export async function orNothing<Found>(request: Promise<Found>): Promise<Found | undefined> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) return undefined;
    throw error;
  }
}
