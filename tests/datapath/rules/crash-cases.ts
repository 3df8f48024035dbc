import { bpf, bpfIPv4Only, bpfRouting, native, strict, vxlan, type Case } from "./case.ts";

export const crashCases: readonly Case[] = [
  {
    id: "native-needs-its-cidr",
    severity: "error",
    bad: native({ routes: { kind: "router", integration: "gke" } }),
    good: native({ routes: { kind: "router", integration: "eni" } }),
    finds: [
      {
        key: "datapath.ipv4NativeRoutingCIDR",
        message: "The agent ends with: native routing cidr must be configured with option --ipv4-native-routing-cidr",
        wayOut: "Write the network that holds the cloud's pods, or turn masquerade.ipv4 off.",
      },
    ],
  },
  {
    id: "native-needs-its-ipv6-cidr",
    severity: "error",
    bad: native({
      routes: { kind: "router", integration: "azure" },
      ipv4NativeRoutingCIDR: "10.0.0.0/8",
      ipv6: { enabled: true },
    }),
    good: native({
      routes: { kind: "router", integration: "azure" },
      ipv4NativeRoutingCIDR: "10.0.0.0/8",
      ipv6: { enabled: true },
      masquerade: { ipv6: false },
    }),
    finds: [
      {
        key: "datapath.ipv6NativeRoutingCIDR",
        message: "The agent ends with: native routing cidr must be configured with option --ipv6-native-routing-cidr",
        wayOut: "Write the IPv6 network that holds the cloud's pods, or turn masquerade.ipv6 off.",
      },
    ],
  },
  {
    id: "bpf-masquerade-without-ipv6",
    severity: "error",
    bad: native({ ...strict, ...bpf, ipv6: { enabled: true } }),
    good: native({ ...strict, ...bpfIPv4Only, ipv6: { enabled: true } }),
    finds: [
      {
        key: "datapath.masquerade.implementation",
        message: "The agent ends with: BPF masquerade is not supported for IPv6.",
        wayOut: "Turn masquerade.ipv6 off (and give pods routable IPv6 addresses), or write iptables.",
      },
    ],
  },
  {
    id: "node-port-mode-without-tunnel",
    severity: "error",
    bad: vxlan({ ...strict, loadBalancer: { mode: "hybrid" } }),
    good: native({ ...strict, loadBalancer: { mode: "hybrid" } }),
    finds: [
      {
        key: "datapath.loadBalancer.mode",
        message: 'The agent ends with: Node Port "hybrid" mode cannot be used with tunneling.',
        wayOut: "Write snat, or datapath.mode: native.",
      },
    ],
  },
  {
    id: "node-port-without-ipsec",
    severity: "error",
    bad: vxlan({ kubeProxyReplacement: { mode: "partial", nodePort: true }, encryption: "ipsec" }),
    good: vxlan({ kubeProxyReplacement: { mode: "partial", hostPort: true }, encryption: "ipsec" }),
    finds: [
      {
        key: "datapath.encryption",
        message: "The agent ends with: IPSec cannot be used with BPF NodePort",
        wayOut: "Write wireguard, or kubeProxyReplacement: disabled.",
      },
    ],
  },
  {
    id: "conntrack-bypass-without-tunnel",
    severity: "error",
    bad: vxlan({ conntrackBypass: true }),
    good: native({ conntrackBypass: true }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message:
          "The agent ends with: install-no-conntrack-iptables-rules requires the agent to run in direct routing mode.",
        wayOut:
          "Turn it off: what a tunnel carries passes no connection tracking anyway. Or write datapath.mode: native.",
      },
    ],
  },
  {
    id: "conntrack-bypass-needs-ipv4",
    severity: "error",
    bad: native({ conntrackBypass: true, values: { ipv4: { enabled: false } } }),
    good: native({ values: { ipv4: { enabled: false } } }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message: "The agent ends with: install-no-conntrack-iptables-rules requires IPv4 support.",
        wayOut: "Turn it off, or leave ipv4.enabled on.",
      },
    ],
  },
  {
    id: "conntrack-bypass-needs-full-replacement",
    severity: "error",
    bad: native({
      conntrackBypass: true,
      ...bpf,
      kubeProxyReplacement: { mode: "partial", nodePort: true, externalIPs: true, hostPort: true, socketLB: true },
    }),
    good: native({
      conntrackBypass: true,
      ...bpf,
      kubeProxyReplacement: {
        mode: "partial",
        nodePort: true,
        externalIPs: true,
        hostPort: true,
        socketLB: true,
        sessionAffinity: true,
      },
    }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message:
          "The agent ends with: install-no-conntrack-iptables-rules requires the agent to run with kube-proxy-replacement=strict.",
        wayOut: "Write kubeProxyReplacement: strict, or turn the bypass off.",
      },
    ],
  },
  {
    id: "conntrack-bypass-needs-bpf-masquerade",
    severity: "error",
    bad: native({ ...strict, conntrackBypass: true }),
    good: native({ ...strict, conntrackBypass: true, masquerade: { ipv4: false } }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message:
          "The agent ends with: install-no-conntrack-iptables-rules requires the agent to run with enable-bpf-masquerade.",
        wayOut: "Write masquerade.implementation: bpf, or turn masquerading off.",
      },
    ],
  },
  {
    id: "big-tcp-without-tunnel",
    severity: "error",
    bad: vxlan({ ipv6: { enabled: true, bigTCP: true } }),
    good: native({ ipv6: { enabled: true, bigTCP: true } }),
    finds: [
      {
        key: "datapath.ipv6.bigTCP",
        message: "The agent ends with: IPv6 BIG TCP is not supported in tunneling mode",
        wayOut: "Turn ipv6.bigTCP off, or write datapath.mode: native.",
      },
    ],
  },
  {
    id: "big-tcp-without-ipsec",
    severity: "error",
    bad: native({ ipv6: { enabled: true, bigTCP: true }, encryption: "ipsec" }),
    good: native({ ipv6: { enabled: true, bigTCP: true } }),
    finds: [
      {
        key: "datapath.ipv6.bigTCP",
        message: "The agent ends with: IPv6 BIG TCP is not supported with encryption enabled",
        wayOut: "Turn ipv6.bigTCP or encryption off.",
      },
    ],
  },
  {
    id: "big-tcp-needs-bpf-host-routing",
    severity: "error",
    bad: native({ ...bpfRouting, ...bpfIPv4Only, ipv6: { enabled: true, bigTCP: true }, endpointRoutes: true }),
    good: native({ ...bpfRouting, ...bpfIPv4Only, ipv6: { enabled: true, bigTCP: true } }),
    finds: [
      {
        key: "datapath.ipv6.bigTCP",
        message:
          "The agent ends with: IPv6 BIG TCP is not supported with legacy host routing. BPF host routing does not work with endpoint routes.",
        wayOut:
          "Write hostRouting: bpf with kubeProxyReplacement: strict, masquerade: {implementation: bpf, ipv6: false}, no endpoint routes, no encryption; or turn ipv6.bigTCP off.",
      },
    ],
  },
  {
    id: "bbr-needs-bpf-host-routing",
    severity: "error",
    bad: vxlan({ ...strict, ...bpf, bandwidthManager: { enabled: true, bbr: true } }),
    good: vxlan({ ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } }),
    finds: [
      {
        key: "datapath.bandwidthManager.bbr",
        message:
          "The agent ends with: BPF bandwidth manager's BBR setup requires BPF host routing. hostRouting is legacy.",
        wayOut:
          "Write hostRouting: bpf with kubeProxyReplacement: strict, masquerade.implementation: bpf, no endpoint routes, no encryption; or turn bbr off.",
      },
    ],
  },
  {
    id: "wireguard-without-l7-proxy",
    severity: "error",
    bad: vxlan({ encryption: "wireguard" }),
    good: vxlan({ encryption: "wireguard", l7Proxy: false }),
    finds: [
      {
        key: "datapath.l7Proxy",
        message:
          "The agent ends with: Wireguard (--enable-wireguard) is not compatible with L7 proxy (--enable-l7-proxy)",
        wayOut: "Write l7Proxy: false, or encryption: none.",
      },
    ],
  },
  {
    id: "cluster-pool-v2beta-without-tunnel",
    severity: "error",
    bad: vxlan({ ipam: { mode: "cluster-pool-v2beta" } }),
    good: native({ ipam: { mode: "cluster-pool-v2beta" } }),
    finds: [
      {
        key: "datapath.ipam.mode",
        message: "The agent ends with: Cannot specify IPAM mode cluster-pool-v2beta in tunnel mode.",
        wayOut: "Write cluster-pool, or datapath.mode: native.",
      },
    ],
  },
  {
    id: "cluster-pool-v2beta-without-ipsec",
    severity: "error",
    bad: native({ ipam: { mode: "cluster-pool-v2beta" }, encryption: "ipsec" }),
    good: native({ ipam: { mode: "cluster-pool" }, encryption: "ipsec" }),
    finds: [
      {
        key: "datapath.ipam.mode",
        message: "The agent ends with: Cannot specify IPAM mode cluster-pool-v2beta with enable-ipsec.",
        wayOut: "Write cluster-pool, or encryption: none.",
      },
    ],
  },
  {
    id: "bgp-announces-known-ipam",
    severity: "error",
    bad: native({
      ipam: { mode: "cluster-pool-v2beta" },
      values: { bgp: { enabled: true, announce: { podCIDR: true } } },
    }),
    good: native({ ipam: { mode: "kubernetes" }, values: { bgp: { enabled: true, announce: { podCIDR: true } } } }),
    finds: [
      {
        key: "datapath.values",
        message:
          'The agent ends with: BGP announcements for pod CIDRs is not supported with IPAM mode "cluster-pool-v2beta"',
        wayOut: "Write ipam.mode cluster-pool or kubernetes, or leave bgp.announce.podCIDR out.",
      },
    ],
  },
  {
    id: "host-firewall-without-ipsec",
    severity: "error",
    bad: vxlan({ encryption: "ipsec", values: { "hostFirewall.enabled": true } }),
    good: vxlan({ encryption: "ipsec" }),
    finds: [
      {
        key: "datapath.encryption",
        message: "The agent ends with: IPSec cannot be used with the host firewall.",
        wayOut: "Write wireguard or none, or leave hostFirewall.enabled out.",
      },
    ],
  },
  {
    id: "ip-masq-agent-needs-bpf-masquerade",
    severity: "error",
    bad: native({ ...bpf, values: { ipMasqAgent: { enabled: true } } }),
    good: native({ ...strict, ...bpf, values: { ipMasqAgent: { enabled: true } } }),
    finds: [
      {
        key: "datapath.values",
        message:
          'The agent ends with: BPF ip-masq-agent requires --enable-ipv4-masquerade="true" and --enable-bpf-masquerade="true"',
        wayOut:
          "Write masquerade.implementation: bpf with kubeProxyReplacement: strict, or leave ipMasqAgent.enabled out.",
      },
    ],
  },
  {
    id: "maglev-table-size",
    severity: "error",
    bad: native({ ...strict, loadBalancer: { algorithm: "maglev" }, values: { maglev: { tableSize: 1000 } } }),
    good: native({ ...strict, loadBalancer: { algorithm: "maglev" }, values: { maglev: { tableSize: 1021 } } }),
    finds: [
      {
        key: "datapath.values",
        message: "The agent ends with: Invalid value for --bpf-lb-maglev-table-size: 1000",
        wayOut: "Write one of 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071.",
      },
    ],
  },
];
