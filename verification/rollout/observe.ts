import {
  ApiextensionsV1Api,
  AppsV1Api,
  CoreV1Api,
  type KubeConfig,
  type V1ContainerStatus,
  type V1Pod,
} from "@kubernetes/client-node";
import {
  networkedAt,
  type AgentPod,
  type ContainerTrouble,
  type NetworkedPod,
  type PodBeginnings,
  type RolloutObservation,
} from "../../datapath/cilium/rollout.ts";
import { orNothing } from "../api-answers.ts";
import { dataWrittenAt } from "../configured-at.ts";
import { labPodLabel } from "./spec.ts";

const namespace = "kube-system";

/** Reads what a roll-out is judged by. Rejects where the API server does not answer. */
export async function observe(config: KubeConfig, definitions: readonly string[]): Promise<RolloutObservation> {
  const core = config.makeApiClient(CoreV1Api);
  const apps = config.makeApiClient(AppsV1Api);
  const [daemonSet, map, nodes, pods, operators, revisions, missingDefinitions] = await Promise.all([
    orNothing(apps.readNamespacedDaemonSet({ namespace, name: "cilium" })),
    orNothing(core.readNamespacedConfigMap({ namespace, name: "cilium-config" })),
    core.listNode(),
    core.listNamespacedPod({ namespace, labelSelector: "k8s-app=cilium" }),
    core.listNamespacedPod({ namespace, labelSelector: "name=cilium-operator" }),
    apps.listNamespacedControllerRevision({ namespace, labelSelector: "k8s-app=cilium" }),
    missing(config, definitions),
  ]);
  const own = revisions.items.filter(({ metadata }) =>
    (metadata?.ownerReferences ?? []).some(({ uid }) => uid === daemonSet?.metadata?.uid),
  );
  const revision = own.sort((one, other) => other.revision - one.revision)[0]?.metadata?.labels?.[revisionLabel];
  const agents = await Promise.all(pods.items.map((pod) => agentPod(core, pod)));
  const configuredAt = dataWrittenAt(map?.metadata);
  return {
    ...(daemonSet === undefined
      ? {}
      : {
          daemonSet: {
            generation: daemonSet.metadata?.generation ?? 0,
            observedGeneration: daemonSet.status?.observedGeneration ?? 0,
            desired: daemonSet.status?.desiredNumberScheduled ?? 0,
            updated: daemonSet.status?.updatedNumberScheduled ?? 0,
            ...(revision === undefined ? {} : { revision }),
          },
        }),
    ...(configuredAt === undefined ? {} : { configuredAt }),
    pods: agents,
    nodes: nodes.items.map(({ metadata, status }) => {
      const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
      const why = ready?.message;
      return {
        name: metadata?.name ?? "",
        ready: ready?.status === "True",
        ...(why === undefined ? {} : { why }),
      };
    }),
    operatorTroubles: operators.items.flatMap((pod) => troubleOf(pod) ?? []),
    missingDefinitions,
  };
}

const revisionLabel = "controller-revision-hash";

