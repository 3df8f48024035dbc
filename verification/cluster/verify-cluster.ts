import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { ApiException, CoreV1Api, VersionApi, type KubeConfig } from "@kubernetes/client-node";
import { datapathAskedOfCilium } from "../../datapath/cilium/asked-of-cilium.ts";
import { commonCidr, containsCidr } from "../../datapath/cidr.ts";
import { datapath as datapathSchema, type Datapath } from "../../datapath/config/datapath.ts";
import { featuresOf } from "../../datapath/cilium/features.ts";
import { planFor } from "../../datapath/plan/plan.ts";
import type { Run } from "../../datapath/run/run.ts";
import { answered, apiFailure } from "../api-answers.ts";
import { clientConfig } from "../client-config.ts";
import { kubernetesHosts, type NodePods } from "../hosts/kubernetes.ts";
import { errorText } from "../error-text.ts";
import { inParallel } from "../in-parallel.ts";
import { verify, type VerifiedNode } from "../verify.ts";
import { askAgents, hubbleAsked } from "./agents.ts";
import { apiNodes, nodeFacts, type ApiNode, type NodeFacts } from "./discover.ts";
import { createPods, NothingMade, readyPods, removePods, rolesFor, type StandingPod } from "./pods.ts";
import { clusterSpec, type ClusterSpec } from "./spec.ts";
import { labNamespace } from "./workload.ts";

