// The program that the verification command resource runs: the spec on standard input, the run as JSON on standard output,
// progress on standard error. Exit status 1 where the evidence contradicts the plan and the spec enforces it.
import { setMaxListeners } from "node:events";
import { text } from "node:stream/consumers";
import type { Run } from "../datapath/run.ts";
import { namespaceHosts } from "./hosts/namespaces.ts";
import { keepRun } from "./keep-run.ts";
import { verificationSpec } from "./spec.ts";
import { verify } from "./verify.ts";

const interruption = new AbortController();
// Every running command listens, and there may be many.
setMaxListeners(0, interruption.signal);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interruption.abort(new Error(`interrupted (${signal})`)));
}
// A killed engine signals nobody: that our parent changed, or that nobody reads us any more, is all there is to see.
process.stderr.on("error", () => interruption.abort(new Error("the engine is gone")));
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid !== parent) interruption.abort(new Error("the engine is gone"));
}, 500);
watch.unref();
interruption.signal.addEventListener("abort", () => setTimeout(() => process.exit(130), 2000).unref());

const spec = verificationSpec.parse(JSON.parse(await text(process.stdin)));
const began = Date.now();
const progress = (line: string): void => {
  process.stderr.write(`[${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s] ${line}\n`);
};

try {
  const run = await verify(spec, namespaceHosts(spec.nodes, interruption.signal), {
    signal: interruption.signal,
    progress,
  });
  const file = await keepRun(run, spec.runsFolder);
  if (run.verdict === "contradicted" && spec.settings.enforce) {
    process.stderr.write(`${contradiction(run)}\nThe run is kept in ${file}.\n`);
    process.exitCode = 1;
  } else {
    process.stdout.write(JSON.stringify(run));
  }
} catch (error) {
  process.stderr.write(`verification failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function contradiction({ checks }: Run): string {
  const wrong = checks.filter(({ ok }) => ok === false);
  return [
    `CONTRADICTED: ${wrong.length} of ${checks.length} checks speak against the datapath that was asked for.`,
    ...wrong.map(
      ({ node, name, expected, found }) => `  ${node}: ${name}\n    expected: ${expected}\n    found:    ${found}`,
    ),
  ].join("\n");
}
