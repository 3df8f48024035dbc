import { connect } from "node:net";
import { missing, ok, warning, type Depth, type NeedCheck } from "./check.ts";

const limitMilliseconds = 5_000;

/** Whether a TCP port answers within five seconds; the reason where it does not. */
function tcpProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (problem: string | undefined): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(limitMilliseconds, () => end("no answer within 5 s"));
    socket.on("connect", () => end(undefined));
    socket.on("error", (error) => end(error.message));
  });
}

/** Whether a TCP port that a stack can't do without answers. */
export async function tcpCheck(name: string, host: string, port: number, wayOut: string): Promise<NeedCheck> {
  const problem = await tcpProblem(host, port);
  return problem === undefined
    ? ok(name, `${host}:${port} answers`)
    : missing(name, `${host}:${port}: ${problem}`, wayOut);
}

/** Whether a URL answers. What comes from it may be there already, so that it does not is a warning. */
export async function urlCheck(name: string, url: string, wayOut: string, depth: Depth): Promise<NeedCheck[]> {
  if (depth === "errors") return [];
  const problem = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(limitMilliseconds) })
    .then((response) => (response.ok ? undefined : `HTTP status ${response.status}`))
    .catch((error: unknown) => reasonOf(error));
  return [problem === undefined ? ok(name, `${url} answers`) : warning(name, `${url}: ${problem}`, wayOut)];
}

/** `fetch` says what went wrong in the cause of what it throws. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
