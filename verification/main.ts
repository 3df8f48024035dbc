// The program that the verification command resource runs: the spec on standard input, the run as JSON on standard output,
// progress on standard error. Exit status 1 where the evidence contradicts the plan and the spec enforces it.
import { text } from "node:stream/consumers";
import { conclude } from "./conclude.ts";
import { namespaceHosts } from "./hosts/namespaces.ts";
import { interruption, progressLines } from "./program.ts";
import { verificationSpec } from "./spec.ts";
import { verify } from "./verify.ts";

const signal = interruption();
// What doesn't end by itself then has no more to say.
signal.addEventListener("abort", () => setTimeout(() => process.exit(130), 2000).unref());
const progress = progressLines();
const spec = verificationSpec.parse(JSON.parse(await text(process.stdin)));

try {
  // As scripts/namespaces/node-up names it.
  const nodes = spec.nodes.map((node) => ({ ...node, device: "eth0" }));
  const run = await verify({ ...spec, nodes }, namespaceHosts(spec.nodes, signal), { signal, progress });
  await conclude(run, spec);
} catch (error) {
  process.stderr.write(`verification failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
