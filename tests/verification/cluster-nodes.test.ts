import assert from "node:assert/strict";
import type { V1DaemonSet, V1Node, V1Pod } from "@kubernetes/client-node";
import { nodesOf } from "../../verification/cluster/discover.ts";
import { answered } from "../../verification/api-answers.ts";
import { seenPods } from "../../verification/cluster/pods.ts";
import { roleLabel, type PodRole } from "../../verification/cluster/workload.ts";

function node(name: string, more: { ready?: string; os?: string; labels?: object; taint?: string } = {}): V1Node {
  return {
    metadata: { name, labels: { "kubernetes.io/os": more.os ?? "linux", ...more.labels } },
    spec: {
      podCIDR: "10.42.9.0/24",
      ...(more.taint === undefined ? {} : { taints: [{ key: more.taint, effect: "NoSchedule" }] }),
    },
    status: {
      addresses: [{ type: "InternalIP", address: "10.99.0.99" }],
      conditions: [{ type: "Ready", status: more.ready ?? "True" }],
    },
  };
}

function pod(role: PodRole, nodeName: string, ready = true): V1Pod {
  return {
    metadata: { name: `${role}-${nodeName}`, namespace: "lab", labels: { [roleLabel]: role } },
    spec: { nodeName, containers: [] },
    status: { podIP: "10.42.0.10", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  };
}

function daemonSet(role: PodRole, count: number): V1DaemonSet {
  return {
    metadata: { name: role, generation: 1 },
    status: {
      observedGeneration: 1,
      desiredNumberScheduled: count,
      updatedNumberScheduled: count,
      currentNumberScheduled: count,
      numberMisscheduled: 0,
      numberReady: count,
    },
  };
}

const roles: readonly PodRole[] = ["probe", "workload"];

describe("the nodes of a cluster that are verified", () => {
  it("are those that can have our pods; nobody waits for the others, and each is named with its reason", () => {
    const nodes = [
      node("a"),
      node("b"),
      node("dead", { ready: "Unknown" }),
      node("virtual", { labels: { type: "virtual-kubelet" } }),
      node("win", { os: "windows" }),
      node("gpu", { taint: "gpu" }),
    ];
    const pods = [
      ...["a", "b", "gpu"].map((name) => pod("probe", name)),
      ...["dead", "virtual"].map((name) => pod("probe", name, false)),
      ...["a", "b"].map((name) => pod("workload", name)),
    ];
    const sets = [daemonSet("probe", 5), daemonSet("workload", 2)];
    const seen = seenPods({ sets, pods, nodes }, "lab", roles);
    assert.deepEqual(seen.missing, []);
    assert.deepEqual(
      seen.omitted.map(({ name, reason }) => `${name}: ${reason}`),
      [
        "dead: it is not Ready",
        "virtual: it is no machine: virtual-kubelet stands for it",
        "win: it runs windows",
        "gpu: its taints keep pods away: gpu:NoSchedule",
      ],
    );
  });

  it("wait for a pod that starts on a node that is Ready", () => {
    const pods = [pod("probe", "a"), pod("probe", "b"), pod("workload", "a"), pod("workload", "b", false)];
    const sets = [daemonSet("probe", 2), daemonSet("workload", 2)];
    const observed = { sets, pods, nodes: [node("a"), node("b")] };
    assert.deepEqual(seenPods(observed, "lab", roles).missing, ["b: pod workload: starts"]);
    assert.deepEqual(seenPods({ ...observed, pods: pods.slice(0, 3) }, "lab", roles).missing, [
      "DaemonSet workload: 1 of 2 pods are made",
    ]);
  });

  const ciliumNode = (name: string, podCidr: string, address: string) => ({
    metadata: { name },
    spec: { addresses: [{ type: "InternalIP", ip: address }], ipam: { podCIDRs: [podCidr] } },
  });

  it("have routes to all that Cilium has agents on, pods of ours or not", () => {
    const cilium = [ciliumNode("a", "10.42.0.0/24", "10.99.0.11"), ciliumNode("gpu", "10.42.3.0/24", "10.99.0.13")];
    assert.deepEqual(nodesOf([node("gpu"), node("virtual"), node("a")], cilium, new Set(["a"])), [
      { name: "a", address: "10.99.0.11", podCidr: "10.42.0.0/24" },
      { name: "gpu", address: "10.99.0.13", podCidr: "10.42.3.0/24" },
    ]);
    assert.throws(
      () => nodesOf([{ metadata: { name: "a" } }], [], new Set(["a"])),
      /^Error: a has no IPv4 pod CIDR: neither CiliumNode nor Node tell it\./,
    );
    assert.deepEqual(nodesOf([{ metadata: { name: "a" } }], [], new Set()), []);
  });

  it("are asked about with a limit", async () => {
    assert.equal(await answered(Promise.resolve(1)), 1);
    await assert.rejects(answered(Promise.reject(new Error("refused"))), /refused/);
  });
});