interface Conduct {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

const parallelNodes = 16;
const removalSeconds = 60;
/** Who removes the namespace of a verification outside of stacks, by the label on it. */
const owner = "datapath-lab-verify";

/**
 * Verifies the datapath of a Kubernetes cluster from pods on it, and measures it. With `pods: "own"` it makes these in a namespace
 * of its own, and removes them also where it is interrupted.
 * Rejects where `signal` aborts, where pods don't get ready, and where their removal fails.
 */
export async function verifyCluster(given: ClusterSpec, conduct: Conduct): Promise<Run> {
  // Every running command listens, and there may be many.
  setMaxListeners(0, conduct.signal);
  const spec = clusterSpec.parse(given);
  const config = clientConfig(spec);
  // Nothing is made where the API server does not answer, or tells nothing to judge by.
  await reachApi(config);
  const asked = await read("cilium-config", () => datapathOf(config, spec));
  if (spec.pods === "standing") return verifyWith(config, spec, asked, labNamespace, conduct);

  const namespace = `datapath-lab-verify-${randomBytes(3).toString("hex")}`;
  const { signal, progress } = conduct;
  signal.throwIfAborted();
  await nameLeftovers(config, progress);
  let failure: unknown;
  try {
    progress(`making pods to verify with in namespace ${namespace}`);
    await createPods(config, spec.images, { namespace, owner }).catch((error: unknown) => {
      const refusal = error instanceof NothingMade ? error.cause : error;
      throw new Error(
        `the API server refuses the pods to verify with: ${describeApiError(refusal)}\n` +
          "Use a kubeconfig that may create namespaces and privileged DaemonSets.",
        { cause: error },
      );
    });
    return await verifyWith(config, spec, asked, namespace, conduct);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    if (!(failure instanceof Error && failure.cause instanceof NothingMade)) {
      progress(`removing namespace ${namespace}`);
      await removePods(config, namespace, removalSeconds).catch((error: unknown) => {
        throw failure instanceof Error ? new Error(`${failure.message}\n${errorText(error)}`) : error;
      });
    }
  }
}

/** Says which namespaces other verifications made: of one that was killed, they stay until somebody removes them. */
async function nameLeftovers(config: KubeConfig, progress: (line: string) => void): Promise<void> {
  const labelSelector = `app.kubernetes.io/managed-by=${owner}`;
  const found = await answered(config.makeApiClient(CoreV1Api).listNamespace({ labelSelector })).catch(() => undefined);
  for (const { metadata } of found?.items ?? []) {
    const name = metadata?.name ?? "";
    progress(
      `namespace ${name} is of another verification, which runs or was killed; if none runs: kubectl delete namespace ${name}`,
    );
  }
}

async function verifyWith(
  config: KubeConfig,
  spec: ReturnType<typeof clusterSpec.parse>,
  asked: Datapath,
  namespace: string,
  { signal, progress }: Conduct,
): Promise<Run> {
  const { settings } = spec;
  const roles = rolesFor(settings);
  const { pods, omitted } = await readyPods(
    config,
    { namespace, roles, limitSeconds: spec.podsTimeoutSeconds },
    { signal, progress },
  );
  for (const { name, reason } of omitted) progress(`${name} is left out: ${reason}`);
  const places = nodePods(pods);
  const known = await read("nodes", () => apiNodes(config, new Set(places.keys())));
  const judged = known.filter(({ name }) => places.has(name));
  if (judged.length < 2) throw new Error(`A datapath between nodes needs two of them; pods stand on ${judged.length}.`);
  const hosts = kubernetesHosts(config, [...places.values()], signal);

  const podCidrs = known.map(({ podCidr }) => podCidr);
  progress(`reading NICs and kernels of ${judged.length} nodes`);
  const facts = await inParallel(judged, parallelNodes, (node) =>
    nodeFacts(hosts.node(node.name), node, commonCidr(podCidrs)),
  );
  const nodes = judged.flatMap((node, index): VerifiedNode[] => {
    const own = facts[index];
    const pod = pods.find((candidate) => candidate.node === node.name && candidate.role === "workload");
    const neighbour = pods.find((candidate) => candidate.node === node.name && candidate.role === "neighbour");
    if (own === undefined || pod === undefined) return [];
    return [
      {
        ...node,
        device: own.device,
        kernel: own.kernel,
        pod: { address: pod.address },
        ...(neighbour === undefined ? {} : { secondPod: { address: neighbour.address } }),
      },
    ];
  });
  const factsOf = new Map(judged.map(({ name }, index) => [name, facts[index]]));
  const plan = planFor(asked, plannedNodes(known, factsOf), {
    carrier: "cilium",
    // Paths are as wide as their narrowest end.
    underlayMtuBytes: asked.mtuBytes ?? Math.min(...facts.map(({ mtuBytes }) => mtuBytes)),
  }).filter(({ node }) => places.has(node));
  const features = featuresOf(asked, { runsCilium: true, ...oldestKernel(facts) });
  const [first] = facts;
  const run = await verify(
    {
      lab: { ...spec.lab, kind: "cluster", ...(await clusterOf(config)) },
      datapath: asked,
      pool: poolOf(asked, podCidrs),
      nodes,
      omitted,
      plan,
      features,
      settings,
      versions: await versionsOf(config),
      ...(first === undefined ? {} : { processor: first.processor }),
    },
    hosts,
    { signal, progress, agents: () => askAgents(config, { datapath: asked, nodes, features }, signal) },
  );
  return spec.modeChange === undefined ? run : { ...run, modeChange: spec.modeChange };
}

/** Rejects where the API server does not answer, or does not know who asks. */
async function reachApi(config: KubeConfig): Promise<void> {
  await answered(config.makeApiClient(VersionApi).getCode()).catch((error: unknown) => {
    const why = describeApiError(error).replace(/^request to \S+ failed, reason: /, "");
    throw new Error(
      `The API server ${config.getCurrentCluster()?.server ?? ""} does not answer: ${why}.\n` +
        `It is the one of context ${config.getCurrentContext()}. Check that it is reached from here, or name another context or kubeconfig.`,
    );
  });
}

/** Rejects with what was being read: a client's own error tells a status and headers. */
async function read<Result>(what: string, attempt: () => Promise<Result>): Promise<Result> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof ApiException) throw new Error(`${what} can't be read: ${describeApiError(error)}`);
    throw error;
  }
}

