import { bpf, bpfIPv4Only, bpfRouting, native, strict, vxlan, type Case } from "./case.ts";

const routingWayOut =
  "Write kubeProxyReplacement: strict and masquerade.implementation: bpf, without endpoint routes and encryption; or hostRouting: legacy.";
const masqueradeWayOut =
  "Write kubeProxyReplacement: strict, and leave remoteNodeIdentity and egressMasqueradeInterfaces as the chart has them; or write masquerade.implementation: iptables.";

function routing(bad: unknown, good: unknown, reason: string): Case {
  return {
    id: "bpf-host-routing-falls-back",
    severity: "warning",
    bad,
    good,
    finds: [
      {
        key: "datapath.hostRouting",
        message: `${reason} The agent falls back to legacy host routing, and says so in an info line only.`,
        wayOut: routingWayOut,
      },
    ],
  };
}

function masquerading(bad: unknown, good: unknown, reason: string): Case {
  return {
    id: "bpf-masquerade-falls-back",
    severity: "warning",
    bad,
    good,
    finds: [
      {
        key: "datapath.masquerade.implementation",
        message: `${reason} The agent falls back to iptables, and to legacy host routing with it, unless nothing is masqueraded.`,
        wayOut: masqueradeWayOut,
      },
    ],
  };
}

const works = vxlan(bpfRouting);

