import assert from "node:assert/strict";
import { parseLabConfig } from "../../../datapath/config/index.ts";
import type { NodeEvidence, RouteEvidence } from "../../../datapath/proof/evidence.ts";
import { labNodes, type LabNode } from "../../../datapath/plan/nodes.ts";
import { planFor, type NodePlan } from "../../../datapath/plan/plan.ts";
import { judge, verdictOf } from "../../../datapath/proof/verdict.ts";

function planned(datapath: object): {
  plan: NodePlan;
  nodes: readonly LabNode[];
  evidence: NodeEvidence;
  judged: (found: NodeEvidence) => string[];
} {
  const { config } = parseLabConfig({ datapath });
  assert(config.machines.kind === "namespaces");
  const nodes = labNodes(config.machines, config.datapath, "p:s:");
  const plans = planFor(config.datapath, nodes, { carrier: "kernel", underlayMtuBytes: 1500 });
  const [plan] = plans;
  const peers = nodes.slice(1);
  assert(plan !== undefined);
  const routes = peers.flatMap((peer) => {
    const route = plan.routes[peer.podCidr];
    if (route === undefined || route.from === "default") return [];
    const { from, ...words } = route;
    assert.equal(from, "plan");
    return [{ destination: peer.podCidr, ...words }];
  });
  const lookedUp = peers.map((peer) => {
    const { device, via, mtuBytes, tunnelEndpoint } = plan.routes[peer.podCidr] ?? assert.fail();
    const route: RouteEvidence = {
      destination: peer.pod.address,
      device,
      ...(via === undefined ? {} : { via }),
      ...(mtuBytes === undefined ? {} : { mtuBytes }),
      ...(tunnelEndpoint === undefined ? {} : { tunnelEndpoint }),
    };
    return [peer.pod.address, route] as const;
  });
  // What a node shows on which the plan is in effect.
  const evidence: NodeEvidence = {
    node: plan.node,
    failures: [],
    links: [
      { name: "eth0", kind: "veth", up: true, mtuBytes: 1500 },
      ...Object.entries(plan.links).flatMap(([name, link]) =>
        link.state === "up" ? [{ name, kind: link.kind, up: true, mtuBytes: 1500, port: link.port }] : [],
      ),
    ],
    routes: [
      { destination: "default", device: "eth0", via: "172.30.0.1" },
      { destination: "10.42.0.10", device: "lxc_pod" },
      ...routes,
    ],
    routeTo: Object.fromEntries(lookedUp),
    podDefaultRoute: {
      destination: "default",
      device: "eth0",
      ...(plan.podRouteMtuBytes === undefined ? {} : { mtuBytes: plan.podRouteMtuBytes }),
    },
    pathMtu: { "node-2": { largestBytes: plan.pathMtuBytes } },
    wire:
      plan.wire.pods === "encapsulated"
        ? { encapsulated: { [`UDP ${plan.wire.port}`]: 40 }, bare: 0, captured: 40 }
        : { encapsulated: {}, bare: 40, captured: 40 },
    masquerade: { seenFrom: "172.30.0.2" },
  };
  const judged = (found: NodeEvidence): string[] =>
    judge(plan, found, nodes, "10.42.0.0/16", { pathMtu: ["node-2"], masquerade: "node-2" })
      .filter(({ ok }) => ok !== true)
      .map(
        ({ name, expected, found: seen, ok }) => `${name}: ${expected} / ${seen}${ok === null ? " (incomplete)" : ""}`,
      );
  return { plan, nodes, evidence, judged };
}

