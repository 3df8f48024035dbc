import { setTimeout as delay } from "node:timers/promises";
import { ApiException, AppsV1Api, CoreV1Api, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import type { Images } from "../../datapath/config/images.ts";
import type { PodPlace } from "../hosts/kubernetes.ts";
import { troubleOf } from "../rollout/observe.ts";
import { podRoles, renderWorkload, roleLabel, type PodRole } from "./workload.ts";

const pollMilliseconds = 500;

/** A pod of ours that is ready. */
export interface StandingPod extends PodPlace {
  readonly role: PodRole;
  readonly node: string;
  readonly address: string;
}

/** Makes the namespace and its DaemonSets. Rejects where the API refuses one. */
export async function createPods(
  config: KubeConfig,
  images: Images,
  { namespace, owner }: { namespace: string; owner: string },
): Promise<void> {
  const rendered = renderWorkload(images, { namespace, owner });
  await config.makeApiClient(CoreV1Api).createNamespace({ body: rendered.namespace });
  const apps = config.makeApiClient(AppsV1Api);
  for (const body of rendered.daemonSets) await apps.createNamespacedDaemonSet({ namespace, body });
}

/**
 * Removes a namespace with all that is in it and waits until it is gone, also while the API server is away for a moment.
 * @throws Error that says how to remove it by hand, when the limit is over
 */
export async function removePods(config: KubeConfig, namespace: string, limitSeconds: number): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const limit = Date.now() + limitSeconds * 1000;
  for (let reason = "it is still being deleted"; ;) {
    try {
      await core.deleteNamespace({ name: namespace });
    } catch (error) {
      if (error instanceof ApiException && error.code === 404) return;
      // 409: it is being deleted already.
      if (!(error instanceof ApiException && error.code === 409)) reason = apiFailure(error);
    }
    if (Date.now() > limit) {
      throw new Error(
        `The namespace ${namespace} is not gone after ${limitSeconds} s (${reason}).\n` +
          `It holds nothing but this verification's pods; remove it by: kubectl delete namespace ${namespace}`,
      );
    }
    await delay(pollMilliseconds);
  }
}

/**
 * Waits until every DaemonSet has a ready pod of its newest template on each of its nodes. `progress` gets each new reason why one
 * is missing.
 * @throws Error that names every missing pod and why, when the limit is over
 */
export async function readyPods(
  config: KubeConfig,
  { namespace, roles, limitSeconds }: { namespace: string; roles: readonly PodRole[]; limitSeconds: number },
  { signal, progress }: { signal: AbortSignal; progress: (line: string) => void },
): Promise<StandingPod[]> {
  const limit = Date.now() + limitSeconds * 1000;
  const shown = new Set<string>();
  for (;;) {
    let missing: string[];
    try {
      const seen = await observePods(config, namespace, roles);
      if (seen.missing.length === 0) return seen.pods;
      ({ missing } = seen);
    } catch (error) {
      missing = [`the API server does not answer: ${apiFailure(error)}`];
    }
    if (Date.now() > limit) {
      throw new Error(
        `The pods to verify with are not ready after ${limitSeconds} s:\n  ${missing.join("\n  ")}\n` +
          "Their images are verification.images; where nodes reach no registry, load them from an archive and write the names that they have in it.",
      );
    }
    for (const line of missing.filter((entry) => !shown.has(entry))) progress(line);
    missing.forEach((line) => shown.add(line));
    await delay(pollMilliseconds, undefined, { signal });
  }
}

async function observePods(
  config: KubeConfig,
  namespace: string,
  roles: readonly PodRole[],
): Promise<{ pods: StandingPod[]; missing: string[] }> {
  const [sets, pods] = await Promise.all([
    config.makeApiClient(AppsV1Api).listNamespacedDaemonSet({ namespace }),
    config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace }),
  ]);
  const missing: string[] = [];
  const standing: StandingPod[] = [];
  for (const role of roles) {
    const status = sets.items.find(({ metadata }) => metadata?.name === role);
    if (status === undefined) {
      missing.push(`namespace ${namespace} has no DaemonSet ${role}`);
      continue;
    }
    const own = pods.items.filter(
      ({ metadata }) => metadata?.labels?.[roleLabel] === role && metadata.deletionTimestamp === undefined,
    );
    standing.push(...own.flatMap((pod) => standingPod(pod, role)));
    missing.push(
      ...own
        .filter((pod) => standingPod(pod, role).length === 0)
        .map((pod) => `${nodeOf(pod)}: pod ${role}: ${waitReason(pod)}`),
    );
    const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, observedGeneration } = status.status ?? {};
    const isCurrent =
      observedGeneration === status.metadata?.generation && updatedNumberScheduled === desiredNumberScheduled;
    if (!isCurrent || own.length < desiredNumberScheduled || desiredNumberScheduled === 0) {
      missing.push(`DaemonSet ${role}: ${own.length} of ${desiredNumberScheduled} pods are made`);
    }
  }
  return { pods: standing, missing };
}

function standingPod({ metadata, spec, status }: V1Pod, role: PodRole): StandingPod[] {
  const ready = (status?.conditions ?? []).some(
    (condition) => condition.type === "Ready" && condition.status === "True",
  );
  const { name, namespace } = metadata ?? {};
  const node = spec?.nodeName;
  const address = status?.podIP;
  return ready && name !== undefined && namespace !== undefined && node !== undefined && address !== undefined
    ? [{ role, node, address, name, namespace, container: role }]
    : [];
}

function nodeOf({ spec, metadata }: V1Pod): string {
  return spec?.nodeName ?? metadata?.name ?? "a node";
}

function waitReason(pod: V1Pod): string {
  const trouble = troubleOf(pod);
  if (trouble === undefined) return "starts";
  return trouble.message === undefined ? trouble.reason : `${trouble.reason}: ${trouble.message}`;
}

/** The roles that a verification needs. */
export function rolesFor({ sameNode }: { readonly sameNode: boolean }): readonly PodRole[] {
  return podRoles.filter((role) => role !== "neighbour" || sameNode);
}

/** An API error's message has the request's headers in it; its code is enough. */
export function apiFailure(error: unknown): string {
  if (error instanceof ApiException) return `status ${error.code}`;
  return error instanceof Error ? error.message : String(error);
}
