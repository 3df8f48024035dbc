import fc from "fast-check";

const replacement = fc.oneof(
  fc.constantFrom("disabled", "strict", "partial"),
  fc.record(
    {
      mode: fc.constant("partial"),
      nodePort: fc.boolean(),
      externalIPs: fc.boolean(),
      hostPort: fc.boolean(),
      socketLB: fc.boolean(),
      sessionAffinity: fc.boolean(),
    },
    { requiredKeys: ["mode"] },
  ),
  fc.constant({
    mode: "partial",
    nodePort: true,
    externalIPs: true,
    hostPort: true,
    socketLB: true,
    sessionAffinity: true,
  }),
);

const tuning = {
  kubeProxyReplacement: replacement,
  masquerade: fc.record(
    { implementation: fc.constantFrom("iptables", "bpf"), ipv4: fc.boolean(), ipv6: fc.boolean() },
    { requiredKeys: [] },
  ),
  hostRouting: fc.constantFrom("legacy", "bpf"),
  bandwidthManager: fc.record({ enabled: fc.boolean(), bbr: fc.boolean() }, { requiredKeys: [] }),
  ipv6: fc.record({ enabled: fc.boolean(), bigTCP: fc.boolean() }, { requiredKeys: [] }),
  loadBalancer: fc.record(
    {
      mode: fc.constantFrom("snat", "dsr", "hybrid"),
      algorithm: fc.constantFrom("random", "maglev"),
      acceleration: fc.constantFrom("disabled", "native"),
    },
    { requiredKeys: [] },
  ),
  conntrackBypass: fc.boolean(),
  endpointRoutes: fc.boolean(),
  devices: fc.constantFrom([], ["eth0"]),
  ipam: fc.record({ mode: fc.constantFrom("cluster-pool", "cluster-pool-v2beta", "kubernetes") }, { requiredKeys: [] }),
  hubble: fc.record({ enabled: fc.boolean(), relay: fc.boolean(), ui: fc.boolean() }, { requiredKeys: [] }),
  encryption: fc.constantFrom("none", "none", "wireguard", "ipsec"),
  l7Proxy: fc.boolean(),
  values: fc.constantFrom(
    {},
    {},
    { ipv4: { enabled: true } },
    { "cni.chainingMode": "portmap" },
    { remoteNodeIdentity: true },
    { debug: { enabled: true } },
  ),
};

const routes = fc.oneof(
  fc.constantFrom("direct", "router", "bgp"),
  fc.constantFrom("gke", "eni", "azure").map((integration) => ({ kind: "router", integration })),
  fc.constant({ kind: "bgp", speaker: "cilium", peer: { address: "172.30.0.1" } }),
);

/** Datapaths of the right shape, whatever the rules say of them: every mode, every tuning, about half of the keys given. */
export const madeDatapath: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record(
    { mode: fc.constantFrom("vxlan", "geneve"), tunnelPort: fc.integer({ min: 1, max: 65535 }), ...tuning },
    {
      requiredKeys: ["mode"],
    },
  ),
  fc.record(
    {
      mode: fc.constant("native"),
      routes,
      ipv4NativeRoutingCIDR: fc.constantFrom("10.0.0.0/8", "10.42.0.0/16"),
      ipv6NativeRoutingCIDR: fc.constantFrom("fd00::/96"),
      ...tuning,
    },
    { requiredKeys: ["mode"] },
  ),
);

/** The same with most of what the agent ends on left out, so that many get through. */
export const likelyDatapath = madeDatapath.map((datapath) => ({
  ...datapath,
  encryption: "none",
  ipam: {},
  hubble: {},
  loadBalancer: {},
}));