describe("the judge", () => {
  for (const datapath of [{ mode: "vxlan" }, { mode: "native" }, { mode: "native", routes: "router" }]) {
    it(`confirms ${JSON.stringify(datapath)} where the plan is in effect`, () => {
      const { evidence, judged } = planned(datapath);
      assert.deepEqual(judged(evidence), []);
    });
  }

  const { plan: nativePlan, nodes: nativeNodes, evidence: native, judged: onNative } = planned({ mode: "native" });
  const { evidence: vxlan, judged: onVxlan } = planned({ mode: "vxlan" });
  const { evidence: routed, judged: onRouted, plan: routedPlan } = planned({ mode: "native", routes: "router" });

  /** A node with one more route, for all pods. */
  const withWhole = (evidence: NodeEvidence, via: string): NodeEvidence => ({
    ...evidence,
    routes: [...(evidence.routes ?? []), { destination: "10.42.0.0/16", device: "eth0", via }],
  });

  const withRoute = (evidence: NodeEvidence, route: RouteEvidence): NodeEvidence => ({
    ...evidence,
    routes: [...(evidence.routes ?? []), route],
  });

  it("takes nothing for a leftover in a large pool that is the network's own, or that no packet to a planned pod takes", () => {
    for (const route of [
      { destination: "10.20.0.0/16", device: "eth0", protocol: "kernel" },
      { destination: "10.20.3.0/24", device: "eth0", protocol: "kernel" },
      { destination: "10.20.0.2", device: "eth0", protocol: "dhcp" },
      { destination: "10.42.0.0/16", device: "eth0", via: "172.30.0.1" },
      { destination: "10.0.0.0/8", device: "eth0", via: "172.30.0.1" },
    ]) {
      const checks = judge(nativePlan, withRoute(native, route), nativeNodes, "10.0.0.0/8", { pathMtu: ["node-2"] });
      assert.deepEqual(
        checks.filter(({ ok }) => ok !== true),
        [],
        route.destination,
      );
    }
  });

  it("does not take packets for absent that a capture may have missed", () => {
    const lost = "the capture was full after 20000 packets";
    assert.deepEqual(onNative({ ...native, wire: { encapsulated: {}, bare: 0, captured: 20_000, lost } }), [
      `pod packets on the wire, bare: some / none seen, but ${lost} (incomplete)`,
    ]);
    assert.deepEqual(onNative({ ...native, wire: { encapsulated: {}, bare: 5, captured: 20_000, lost } }), []);
  });

  it("judges routes to nodes as well where no pod of ours stands, and takes them for no leftovers", () => {
    const seen = judge(nativePlan, native, nativeNodes.slice(0, 2), "10.42.0.0/16", { pathMtu: ["node-2"] });
    assert.deepEqual(
      seen.flatMap(({ ok, name }) => (ok === true && name.startsWith("route ") ? [name] : [])),
      ["route to 10.42.1.0/24", "route looked up for node-2's pod", "route to 10.42.2.0/24"],
    );
    assert.equal(seen.find(({ name }) => name === "other routes to pods")?.ok, true);
  });

  it("judges no look-up of routes that failed", () => {
    const { routeTo, ...rest } = native;
    assert.ok(routeTo);
    assert.deepEqual(onNative({ ...rest, failures: ["ip route get: 0 of 2 answers: exit status 1"] }), [
      "route looked up for node-2's pod: via 172.30.0.6 dev eth0 / not read: ip route get: 0 of 2 answers: exit status 1 (incomplete)",
      "route looked up for node-3's pod: via 172.30.0.10 dev eth0 / not read: ip route get: 0 of 2 answers: exit status 1 (incomplete)",
    ]);
  });

  it("takes one route for all pods to the router for what the default route would be", () => {
    const { via = "" } = Object.values(routedPlan.routes)[0] ?? {};
    assert.deepEqual(onRouted(withWhole(routed, via)), []);
  });
  const broken: [string, (found: NodeEvidence) => string[], NodeEvidence, string[]][] = [
    [
      "a tunnel device that should be gone",
      onNative,
      {
        ...native,
        links: [...(native.links ?? []), { name: "cilium_vxlan", kind: "vxlan", up: true, mtuBytes: 1500, port: 8472 }],
      },
      ["link cilium_vxlan: absent / vxlan, UDP 8472, up"],
    ],
    [
      "a tunnel device that is down",
      onVxlan,
      { ...vxlan, links: [{ name: "cilium_vxlan", kind: "vxlan", up: false, mtuBytes: 1500, port: 8472 }] },
      ["link cilium_vxlan: vxlan, UDP 8472, up / vxlan, UDP 8472, down"],
    ],
    [
      "a route gone, and the lookup with it",
      onNative,
      {
        ...native,
        routes: (native.routes ?? []).filter(({ destination }) => destination !== "10.42.1.0/24"),
        routeTo: { "10.42.2.10": native.routeTo?.["10.42.2.10"] ?? assert.fail() },
      },
      [
        "route to 10.42.1.0/24: via 172.30.0.6 dev eth0 / none of its own",
        "route looked up for node-2's pod: via 172.30.0.6 dev eth0 / no route",
      ],
    ],
    [
      "a route into the pool that nobody planned",
      onNative,
      {
        ...native,
        routes: [...(native.routes ?? []), { destination: "10.42.9.0/24", device: "eth0", via: "172.30.0.6" }],
      },
      ["other routes to pods: none / 10.42.9.0/24 via 172.30.0.6 dev eth0"],
    ],
    [
      "a route for all pods that leads past the router",
      onRouted,
      withWhole(routed, "172.30.0.99"),
      ["other routes to pods: none / 10.42.0.0/16 via 172.30.0.99 dev eth0"],
    ],
    [
      "a route that takes some of a peer's pods elsewhere",
      onNative,
      withRoute(native, { destination: "10.42.1.128/25", device: "eth1", protocol: "static" }),
      ["other routes to pods: none / 10.42.1.128/25 dev eth1"],
    ],
    [
      "a second route to the same pods, by another metric",
      onNative,
      withRoute(native, { destination: "10.42.1.0/24", device: "cilium_host", mtuBytes: 1450 }),
      ["route to 10.42.1.0/24: via 172.30.0.6 dev eth0 / via 172.30.0.6 dev eth0, and dev cilium_host mtu 1450"],
    ],
    [
      "another route MTU",
      onVxlan,
      {
        ...vxlan,
        routes: (vxlan.routes ?? []).map((route) =>
          route.mtuBytes === undefined ? route : { ...route, mtuBytes: 1400 },
        ),
      },
      [
        "route to 10.42.1.0/24: via 10.42.1.1 dev cilium_vxlan mtu 1450 to 172.30.0.6 / via 10.42.1.1 dev cilium_vxlan mtu 1400 to 172.30.0.6",
        "route to 10.42.2.0/24: via 10.42.2.1 dev cilium_vxlan mtu 1450 to 172.30.0.10 / via 10.42.2.1 dev cilium_vxlan mtu 1400 to 172.30.0.10",
      ],
    ],
    [
      "a pod with the old MTU",
      onNative,
      { ...native, podDefaultRoute: { destination: "default", device: "eth0", mtuBytes: 1450 } },
      ["MTU on the pod's default route: the device's / 1450"],
    ],
    [
      "a smaller path",
      onNative,
      { ...native, pathMtu: { "node-2": { largestBytes: 1400 } } },
      ["path MTU to node-2's pod: 1500 bytes / 1400 bytes"],
    ],
    [
      "a path that carries nothing",
      onNative,
      { ...native, pathMtu: { "node-2": {} } },
      ["path MTU to node-2's pod: 1500 bytes / no packet passes"],
    ],
    [
      "tunnelled packets in native mode",
      onNative,
      { ...native, wire: { encapsulated: { "UDP 8472": 3 }, bare: 40, captured: 43 } },
      ["pod packets on the wire inside UDP 8472: none / 3 packets"],
    ],
    [
      "bare packets in tunnel mode, and none in the tunnel",
      onVxlan,
      { ...vxlan, wire: { encapsulated: {}, bare: 7, captured: 7 } },
      ["pod packets on the wire inside UDP 8472: some / none", "pod packets on the wire, bare: none / 7 packets"],
    ],
    [
      "an address of neither pod nor node outside",
      onNative,
      { ...native, masquerade: { seenFrom: "172.30.0.77" } },
      [
        "source of the pod's packets at node-2: 172.30.0.2 (masqueraded) / 172.30.0.77 (neither the pod's nor the node's)",
      ],
    ],
    [
      "the pod's own address outside",
      onNative,
      { ...native, masquerade: { seenFrom: "10.42.0.10" } },
      ["source of the pod's packets at node-2: 172.30.0.2 (masqueraded) / 10.42.0.10 (the pod's own)"],
    ],
  ];
  for (const [title, judged, evidence, expected] of broken) {
    it(`contradicts ${title}`, () => {
      assert.deepEqual(judged(evidence), expected);
    });
  }

  it("takes packets to nodes with either source from an agent that exempts nodes at first, and no third one", () => {
    const plan: NodePlan = {
      ...nativePlan,
      masquerade: { podCidr: "10.42.0.0/24", excludedCidr: "10.42.0.0/16", exceptNodes: "at first" },
    };
    const judgedAt = (seenFrom: string): boolean | null | undefined =>
      judge(plan, { ...native, masquerade: { seenFrom } }, nativeNodes, "10.42.0.0/16", {
        pathMtu: ["node-2"],
        masquerade: "node-2",
      }).find(({ name }) => name.startsWith("source of"))?.ok;
    // 10.99.0.11 for 10.42.0.100 is what the real agent showed after its first minutes.
    assert.deepEqual(["10.42.0.10", "172.30.0.2", "172.30.0.77"].map(judgedAt), [true, true, false]);
  });

  it("says what could not be read, in the tool's words, instead of guessing", () => {
    const rest = Object.fromEntries(Object.entries(native).filter(([name]) => name !== "wire"));
    const without = onNative({ ...(rest as Omit<NodeEvidence, "wire">), failures: ["tcpdump ended: no such device"] });
    assert.deepEqual(without, [
      "pod packets on the wire inside a tunnel: none / not read: tcpdump ended: no such device (incomplete)",
      "pod packets on the wire, bare: some / not read: tcpdump ended: no such device (incomplete)",
    ]);
  });

  it("weighs a contradiction over missing evidence, and that over confirmation", () => {
    const check = (ok: boolean | null): Parameters<typeof verdictOf>[0][number] => ({
      node: "n",
      name: "c",
      expected: "",
      found: "",
      ok,
    });
    assert.equal(verdictOf([check(true), check(null), check(false)]), "contradicted");
    assert.equal(verdictOf([check(true), check(null)]), "incomplete");
    assert.equal(verdictOf([check(true)]), "confirmed");
    assert.equal(verdictOf([]), "incomplete");
  });
});
