import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

/** How long a download host may take to answer before it counts as blocked. */
const probeLimitMilliseconds = 5_000;
/** How long a host that did not answer is not asked again. */
const blockedForMilliseconds = 24 * 60 * 60 * 1000;
/** How long one download may take. */
export const downloadLimitMilliseconds = 10 * 60 * 1000;

const installScriptUrl = "https://get.pulumi.com/install.sh";

/** Whether Pulumi's download host answers; that it does not is remembered for a day. */
export async function reachable(cache: string, log: (line: string) => void): Promise<boolean> {
  const stamp = path.join(cache, "downloads-blocked");
  if (existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < blockedForMilliseconds) return false;
  const host = new URL(installScriptUrl).host;
  const problem = await fetch(installScriptUrl, { method: "HEAD", signal: AbortSignal.timeout(probeLimitMilliseconds) })
    .then((response) => (response.ok ? undefined : `HTTP status ${response.status}`))
    .catch((error: unknown) => messageOf(error instanceof Error && error.cause ? error.cause : error));
  if (problem === undefined) {
    rmSync(stamp, { force: true });
    return true;
  }
  log(`Pulumi's CLI and plugins can't be downloaded here (${host}: ${problem}); the folder offline/ provides them.`);
  writeFileSync(stamp, `${problem}\n`);
  return false;
}

export function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
