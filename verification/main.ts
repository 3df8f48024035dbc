// The program that the verification command resource runs: the spec on standard input, the run as JSON on standard output,
// progress on standard error. Exit status 1 where the evidence contradicts the plan and the spec enforces it.
import { text } from "node:stream/consumers";
import { contradiction } from "./conclude.ts";
import { namespaceHosts } from "./hosts/namespaces.ts";
import { keepRun } from "./keep-run.ts";
import { interruption, progressLines } from "./program.ts";
import { verificationSpec } from "./spec.ts";
import { verify } from "./verify.ts";

const signal = interruption();
// What doesn't end by itself then has no more to say.
signal.addEventListener("abort", () => setTimeout(() => process.exit(130), 2000).unref());
const progress = progressLines();
const spec = verificationSpec.parse(JSON.parse(await text(process.stdin)));

try {
  const run = await verify(spec, namespaceHosts(spec.nodes, signal), { signal, progress });
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
