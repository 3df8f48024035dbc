// The program that reads which pod CIDR each node of a cluster got: the spec, with the kubeconfig, on standard input, pod CIDRs by
// node as JSON on standard output, progress on standard error. Exit status 1 where a node has none at the end, with the reason.
import { setTimeout as delay } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { apiNodes } from "../cluster/discover.ts";
import { clientConfig } from "../client-config.ts";
import { interruption, progressLines } from "../program.ts";
import { podCidrsSpec, type PodCidrs, type PodCidrsSpec } from "./spec.ts";

const pollMilliseconds = 500;

async function readPodCidrs(
  spec: PodCidrsSpec,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (line: string) => void },
): Promise<PodCidrs> {
  const config = clientConfig(spec);
  const names = new Set(spec.nodes);
  const limit = Date.now() + spec.limitSeconds * 1000;
  let last = "";
  for (;;) {
    let missing: string;
    try {
      const found = await apiNodes(config, names);
      const unknown = spec.nodes.filter((name) => !found.some((node) => node.name === name));
      if (unknown.length === 0) return Object.fromEntries(found.map(({ name, podCidr }) => [name, podCidr]));
      missing = `the cluster has no node ${unknown.join(", ")}`;
    } catch (error) {
      missing = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > limit) throw new Error(`Not every node has a pod CIDR after ${spec.limitSeconds} s: ${missing}`);
    if (missing !== last) progress(missing);
    last = missing;
    await delay(pollMilliseconds, undefined, { signal });
  }
}

const signal = interruption();
const progress = progressLines();
const spec = podCidrsSpec.parse(JSON.parse(await text(process.stdin)));
try {
  process.stdout.write(JSON.stringify(await readPodCidrs(spec, { signal, progress })));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
