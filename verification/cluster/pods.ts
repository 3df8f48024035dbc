import { setTimeout as delay } from "node:timers/promises";
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  type KubeConfig,
  type V1DaemonSet,
  type V1Node,
  type V1Pod,
} from "@kubernetes/client-node";
import { answered, apiFailure } from "../api-answers.ts";
import type { Images } from "../../datapath/config/images.ts";
import type { PodPlace } from "../hosts/kubernetes.ts";
import { troubleOf } from "../rollout/observe.ts";
import { podRoles, renderWorkload, roleLabel, type PodRole } from "./workload.ts";

const pollMilliseconds = 500;

/** A node that is left out of a verification, and why. */
export interface OmittedNode {
  readonly name: string;
  readonly reason: string;
}

/** Why no pod can be waited for on a node; nothing where one can. */
export function obstacleOn({ metadata, status }: V1Node): string | undefined {
  const labels = metadata?.labels ?? {};
  const system = labels["kubernetes.io/os"] ?? status?.nodeInfo?.operatingSystem ?? "linux";
  if (system !== "linux") return `it runs ${system}`;
  // The label that virtual-kubelet gives the nodes behind which there is no machine.
  if (labels["type"] === "virtual-kubelet") return "it is no machine: virtual-kubelet stands for it";
  const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
  return ready?.status === "True" ? undefined : "it is not Ready";
}

/** A pod of ours that is ready. */
export interface StandingPod extends PodPlace {
  readonly role: PodRole;
  readonly node: string;
  readonly address: string;
}

/** The API server refused the namespace, so that there is nothing to remove. */
export class NothingMade extends Error {
  constructor(refusal: ApiException<unknown>) {
    super("the namespace was refused", { cause: refusal });
  }
}

/**
 * Makes the namespace and its DaemonSets.
 * @throws NothingMade where the API refuses the namespace, ApiException where it refuses a DaemonSet
 */
export async function createPods(
  config: KubeConfig,
  images: Images,
  { namespace, owner }: { namespace: string; owner: string },
): Promise<void> {
  const rendered = renderWorkload(images, { namespace, owner });
  await answered(config.makeApiClient(CoreV1Api).createNamespace({ body: rendered.namespace })).catch(
    (error: unknown) => {
      // Only an answer says that nothing was made: a lost one leaves it open.
      throw error instanceof ApiException ? new NothingMade(error) : error;
    },
  );
  const apps = config.makeApiClient(AppsV1Api);
  for (const body of rendered.daemonSets) await answered(apps.createNamespacedDaemonSet({ namespace, body }));
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
      await answered(core.deleteNamespace({ name: namespace }));
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
 * Waits until every DaemonSet has a ready pod of its newest template on each of its nodes that can have one. `progress` gets each new
 * reason why one is missing.
 * @returns the pods, and all nodes of the cluster that don't have one in each role, with the reason
 * @throws Error that names every missing pod and why, when the limit is over
 */
export async function readyPods(
  config: KubeConfig,
  { namespace, roles, limitSeconds }: { namespace: string; roles: readonly PodRole[]; limitSeconds: number },
  { signal, progress }: { signal: AbortSignal; progress: (line: string) => void },
): Promise<{ readonly pods: StandingPod[]; readonly omitted: OmittedNode[] }> {
  const limit = Date.now() + limitSeconds * 1000;
  const shown = new Set<string>();
  for (;;) {
    let missing: string[];
    try {
      const seen = seenPods(await observePods(config, namespace), namespace, roles);
      if (seen.missing.length === 0) return seen;
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

/** What the API has of a namespace, and every node. */
export interface Observed {
  readonly sets: readonly V1DaemonSet[];
  readonly pods: readonly V1Pod[];
  readonly nodes: readonly V1Node[];
}

async function observePods(config: KubeConfig, namespace: string): Promise<Observed> {
  const core = config.makeApiClient(CoreV1Api);
  const [sets, pods, nodes] = await answered(
    Promise.all([
      config.makeApiClient(AppsV1Api).listNamespacedDaemonSet({ namespace }),
      core.listNamespacedPod({ namespace }),
      core.listNode(),
    ]),
  );
  return { sets: sets.items, pods: pods.items, nodes: nodes.items };
}

/** Which pods of ours are ready, what is missing on nodes that can have one, and which nodes have none and why. */
export function seenPods(
  { sets, pods, nodes }: Observed,
  namespace: string,
  roles: readonly PodRole[],
): { readonly pods: StandingPod[]; readonly missing: string[]; readonly omitted: OmittedNode[] } {
  const obstacles = new Map(
    nodes.flatMap((node): [string, string][] => {
      const obstacle = obstacleOn(node);
      return obstacle === undefined ? [] : [[node.metadata?.name ?? "", obstacle]];
    }),
  );
  const isAwaited = ({ spec }: V1Pod): boolean => !obstacles.has(spec?.nodeName ?? "");
  const missing: string[] = [];
  const standing: StandingPod[] = [];
  for (const role of roles) {
    const status = sets.find(({ metadata }) => metadata?.name === role);
    if (status === undefined) {
      missing.push(`namespace ${namespace} has no DaemonSet ${role}`);
      continue;
    }
    const all = pods.filter(({ metadata }) => metadata?.labels?.[roleLabel] === role);
    const own = all.filter((pod) => pod.metadata?.deletionTimestamp === undefined && isAwaited(pod));
    const unawaited = all.filter((pod) => !isAwaited(pod)).length;
    standing.push(...own.flatMap((pod) => standingPod(pod, role)));
    missing.push(
      ...own
        .filter((pod) => standingPod(pod, role).length === 0)
        .map((pod) => `${nodeOf(pod)}: pod ${role}: ${waitReason(pod)}`),
    );
    const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, observedGeneration } = status.status ?? {};
    const awaited = desiredNumberScheduled - unawaited;
    const isCurrent = observedGeneration === status.metadata?.generation && updatedNumberScheduled >= awaited;
    if (!isCurrent || own.length < awaited || desiredNumberScheduled === 0) {
      missing.push(`DaemonSet ${role}: ${own.length} of ${awaited} pods are made`);
    }
  }
  const omitted = nodes.flatMap((node): OmittedNode[] => {
    const name = node.metadata?.name ?? "";
    if (roles.every((role) => standing.some((pod) => pod.node === name && pod.role === role))) return [];
    const taints = (node.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).join(", ");
    const reason =
      obstacles.get(name) ?? (taints === "" ? "no pods of ours stand there" : `its taints keep pods away: ${taints}`);
    return [{ name, reason }];
  });
  return { pods: standing, missing, omitted };
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
