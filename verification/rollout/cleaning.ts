import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, CustomObjectsApi, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { z } from "zod";
import { orNothing } from "../api-answers.ts";
import type { PodImage } from "../../datapath/cilium/agent-image.ts";

const namespace = "kube-system";
const label = "datapath-lab/clean-node";
const ciliumNodes = { group: "cilium.io", version: "v2", plural: "ciliumnodes" };
const pollMilliseconds = 500;
const shown = 10;

const script = readFileSync(path.resolve(import.meta.dirname, "..", "..", "scripts", "clean-node"), "utf8");

const nodeList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ ipam: z.object({ podCIDRs: z.array(z.string()).default([]) }).prefault({}) }).prefault({}),
    }),
  ),
});

/**
 * Removes from every node that Cilium ran on what it left there: its links, routes, rules, BPF maps and programs, by a pod on each
 * of them in the agent's own image; then its objects of the nodes, so that pod CIDRs are given anew. Those objects are also the mark: where there
 * are none, Cilium never ran, or all is done already. Pods that had their network from it have none after that.
 * @returns names of the nodes
 * @throws Error that names each node that is not clean and why
 */
export async function cleanNodes(
  config: KubeConfig,
  { image, limitSeconds }: { readonly image: PodImage; readonly limitSeconds: number },
): Promise<string[]> {
  const limit = Date.now() + limitSeconds * 1000;
  const core = config.makeApiClient(CoreV1Api);
  const custom = config.makeApiClient(CustomObjectsApi);
  await until(limit, "agents of the Cilium that was uninstalled still end", async () => {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: "k8s-app=cilium" });
    return items.length === 0;
  });
  const known = await ciliumNodesOf(custom);
  if (known.length === 0) return [];
  const ran = new Set(known.map(({ metadata }) => metadata.name));
  const { items } = await core.listNode();
  // A node that Cilium never ran on has nothing of it: Windows, a virtual kubelet.
  const nodes = items.flatMap(({ metadata }) => (ran.has(metadata?.name ?? "") ? (metadata?.name ?? []) : [])).sort();
  const podCidrs = known.flatMap(({ spec }) => spec.ipam.podCIDRs);
  await removePods(core, limit);
  try {
    for (const node of nodes) {
      await core.createNamespacedPod({ namespace, body: cleaningPod(node, podCidrs, image, limitSeconds) });
    }
    await finished(core, nodes, limit);
  } finally {
    await removePods(core, Date.now() + 60_000);
  }
  for (const { metadata } of known) await custom.deleteClusterCustomObject({ ...ciliumNodes, name: metadata.name });
  return nodes;
}

async function ciliumNodesOf(custom: CustomObjectsApi): Promise<z.infer<typeof nodeList>["items"]> {
  const found: unknown = await orNothing(custom.listClusterCustomObject(ciliumNodes));
  return found === undefined ? [] : nodeList.parse(found).items;
}

/** A pod and no DaemonSet: it runs once and never again, also when its node starts anew beside a new agent. */
function cleaningPod(node: string, podCidrs: readonly string[], image: PodImage, limitSeconds: number): V1Pod {
  return {
    metadata: { generateName: "datapath-lab-clean-", labels: { [label]: "" } },
    spec: {
      // Nodes without a network are not Ready, and the scheduler puts nothing on them.
      nodeName: node,
      hostNetwork: true,
      tolerations: [{ operator: "Exists" }],
      priorityClassName: "system-node-critical",
      restartPolicy: "Never",
      activeDeadlineSeconds: limitSeconds,
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      imagePullSecrets: image.imagePullSecrets.map((name) => ({ name })),
      containers: [
        {
          name: "clean",
          image: image.image,
          imagePullPolicy: image.imagePullPolicy,
          command: ["sh", "-c", script, "clean-node", ...podCidrs],
          securityContext: { privileged: true },
          terminationMessagePolicy: "FallbackToLogsOnError",
          // Not /etc/cni/net.d: the cleanup would put back the configuration of a CNI that was there before Cilium.
          volumeMounts: [
            { name: "run", mountPath: "/var/run/cilium" },
            { name: "bpf", mountPath: "/sys/fs/bpf", mountPropagation: "HostToContainer" },
          ],
        },
      ],
      volumes: [
        { name: "run", hostPath: { path: "/var/run/cilium", type: "DirectoryOrCreate" } },
        { name: "bpf", hostPath: { path: "/sys/fs/bpf" } },
      ],
    },
  };
}

async function finished(core: CoreV1Api, nodes: readonly string[], limit: number): Promise<void> {
  for (;;) {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: label });
    const failures = items.flatMap((pod) =>
      pod.status?.phase === "Failed" ? [`${nodeOf(pod)}: ${reasonOf(pod)}`] : [],
    );
    if (failures.length > 0) {
      throw new Error(`Nodes could not be cleaned of the Cilium before:\n  ${failures.sort().join("\n  ")}`);
    }
    const waiting = items.filter(({ status }) => status?.phase !== "Succeeded");
    if (waiting.length === 0 && items.length === nodes.length) return;
    if (Date.now() > limit) {
      const missing = waiting.map((pod) => `${nodeOf(pod)}: ${reasonOf(pod)}`).sort();
      throw new Error(
        `Nodes are not clean of the Cilium before, in the time that there is:\n  ${missing.join("\n  ")}`,
      );
    }
    await delay(pollMilliseconds);
  }
}

function nodeOf(pod: V1Pod): string {
  return pod.spec?.nodeName ?? "";
}

function reasonOf({ status }: V1Pod): string {
  const state = status?.containerStatuses?.[0]?.state;
  const { reason, message } = state?.terminated ?? state?.waiting ?? status ?? {};
  const lines = (message ?? "").trim().split("\n").slice(-shown);
  return [reason ?? status?.phase ?? "no word from its kubelet", ...lines].filter(Boolean).join("\n    ");
}

async function removePods(core: CoreV1Api, limit: number): Promise<void> {
  await core.deleteCollectionNamespacedPod({ namespace, labelSelector: label });
  await until(limit, "pods that cleaned nodes still end", async () => {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: label });
    return items.length === 0;
  });
}

async function until(limit: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    if (Date.now() > limit) throw new Error(`${what}, and the time is over.`);
    await delay(pollMilliseconds);
  }
}