async function datapathOf(config: KubeConfig, { datapath, instead }: ClusterSpec): Promise<Datapath> {
  if (datapath !== undefined) return datapathSchema.parse(datapath);
  const map = await answered(
    config.makeApiClient(CoreV1Api).readNamespacedConfigMap({ namespace: "kube-system", name: "cilium-config" }),
  ).catch((error: unknown) => {
    if (!(error instanceof ApiException && error.code === 404)) throw error;
    throw new Error("The cluster has no ConfigMap kube-system/cilium-config: no Cilium stands there.");
  });
  return datapathAskedOfCilium(map.data ?? {}, await hubbleAsked(config), instead);
}

function nodePods(pods: readonly StandingPod[]): Map<string, NodePods> {
  const on = (node: string, role: StandingPod["role"]): StandingPod | undefined =>
    pods.find((pod) => pod.node === node && pod.role === role);
  return new Map(
    [...new Set(pods.map(({ node }) => node))].flatMap((node): [string, NodePods][] => {
      const [probe, workload, neighbour] = [on(node, "probe"), on(node, "workload"), on(node, "neighbour")];
      // The probe stands also where nodes take no ordinary pods: there is nothing to verify between.
      if (probe === undefined || workload === undefined) return [];
      return [[node, { name: node, probe, workload, ...(neighbour === undefined ? {} : { neighbour }) }]];
    }),
  );
}

/** Of a node that is left out only its address and its pod CIDR are known, which is all that the others' routes need. */
function plannedNodes(
  nodes: readonly ApiNode[],
  factsOf: ReadonlyMap<string, NodeFacts | undefined>,
): Parameters<typeof planFor>[1] {
  return nodes.map((node) => {
    const facts = factsOf.get(node.name);
    return { ...node, gateway: facts?.gateway ?? "", ...(facts === undefined ? {} : { device: facts.device }) };
  });
}

/** The CIDR that holds every pod CIDR: the pool of the config, where the nodes' are of it. */
function poolOf(asked: Datapath, cidrs: readonly string[]): string {
  const pool = asked.ipam.clusterPoolIPv4PodCIDR;
  return cidrs.every((cidr) => containsCidr(pool, cidr)) ? pool : commonCidr(cidrs);
}

function oldestKernel(facts: readonly NodeFacts[]): { readonly kernel?: string } {
  const [oldest] = facts
    .map(({ kernel }) => kernel)
    .sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
  return oldest === undefined ? {} : { kernel: oldest };
}

/** Which cluster it is, where that may be read: namespaces keep their UID as long as the cluster lives. */
async function clusterOf(config: KubeConfig): Promise<Pick<Run["lab"], "cluster">> {
  const namespace = await answered(config.makeApiClient(CoreV1Api).readNamespace({ name: "kube-system" })).catch(
    () => undefined,
  );
  const cluster = namespace?.metadata?.uid;
  return cluster === undefined ? {} : { cluster };
}

async function versionsOf(config: KubeConfig): Promise<Record<string, string>> {
  const [version, agents] = await Promise.all([
    answered(config.makeApiClient(VersionApi).getCode()).catch(() => undefined),
    answered(
      config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: "kube-system", labelSelector: "k8s-app=cilium" }),
    ).catch(() => undefined),
  ]);
  const image = agents?.items[0]?.spec?.containers.find(({ name }) => name === "cilium-agent")?.image;
  return {
    ...(version === undefined ? {} : { kubernetes: version.gitVersion }),
    ...(image === undefined ? {} : { "cilium image": image }),
  };
}

/** The API's own sentence, which stands in the answer's body. */
function describeApiError(error: unknown): string {
  if (!(error instanceof ApiException)) return apiFailure(error);
  const body: unknown = error.body;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const message = /"message":"(?<message>(?:[^"\\]|\\.)*)"/.exec(text)?.groups?.["message"];
  return message === undefined ? apiFailure(error) : `${message.replaceAll('\\"', '"')} (${apiFailure(error)})`;
}