async function agentPod(core: CoreV1Api, pod: V1Pod): Promise<AgentPod> {
  const name = pod.metadata?.name ?? "";
  const agent = (pod.status?.containerStatuses ?? []).find((status) => status.name === "cilium-agent");
  // An init container that fails keeps the agent from ever beginning: the last words are its own.
  const failing = (pod.status?.initContainerStatuses ?? []).find(
    ({ state, lastState }) => (state?.terminated ?? lastState?.terminated ?? { exitCode: 0 }).exitCode !== 0,
  );
  const ready = (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
  const last = failing ?? agent;
  const ended = last?.state?.terminated ?? last?.lastState?.terminated;
  const revision = pod.metadata?.labels?.[revisionLabel];
  const trouble = troubleOf(pod);
  return {
    name,
    uid: pod.metadata?.uid ?? "",
    node: pod.spec?.nodeName ?? "",
    createdAt: pod.metadata?.creationTimestamp?.getTime() ?? 0,
    ...(revision === undefined ? {} : { revision }),
    deleting: pod.metadata?.deletionTimestamp !== undefined,
    ready,
    restarts: agent?.restartCount ?? 0,
    ...(trouble === undefined ? {} : { trouble }),
    lastLines: ready || last === undefined || ended === undefined ? [] : await lastLines(core, name, last),
  };
}

/** Its reasons stand before an agent's fatal line, and among them may be what a program prints that was called wrongly. */
const tailLines = 60;

/** The end of the log of a container that ended, or of the run before where it runs again. */
async function lastLines(core: CoreV1Api, name: string, container: V1ContainerStatus): Promise<string[]> {
  try {
    const log = await core.readNamespacedPodLog({
      namespace,
      name,
      container: container.name,
      previous: container.state?.terminated === undefined,
      tailLines,
    });
    return log.trimEnd().split("\n");
  } catch {
    // The runtime may have removed it already; the pod's own state is still told.
    return [];
  }
}

/** Why a pod does not run, in Kubernetes's words; nothing where it just has not begun. */
export function troubleOf({ status }: V1Pod): ContainerTrouble | undefined {
  for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const waiting = state?.waiting;
    if (
      waiting?.reason !== undefined &&
      waiting.reason !== "PodInitializing" &&
      waiting.reason !== "ContainerCreating"
    ) {
      // What Kubernetes says of a crash loop has only the pod's name in it; the agent's own lines say more.
      const message = waiting.reason === "CrashLoopBackOff" ? undefined : waiting.message;
      return { container: name, reason: waiting.reason, ...(message === undefined ? {} : { message }) };
    }
    if (state?.terminated !== undefined && state.terminated.exitCode !== 0) {
      return { container: name, reason: `ended with status ${state.terminated.exitCode}` };
    }
  }
  const unscheduled = (status?.conditions ?? []).find(
    ({ type, status: met }) => type === "PodScheduled" && met === "False",
  );
  return unscheduled?.message === undefined
    ? undefined
    : { container: "pod", reason: "not scheduled", message: unscheduled.message };
}

/** All pods, as far as their network is concerned. */
export async function networkedPods(config: KubeConfig): Promise<(NetworkedPod & { readonly uid: string })[]> {
  const { items } = await config.makeApiClient(CoreV1Api).listPodForAllNamespaces();
  return items.map((pod) => {
    const { metadata, spec, status } = pod;
    const since = networkedAt(beginningsOf(pod));
    return {
      namespace: metadata?.namespace ?? "",
      name: metadata?.name ?? "",
      uid: metadata?.uid ?? "",
      ...(since === undefined ? {} : { networkedAt: since }),
      hostNetwork: spec?.hostNetwork === true,
      finished:
        status?.phase === "Succeeded" || status?.phase === "Failed" || metadata?.deletionTimestamp !== undefined,
      controlled: (metadata?.ownerReferences ?? []).some(({ controller }) => controller === true),
      lab: metadata?.labels?.[labPodLabel] !== undefined,
    };
  });
}

function beginningsOf({ metadata, status }: V1Pod): PodBeginnings {
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return {
    createdAt: metadata?.creationTimestamp?.getTime() ?? 0,
    hasAddress: status?.podIP !== undefined,
    containers: containers.map(({ restartCount, state, lastState }) => {
      const started = [state?.running, state?.terminated, lastState?.terminated].flatMap((run) => run?.startedAt ?? []);
      const times = started.map((time) => time.getTime());
      return { restarts: restartCount, ...(times.length === 0 ? {} : { startedAt: Math.min(...times) }) };
    }),
  };
}

async function missing(config: KubeConfig, definitions: readonly string[]): Promise<string[]> {
  if (definitions.length === 0) return [];
  const { items } = await config.makeApiClient(ApiextensionsV1Api).listCustomResourceDefinition();
  const established = new Set(
    items
      .filter(({ status }) =>
        (status?.conditions ?? []).some((condition) => condition.type === "Established" && condition.status === "True"),
      )
      .map(({ metadata }) => metadata?.name),
  );
  return definitions.filter((name) => !established.has(name));
}
