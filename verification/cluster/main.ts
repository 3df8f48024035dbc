// The program that verifies a cluster: the spec, with the kubeconfig, on standard input, the run as JSON on standard output,
// progress on standard error. Exit status 1 where the evidence contradicts the plan and the spec enforces it.
import { text } from "node:stream/consumers";
import { conclude } from "../conclude.ts";
import { interruption, progressLines } from "../program.ts";
import { clusterSpec } from "./spec.ts";
import { verifyCluster } from "./verify-cluster.ts";

const signal = interruption();
const progress = progressLines();
try {
  const spec = clusterSpec.parse(JSON.parse(await text(process.stdin)));
  const run = await verifyCluster(spec, { signal, progress });
  await conclude(run, spec);
} catch (error) {
  process.stderr.write(`verification failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
