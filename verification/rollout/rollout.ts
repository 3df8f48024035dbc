import { setTimeout as delay } from "node:timers/promises";
import { ApiException, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { outdatedAgents, rolloutState, stalePods, type RolloutObservation } from "../../datapath/cilium/rollout.ts";
import { clientConfig } from "../client-config.ts";
import { answered, apiFailure } from "../api-answers.ts";
import { endKubeRouter, removeLeftRoutes } from "./left-routes.ts";
import { networkedPods, observe } from "./observe.ts";
import { seenChange, type SeenChange } from "./replies.ts";
import { stillCutOff } from "../../datapath/run/run.ts";
import type { RolloutResult, RolloutSpec } from "./spec.ts";

const pollMilliseconds = 500;

/**
 * Waits until every agent runs with the current configuration, then has pods made anew that are older than it. `progress` gets
 * each new reason why a node is missing.
 * @throws Error that names every missing node and why, when the limit is over or waiting can't help
 */
export async function rollOut(
  spec: RolloutSpec,
  { signal, progress }: { signal: AbortSignal; progress: (line: string) => void },
): Promise<RolloutResult> {
  const began = Date.now();
  const config = clientConfig(spec);
  const limit = began + spec.limitSeconds * 1000;
  const seen = await untilRolledOut(config, spec, limit, { signal, progress });
  for (const line of await removeLeftRoutes(config, spec.leftRoutes)) progress(line);
  const change = await changeSeen(config, spec, { signal, progress });
  const { restarted, left } = await renewPods(config, spec, seen.configuredAt ?? 0, progress);
  return {
    agents: seen.pods
      .filter(({ deleting }) => !deleting)
      .map(({ node, name }) => ({ node, pod: name }))
      .sort((one, other) => one.node.localeCompare(other.node)),
    restarted,
    left,
    ...change,
    seconds: Math.round((Date.now() - began) / 100) / 10,
  };
}

async function changeSeen(
  config: KubeConfig,
  spec: RolloutSpec,
  { signal, progress }: { signal: AbortSignal; progress: (line: string) => void },
): Promise<SeenChange> {
  if (spec.replaced) return { modeChangeUnmeasured: "the release was replaced, which cuts off every pod for good" };
  const change = await seenChange(config, signal);
  if ("modeChange" in change) {
    const { from, to, outageMilliseconds } = change.modeChange;
    const more = stillCutOff(change.modeChange);
    progress(`pods could not reach each other for ${outageMilliseconds} ms while ${from} became ${to}${more}`);
  } else {
    progress(`no outage is told: ${change.modeChangeUnmeasured}`);
  }
  return change;
}

async function untilRolledOut(
  config: KubeConfig,
  spec: RolloutSpec,
  limit: number,
  { signal, progress }: { signal: AbortSignal; progress: (line: string) => void },
): Promise<RolloutObservation> {
  const shown = new Set<string>();
  for (;;) {
    let missing: readonly string[];
    let hopeless = false;
    try {
      const routers = spec.leftRoutes.includes("kube-router") ? await answered(endKubeRouter(config)) : [];
      const seen = await answered(observe(config, spec.definitions));
      const state = rolloutState(seen);
      if (state.done && routers.length === 0) return seen;
      ({ hopeless } = state);
      const outdated = spec.restartAgents === undefined ? [] : outdatedAgents(seen, spec.restartAgents);
      for (const agent of outdated) {
        progress(`${agent.node}: its agent began before its configuration was written, and is restarted`);
        await deletePod(config.makeApiClient(CoreV1Api), { ...agent, namespace: "kube-system" });
      }
      missing = [...state.missing, ...routers.map((name) => `${name} of the datapath before still ends`)];
    } catch (error) {
      // The API may be away for a while, for one when its own node's agent restarts.
      missing = [`the API server does not answer: ${apiFailure(error)}`];
    }
    const text = missing.join("\n  ");
    if (hopeless) throw new Error(`Cilium can't start with this configuration:\n  ${text}`);
    if (Date.now() > limit) {
      throw new Error(`Cilium is not in effect on every node after ${spec.limitSeconds} s:\n  ${text}`);
    }
    // Nodes take turns at crashing and restarting: nothing is told twice.
    for (const line of missing.filter((entry) => !shown.has(untimed(entry)))) progress(line);
    missing.forEach((line) => shown.add(untimed(line)));
    await delay(pollMilliseconds, undefined, { signal });
  }
}

/** Another end of the same kind is no news. */
function untimed(line: string): string {
  return line.replace(/the agent ended \d+ times with/, "the agent ended with");
}

async function renewPods(
  config: KubeConfig,
  spec: RolloutSpec,
  configuredAt: number,
  progress: (line: string) => void,
): Promise<{ restarted: string[]; left: string[] }> {
  const core = config.makeApiClient(CoreV1Api);
  const { restart, leave } = stalePods(await networkedPods(config), configuredAt, spec.restartPods);
  const title = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;
  for (const pod of restart) {
    progress(`${title(pod)} is older than the datapath and is recreated`);
    await deletePod(core, pod);
  }
  for (const pod of leave) {
    progress(`${title(pod)} keeps the network it was made with, the MTU of its routes among it, until it is recreated`);
  }
  return { restarted: restart.map(title).sort(), left: leave.map(title).sort() };
}

async function deletePod(
  core: CoreV1Api,
  { namespace, name, uid }: { readonly namespace: string; readonly name: string; readonly uid: string },
): Promise<void> {
  try {
    await core.deleteNamespacedPod({ namespace, name, body: { preconditions: { uid } } });
  } catch (error) {
    // Gone, or another pod of that name by now.
    if (!(error instanceof ApiException && (error.code === 404 || error.code === 409))) throw error;
  }
}
