// The program that waits for Cilium on a cluster: the spec, with the kubeconfig, on standard input, the result as JSON on
// standard output, progress on standard error. Exit status 1 where a node is missing at the end, with the reason.
import { text } from "node:stream/consumers";
import { rollOut } from "./rollout.ts";
import { rolloutSpec } from "./spec.ts";

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interruption.abort(new Error(`interrupted (${signal})`)));
}
process.stderr.on("error", () => interruption.abort(new Error("the engine is gone")));
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid !== parent) interruption.abort(new Error("the engine is gone"));
}, 500);
watch.unref();

const spec = rolloutSpec.parse(JSON.parse(await text(process.stdin)));
const began = Date.now();
try {
  const result = await rollOut(spec, {
    signal: interruption.signal,
    progress: (line) => {
      process.stderr.write(`[${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s] ${line}\n`);
    },
  });
  process.stdout.write(JSON.stringify(result));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
