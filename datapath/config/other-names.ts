/**
 * Names that people bring along from Helm values, Cilium's options or other tools, and how the same thing is said here. Keys
 * that only newer charts have are named as such, since 1.13.4 would ignore them silently.
 */
export const otherNames: ReadonlyMap<string, string> = new Map([
  ["tunnel", "Write datapath.mode: vxlan, geneve, or native for what the chart calls tunnel: disabled."],
  ["routingMode", "Write datapath.mode: native, or vxlan or geneve. routingMode came with Cilium 1.14."],
  ["tunnelProtocol", "Write datapath.mode: vxlan or geneve. tunnelProtocol came with Cilium 1.14."],
  ["autoDirectNodeRoutes", "Write datapath.mode: native with datapath.routes: direct."],
  ["bgpControlPlane", "Write datapath.routes: {kind: bgp, speaker: cilium}."],
  ["bpf", "Write datapath.masquerade.implementation and datapath.hostRouting; other keys go under datapath.values."],
  ["enableIPv4Masquerade", "Write datapath.masquerade.ipv4."],
  ["enableIPv6Masquerade", "Write datapath.masquerade.ipv6."],
  ["enableIPv6BIGTCP", "Write datapath.ipv6.bigTCP."],
  ["enableIPv4BIGTCP", "IPv4 BIG TCP came with Cilium 1.14; for IPv6 write datapath.ipv6.bigTCP."],
  ["installNoConntrackIptablesRules", "Write datapath.conntrackBypass."],
  ["MTU", "Write datapath.mtuBytes."],
  ["mtu", "Write mtuBytes."],
  ["podCIDR", "Write datapath.ipam.clusterPoolIPv4PodCIDR."],
  ["clusterCIDR", "Write datapath.ipam.clusterPoolIPv4PodCIDR."],
  ["nodePort", "Write datapath.kubeProxyReplacement: {mode: partial, nodePort: true}."],
  ["socketLB", "Write datapath.kubeProxyReplacement: {mode: partial, socketLB: true}."],
]);
