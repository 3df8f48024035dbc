// The program that waits for Cilium on a cluster: the spec, with the kubeconfig, on standard input, the result as JSON on
// standard output, progress on standard error. Exit status 1 where a node is missing at the end, with the reason.
import { text } from "node:stream/consumers";
import { interruption, progressLines } from "../program.ts";
import { rollOut } from "./rollout.ts";
import { rolloutSpec } from "./spec.ts";

const signal = interruption();
const progress = progressLines();
const spec = rolloutSpec.parse(JSON.parse(await text(process.stdin)));
try {
  const result = await rollOut(spec, { signal, progress });
  process.stdout.write(JSON.stringify(result));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