export const fallbackCases: readonly Case[] = [
  routing(
    vxlan({ ...bpf, hostRouting: "bpf" }),
    works,
    "BPF host routing needs kube-proxy replacement strict; disabled forces legacy.",
  ),
  routing(
    native({ ...bpf, hostRouting: "bpf", kubeProxyReplacement: { mode: "partial", hostPort: true } }),
    works,
    "BPF host routing needs kube-proxy replacement strict; partial without nodePort forces legacy.",
  ),
  routing(
    native({ ...bpf, hostRouting: "bpf", kubeProxyReplacement: { mode: "partial", nodePort: true } }),
    works,
    "BPF host routing needs kube-proxy replacement strict.",
  ),
  routing(
    vxlan({ ...strict, hostRouting: "bpf" }),
    vxlan({ ...strict, hostRouting: "bpf", masquerade: { ipv4: false } }),
    "BPF host routing needs BPF masquerade, and iptables is asked for.",
  ),
  routing(
    native({ ...strict, hostRouting: "bpf", ipv6: { enabled: true }, masquerade: { ipv4: false } }),
    native({ ...strict, hostRouting: "bpf", ipv6: { enabled: true }, masquerade: { ipv4: false, ipv6: false } }),
    "BPF host routing needs BPF masquerade, and iptables is asked for.",
  ),
  routing(
    vxlan({ ...bpfRouting, endpointRoutes: true }),
    works,
    "BPF host routing does not work with endpoint routes.",
  ),
  routing(
    native({ ...bpfRouting, routes: { kind: "router", integration: "eni" } }),
    native({ ...bpfRouting, routes: "router" }),
    "BPF host routing does not work with endpoint routes.",
  ),
  routing(vxlan({ ...bpfRouting, encryption: "ipsec" }), works, "BPF host routing does not work with IPsec."),
  routing(
    vxlan({ ...bpfRouting, encryption: "wireguard", l7Proxy: false }),
    works,
    "BPF host routing does not work with WireGuard.",
  ),
  routing(
    vxlan({ ...bpfRouting, values: { remoteNodeIdentity: false } }),
    works,
    "BPF host routing needs BPF masquerade, which is not in effect: BPF masquerade needs remote node identities.",
  ),
  masquerading(
    native(bpf),
    native({ ...bpf, ...strict }),
    "BPF masquerade needs NodePort in BPF: kube-proxy replacement strict, or partial with nodePort.",
  ),
  masquerading(
    native({ ...bpf, ...strict, values: { remoteNodeIdentity: false } }),
    native({ ...bpf, ...strict, values: { remoteNodeIdentity: true } }),
    "BPF masquerade needs remote node identities.",
  ),
  masquerading(
    native({ ...bpf, ...strict, values: { egressMasqueradeInterfaces: "eth0" } }),
    native({ ...bpf, ...strict, devices: ["eth0"] }),
    "BPF masquerade takes no egressMasqueradeInterfaces; devices says where it works.",
  ),
  masquerading(
    vxlan({ ...bpf, kubeProxyReplacement: { mode: "partial", nodePort: true } }),
    vxlan({ ...bpf, kubeProxyReplacement: { mode: "partial", nodePort: true, socketLB: true } }),
    "BPF masquerade in a tunnel needs socketLB.",
  ),
  masquerading(
    native({ ...strict, masquerade: { implementation: "bpf", ipv4: false } }),
    native({ ...strict, masquerade: { implementation: "bpf" } }),
    "IPv4 is not masqueraded at all.",
  ),
  {
    id: "bandwidth-manager-off",
    severity: "warning",
    bad: vxlan({ bandwidthManager: { enabled: true }, encryption: "ipsec" }),
    good: vxlan({ bandwidthManager: { enabled: true } }),
    finds: [
      {
        key: "datapath.bandwidthManager.enabled",
        message: "IPsec turns the bandwidth manager off. The agent runs without it.",
        wayOut: "Turn the bandwidth manager off, or write wireguard.",
      },
    ],
  },
  {
    id: "big-tcp-off",
    severity: "warning",
    bad: native({ ipv6: { enabled: true, bigTCP: true } }),
    good: native({ ...bpfRouting, ...bpfIPv4Only, ipv6: { enabled: true, bigTCP: true } }),
    finds: [
      {
        key: "datapath.ipv6.bigTCP",
        message:
          "The agent looks for devices only with NodePort in BPF, the bandwidth manager or the host firewall, and finds none. It turns BIG TCP off: could not detect host devices.",
        wayOut:
          "Write kubeProxyReplacement: strict, with hostRouting: bpf and masquerade: {implementation: bpf, ipv6: false}.",
      },
    ],
  },
  {
    id: "big-tcp-needs-ipv6",
    severity: "warning",
    bad: native({ ...bpfRouting, ipv6: { bigTCP: true } }),
    good: native({ ...bpfRouting, ...bpfIPv4Only, ipv6: { enabled: true, bigTCP: true } }),
    finds: [
      {
        key: "datapath.ipv6.bigTCP",
        message: "BIG TCP changes IPv6 only, and pods have none: it makes no difference.",
        wayOut: "Turn ipv6.enabled on, or ipv6.bigTCP off.",
      },
    ],
  },
  {
    id: "bbr-needs-bandwidth-manager",
    severity: "warning",
    bad: vxlan({ bandwidthManager: { bbr: true } }),
    good: vxlan({ ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } }),
    finds: [
      {
        key: "datapath.bandwidthManager.bbr",
        message: "The chart hands bbr on with the bandwidth manager only: pods keep their congestion control.",
        wayOut: "Turn bandwidthManager.enabled on, or bbr off.",
      },
    ],
  },
  {
    id: "conntrack-bypass-beside-kube-proxy",
    severity: "warning",
    bad: native({ conntrackBypass: true }),
    good: native({ ...strict, ...bpf, conntrackBypass: true }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message:
          "Without kube-proxy replacement the agent skips its checks and sets NOTRACK all the same: kube-proxy's and iptables' address translation, which need connection tracking, miss pod traffic.",
        wayOut: "Write kubeProxyReplacement: strict and masquerade.implementation: bpf, or turn the bypass off.",
      },
    ],
  },
  {
    id: "conntrack-bypass-beside-chaining",
    severity: "warning",
    bad: native({ conntrackBypass: true, values: { "cni.chainingMode": "portmap" } }),
    good: native({ conntrackBypass: true }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message: "The chart turns the bypass off silently where another CNI plugin is chained.",
        wayOut: "Turn conntrackBypass off, or leave cni.chainingMode out.",
      },
    ],
  },
  {
    id: "load-balancer-needs-node-port",
    severity: "warning",
    bad: vxlan({ loadBalancer: { mode: "dsr", algorithm: "maglev", acceleration: "native" } }),
    good: native({
      kubeProxyReplacement: { mode: "partial", nodePort: true },
      loadBalancer: { mode: "dsr", algorithm: "maglev", acceleration: "native" },
    }),
    finds: ["mode", "algorithm", "acceleration"].map((key) => ({
      key: `datapath.loadBalancer.${key}`,
      message: "Only NodePort in BPF reads it; kube-proxy balances as it always does.",
      wayOut: "Write kubeProxyReplacement: strict, or partial with nodePort; or leave it out.",
    })),
  },
  ...["nodePort", "externalIPs", "hostPort", "socketLB", "sessionAffinity"].map((part): Case => ({
    id: "partial-replaces-something",
    severity: "warning",
    bad: vxlan({ kubeProxyReplacement: { mode: "partial", [part]: false } }),
    good: vxlan({ kubeProxyReplacement: { mode: "partial", [part]: true } }),
    finds: [
      {
        key: "datapath.kubeProxyReplacement.mode",
        message: "partial replaces only what is named beside it, and nothing is: kube-proxy does everything.",
        wayOut: "Name nodePort, externalIPs, hostPort, socketLB or sessionAffinity; or write disabled.",
      },
    ],
  })),
];
