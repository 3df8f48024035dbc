import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { configuredMode, longestOutage } from "../../datapath/plan/mode-change.ts";
import type { ModeChange } from "../../datapath/run/run.ts";
import { execInPod } from "../exec-in-pod.ts";
import { parseReplyLog } from "../parsers/ping.ts";
import { labPodLabel } from "./spec.ts";

const intervalMilliseconds = 200;
/** How long replies are waited for after every agent is there. */
const recoveryLimitSeconds = 30;

const script = readFileSync(path.resolve(import.meta.dirname, "..", "..", "scripts", "reply-probe"), "utf8");

interface Prober {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly address: string;
}

/** How a change of mode was seen, or why it was not. */
export type SeenChange = { readonly modeChange: ModeChange } | { readonly modeChangeUnmeasured: string };

/**
 * Has two of the lab's pods on two nodes ping each other from now on, in the background and for a limited time.
 * @returns what was done, or why nothing was
 */
export async function startPinging(config: KubeConfig, limitSeconds: number): Promise<string> {
  const pair = await pods(config);
  if (pair === undefined) return `The outage of this change is not measured: ${noPair}.`;
  const mode = configuredMode(await configuration(config));
  const count = String(Math.ceil((limitSeconds * 1000) / intervalMilliseconds));
  await Promise.all(
    directions(pair).map(([from, to]) =>
      probe(config, from, "start", to.address, String(intervalMilliseconds / 1000), count, mode),
    ),
  );
  const [one, other] = pair;
  return `Pods on ${one.node} and ${other.node} ping each other until the change is over.`;
}

/** Reads what the two pods saw, as soon as they reach each other again, and ends their pinging. */
export async function seenChange(config: KubeConfig, signal: AbortSignal): Promise<SeenChange> {
  const pair = await pods(config);
  if (pair === undefined) return { modeChangeUnmeasured: noPair };
  try {
    const limit = Date.now() + recoveryLimitSeconds * 1000;
    for (;;) {
      const logs = await Promise.all(pair.map((from) => probe(config, from, "read")));
      if (logs.includes("")) return { modeChangeUnmeasured: "no pods were asked to ping each other before the change" };
      const replied = logs.every((text) => longestOutage(split(text).log, intervalMilliseconds).over);
      if (replied || Date.now() > limit) break;
      await delay(500, undefined, { signal });
    }
    const seen = await Promise.all(
      directions(pair).map(async ([from, to]) => {
        const { mode, log } = split(await probe(config, from, "stop"));
        if (log.replies.length === 0) throw new Error(`no reply came from ${to.node} to ${from.node} at any time`);
        const { milliseconds, over } = longestOutage(log, intervalMilliseconds);
        const { replies, sent } = log;
        return {
          mode,
          direction: {
            from: from.node,
            to: to.node,
            sent,
            received: replies.length,
            outageMilliseconds: milliseconds,
            over,
          },
        };
      }),
    );
    const [before] = seen.map(({ mode }) => mode);
    const after = configuredMode(await configuration(config));
    const found = seen.map(({ direction }) => direction);
    const outageMilliseconds = Math.max(...found.map((direction) => direction.outageMilliseconds));
    if (before === undefined || before === after) {
      return { modeChangeUnmeasured: `the mode is still ${after}; pods were cut off for ${outageMilliseconds} ms` };
    }
    return { modeChange: { from: before, to: after, outageMilliseconds, intervalMilliseconds, directions: found } };
  } catch (error) {
    signal.throwIfAborted();
    // No evidence is no reason to fail a change that came about.
    return { modeChangeUnmeasured: error instanceof Error ? error.message : String(error) };
  }
}

const noPair = "no two pods of the lab's workload run on two nodes";

async function pods(config: KubeConfig): Promise<readonly [Prober, Prober] | undefined> {
  const { items } = await config.makeApiClient(CoreV1Api).listPodForAllNamespaces({ labelSelector: labPodLabel });
  const running = items.flatMap(({ metadata, spec, status }): Prober[] => {
    const [namespace, name, node, address] = [metadata?.namespace, metadata?.name, spec?.nodeName, status?.podIP];
    const usable = status?.phase === "Running" && metadata?.deletionTimestamp === undefined;
    if (!usable || spec?.hostNetwork === true || !namespace || !name || !node || !address) return [];
    return [{ namespace, name, node, address }];
  });
  running.sort((one, other) => one.node.localeCompare(other.node) || one.name.localeCompare(other.name));
  const first = running[0];
  const second = running.find(({ node }) => node !== first?.node);
  return first === undefined || second === undefined ? undefined : [first, second];
}

function directions([one, other]: readonly [Prober, Prober]): (readonly [Prober, Prober])[] {
  return [
    [one, other],
    [other, one],
  ];
}

function split(text: string): { mode: string; log: ReturnType<typeof parseReplyLog> } {
  const [mode = "", ...lines] = text.split("\n");
  return { mode, log: parseReplyLog(lines.join("\n")) };
}

function probe(config: KubeConfig, { namespace, name }: Prober, ...given: readonly string[]): Promise<string> {
  const signal = AbortSignal.timeout(20_000);
  return execInPod(config, { namespace, name }, ["sh", "-c", script, "reply-probe", ...given], { signal });
}

async function configuration(config: KubeConfig): Promise<Record<string, string>> {
  const map = { namespace: "kube-system", name: "cilium-config" };
  return (await config.makeApiClient(CoreV1Api).readNamespacedConfigMap(map)).data ?? {};
}
