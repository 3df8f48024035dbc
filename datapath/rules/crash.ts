import { afterFallbacks, agentOptions, replacesAllOfKubeProxy, type AgentOptions } from "../cilium/agent.ts";
import type { LabConfig } from "../config/lab.ts";
import { chartValue } from "../cilium/helm-values.ts";
import { rule, type Rule } from "./rule.ts";

/** A combination at which the 1.13.4 agent ends, so that its pod restarts for ever behind a green Helm release. */
function crash(
  row: Omit<Rule, "violations" | "severity" | "message"> & {
    /** What the agent's last line says. */
    readonly says: string;
    readonly breaks: (asked: AgentOptions, config: LabConfig) => boolean;
  },
): Rule {
  const { says, breaks, ...rest } = row;
  return rule({
    ...rest,
    severity: "error",
    message: `The agent ends with: ${says}`,
    breaks: (config) => breaks(agentOptions(config.datapath), config),
  });
}

/** Table sizes that the agent takes for Maglev (1.13.4 daemon/cmd/kube_proxy_replacement.go). */
const maglevTableSizes = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071];

export const crashRules: readonly Rule[] = [
  crash({
    id: "native-needs-its-cidr",
    key: "datapath.ipv4NativeRoutingCIDR",
    when: "native with gke or azure, IPv4 masqueraded, and no ipv4NativeRoutingCIDR",
    says: "native routing cidr must be configured with option --ipv4-native-routing-cidr",
    wayOut: "Write the network that holds the cloud's pods, or turn masquerade.ipv4 off.",
    source: "1.13.4 pkg/option/config.go:3548",
    breaks: (asked, { datapath }) =>
      datapath.mode === "native" &&
      datapath.ipv4NativeRoutingCIDR === undefined &&
      asked.enableIPv4Masquerade &&
      datapath.ipam.mode !== "eni",
  }),
  crash({
    id: "native-needs-its-ipv6-cidr",
    key: "datapath.ipv6NativeRoutingCIDR",
    when: "native with gke or azure, IPv6 on and masqueraded, and no ipv6NativeRoutingCIDR",
    says: "native routing cidr must be configured with option --ipv6-native-routing-cidr",
    wayOut: "Write the IPv6 network that holds the cloud's pods, or turn masquerade.ipv6 off.",
    source: "1.13.4 pkg/option/config.go:3561",
    breaks: (asked, { datapath }) =>
      datapath.mode === "native" && datapath.ipv6NativeRoutingCIDR === undefined && asked.enableIPv6Masquerade,
  }),
  crash({
    id: "bpf-masquerade-without-ipv6",
    key: "datapath.masquerade.implementation",
    when: "BPF masquerade with IPv6 on and masqueraded",
    says: "BPF masquerade is not supported for IPv6.",
    wayOut: "Turn masquerade.ipv6 off (and give pods routable IPv6 addresses), or write iptables.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1410",
    breaks: (asked) => asked.enableIPv6Masquerade && asked.enableBPFMasquerade,
  }),
  {
    id: "node-port-mode-without-tunnel",
    severity: "error",
    key: "datapath.loadBalancer.mode",
    when: "NodePort in BPF, a tunnel, and loadBalancer.mode dsr or hybrid",
    message: 'The agent ends with: Node Port "dsr" mode cannot be used with tunneling.',
    wayOut: "Write snat, or datapath.mode: native.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:193",
    violations: ({ datapath }) => {
      const { enableNodePort, tunnel } = agentOptions(datapath);
      const { mode } = datapath.loadBalancer;
      return enableNodePort && tunnel !== "disabled" && mode !== "snat"
        ? [{ message: `The agent ends with: Node Port "${mode}" mode cannot be used with tunneling.` }]
        : [];
    },
  },
  crash({
    id: "node-port-without-ipsec",
    key: "datapath.encryption",
    when: "NodePort in BPF with IPsec",
    says: "IPSec cannot be used with BPF NodePort",
    wayOut: "Write wireguard, or kubeProxyReplacement: disabled.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:87",
    breaks: (asked) => asked.enableNodePort && asked.enableIPSec,
  }),
  crash({
    id: "conntrack-bypass-without-tunnel",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass in a tunnel",
    says: "install-no-conntrack-iptables-rules requires the agent to run in direct routing mode.",
    wayOut: "Turn it off: what a tunnel carries passes no connection tracking anyway. Or write datapath.mode: native.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1495",
    breaks: (asked) => asked.installNoConntrackIptRules && asked.tunnel !== "disabled",
  }),
  crash({
    id: "conntrack-bypass-needs-ipv4",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass with values ipv4.enabled: false",
    says: "install-no-conntrack-iptables-rules requires IPv4 support.",
    wayOut: "Turn it off, or leave ipv4.enabled on.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1502",
    breaks: (asked) => asked.installNoConntrackIptRules && !asked.enableIPv4,
  }),
  crash({
    id: "conntrack-bypass-needs-full-replacement",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass with kube-proxy replacement partial that leaves anything out",
    says: "install-no-conntrack-iptables-rules requires the agent to run with kube-proxy-replacement=strict.",
    wayOut: "Write kubeProxyReplacement: strict, or turn the bypass off.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:214",
    breaks: (asked) =>
      asked.installNoConntrackIptRules && asked.kubeProxyReplacement !== "disabled" && !replacesAllOfKubeProxy(asked),
  }),
  crash({
    id: "conntrack-bypass-needs-bpf-masquerade",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass with kube-proxy replacement and iptables masquerade",
    says: "install-no-conntrack-iptables-rules requires the agent to run with enable-bpf-masquerade.",
    wayOut: "Write masquerade.implementation: bpf, or turn masquerading off.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:219",
    breaks: (asked) =>
      asked.installNoConntrackIptRules &&
      asked.kubeProxyReplacement !== "disabled" &&
      (asked.enableIPv4Masquerade || asked.enableIPv6Masquerade) &&
      !asked.enableBPFMasquerade,
  }),
  crash({
    id: "big-tcp-without-tunnel",
    key: "datapath.ipv6.bigTCP",
    when: "IPv6 BIG TCP in a tunnel (without any device the agent turns it off instead)",
    says: "IPv6 BIG TCP is not supported in tunneling mode",
    wayOut: "Turn ipv6.bigTCP off, or write datapath.mode: native.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go:110",
    breaks: (asked) => asked.enableIPv6BIGTCP && asked.tunnel !== "disabled",
  }),
  crash({
    id: "big-tcp-without-ipsec",
    key: "datapath.ipv6.bigTCP",
    when: "IPv6 BIG TCP with IPsec (without any device the agent turns it off instead)",
    says: "IPv6 BIG TCP is not supported with encryption enabled",
    wayOut: "Turn ipv6.bigTCP or encryption off.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go:113",
    breaks: (asked) => asked.enableIPv6BIGTCP && asked.enableIPSec,
  }),
  {
    id: "big-tcp-needs-bpf-host-routing",
    severity: "error",
    key: "datapath.ipv6.bigTCP",
    when: "IPv6 BIG TCP with a device, and legacy host routing in effect, asked for or fallen back to",
    message: "The agent ends with: IPv6 BIG TCP is not supported with legacy host routing",
    wayOut:
      "Write hostRouting: bpf with kubeProxyReplacement: strict, masquerade: {implementation: bpf, ipv6: false}, no endpoint routes, no encryption; or turn ipv6.bigTCP off.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go:116",
    violations: ({ datapath }) => {
      const { options, reasons } = afterFallbacks(agentOptions(datapath));
      return options.enableIPv6BIGTCP && options.enableHostLegacyRouting
        ? [
            {
              message: `The agent ends with: IPv6 BIG TCP is not supported with legacy host routing. ${legacyBecause(reasons.hostRouting)}`,
            },
          ]
        : [];
    },
  },
  {
    id: "bbr-needs-bpf-host-routing",
    severity: "error",
    key: "datapath.bandwidthManager.bbr",
    when: "BBR, and legacy host routing in effect, asked for or fallen back to",
    message: "The agent ends with: BPF bandwidth manager's BBR setup requires BPF host routing.",
    wayOut:
      "Write hostRouting: bpf with kubeProxyReplacement: strict, masquerade.implementation: bpf, no endpoint routes, no encryption; or turn bbr off.",
    source: "1.13.4 pkg/bandwidth/bandwidth.go:168",
    violations: ({ datapath }) => {
      const { options, reasons } = afterFallbacks(agentOptions(datapath));
      return options.enableBBR && options.enableHostLegacyRouting
        ? [
            {
              message: `The agent ends with: BPF bandwidth manager's BBR setup requires BPF host routing. ${legacyBecause(reasons.hostRouting)}`,
            },
          ]
        : [];
    },
  },
  crash({
    id: "wireguard-without-l7-proxy",
    key: "datapath.l7Proxy",
    when: "WireGuard with the L7 proxy, which is on by default",
    says: "Wireguard (--enable-wireguard) is not compatible with L7 proxy (--enable-l7-proxy)",
    wayOut: "Write l7Proxy: false, or encryption: none.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1598",
    breaks: (asked, { datapath }) => asked.enableWireguard && datapath.l7Proxy,
  }),
  crash({
    id: "cluster-pool-v2beta-without-tunnel",
    key: "datapath.ipam.mode",
    when: "ipam.mode cluster-pool-v2beta in a tunnel",
    says: "Cannot specify IPAM mode cluster-pool-v2beta in tunnel mode.",
    wayOut: "Write cluster-pool, or datapath.mode: native.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1486",
    breaks: (asked, { datapath }) => datapath.ipam.mode === "cluster-pool-v2beta" && asked.tunnel !== "disabled",
  }),
  crash({
    id: "cluster-pool-v2beta-without-ipsec",
    key: "datapath.ipam.mode",
    when: "ipam.mode cluster-pool-v2beta with IPsec",
    says: "Cannot specify IPAM mode cluster-pool-v2beta with enable-ipsec.",
    wayOut: "Write cluster-pool, or encryption: none.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1489",
    breaks: (asked, { datapath }) => datapath.ipam.mode === "cluster-pool-v2beta" && asked.enableIPSec,
  }),
  {
    id: "bgp-announces-known-ipam",
    severity: "error",
    key: "datapath.values",
    when: "values bgp.announce.podCIDR with another ipam.mode than cluster-pool or kubernetes",
    message: "The agent ends with: BGP announcements for pod CIDRs is not supported with IPAM mode",
    wayOut: "Write ipam.mode cluster-pool or kubernetes, or leave bgp.announce.podCIDR out.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1511",
    violations: ({ datapath }) => {
      const { mode } = datapath.ipam;
      return chartValue(datapath, "bgp.enabled") === true &&
        chartValue(datapath, "bgp.announce.podCIDR") === true &&
        mode !== "cluster-pool" &&
        mode !== "kubernetes"
        ? [
            {
              message: `The agent ends with: BGP announcements for pod CIDRs is not supported with IPAM mode "${mode}"`,
            },
          ]
        : [];
    },
  },
  crash({
    id: "host-firewall-without-ipsec",
    key: "datapath.encryption",
    when: "values hostFirewall.enabled with IPsec",
    says: "IPSec cannot be used with the host firewall.",
    wayOut: "Write wireguard or none, or leave hostFirewall.enabled out.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1396",
    breaks: (asked) => asked.enableHostFirewall && asked.enableIPSec,
  }),
  crash({
    id: "ip-masq-agent-needs-bpf-masquerade",
    key: "datapath.values",
    when: "values ipMasqAgent.enabled without BPF masquerade of IPv4 in effect",
    says: 'BPF ip-masq-agent requires --enable-ipv4-masquerade="true" and --enable-bpf-masquerade="true"',
    wayOut: "Write masquerade.implementation: bpf with kubeProxyReplacement: strict, or leave ipMasqAgent.enabled out.",
    source: "1.13.4 daemon/cmd/daemon.go:1037",
    breaks: (asked) => asked.enableIPMasqAgent && !afterFallbacks(asked).options.enableBPFMasquerade,
  }),
  {
    id: "maglev-table-size",
    severity: "error",
    key: "datapath.values",
    when: "NodePort in BPF, Maglev, and a values maglev.tableSize that is no prime of the agent's list",
    message: "The agent ends with: Invalid value for --bpf-lb-maglev-table-size",
    wayOut: `Write one of ${maglevTableSizes.join(", ")}.`,
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:161",
    violations: ({ datapath }) => {
      const size = chartValue(datapath, "maglev.tableSize");
      return agentOptions(datapath).enableNodePort &&
        datapath.loadBalancer.algorithm === "maglev" &&
        typeof size === "number" &&
        !maglevTableSizes.includes(size)
        ? [{ message: `The agent ends with: Invalid value for --bpf-lb-maglev-table-size: ${size}` }]
        : [];
    },
  },
];

function legacyBecause(reason: string | undefined): string {
  return reason ?? "hostRouting is legacy.";
}
