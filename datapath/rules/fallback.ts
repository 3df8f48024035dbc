import { afterFallbacks, agentOptions, type AgentOptions, type Fallback } from "../cilium/agent.ts";
import type { LabConfig } from "../config/lab.ts";
import { chartValue } from "../cilium/helm-values.ts";
import { runsCilium } from "../machines/machine-facts.ts";
import { rule, type Rule } from "./rule.ts";

/** A combination at which the agent is Ready and runs another datapath than was asked for. */
function fallback(
  row: Omit<Rule, "violations" | "severity"> & { readonly feature: Fallback; readonly instead: string },
): Rule {
  const { feature, instead, ...rest } = row;
  return {
    ...rest,
    severity: "warning",
    violations: ({ datapath }) => {
      const reason = afterFallbacks(agentOptions(datapath)).reasons[feature];
      return reason === undefined ? [] : [{ message: `${reason} ${instead}` }];
    },
  };
}

function asked({ datapath }: LabConfig): AgentOptions {
  return agentOptions(datapath);
}

export const fallbackRules: readonly Rule[] = [
  fallback({
    id: "bpf-host-routing-falls-back",
    feature: "hostRouting",
    key: "datapath.hostRouting",
    when: "BPF host routing without kube-proxy replacement strict, with iptables masquerade or BPF masquerade that falls back, with endpoint routes (gke, eni, azure force them), IPsec or WireGuard",
    message: "The agent runs with legacy host routing.",
    instead: "The agent falls back to legacy host routing, and says so in an info line only.",
    wayOut:
      "Write kubeProxyReplacement: strict and masquerade.implementation: bpf, without endpoint routes and encryption; or hostRouting: legacy.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:55, 415, 440-469; cilium/cilium#26554",
  }),
  fallback({
    id: "bpf-masquerade-falls-back",
    feature: "masquerade",
    key: "datapath.masquerade.implementation",
    when: "BPF masquerade without NodePort in BPF, without remote node identities, with egressMasqueradeInterfaces, in a tunnel without socketLB, or with IPv4 masquerading off",
    message: "The agent masquerades by iptables.",
    instead: "The agent falls back to iptables, and to legacy host routing with it, unless nothing is masqueraded.",
    wayOut:
      "Write kubeProxyReplacement: strict, and leave remoteNodeIdentity and egressMasqueradeInterfaces as the chart has them; or write masquerade.implementation: iptables.",
    source: "1.13.4 daemon/cmd/daemon.go:981-1045; seen running: status says Masquerading: IPTables",
  }),
  fallback({
    id: "bandwidth-manager-off",
    feature: "bandwidthManager",
    key: "datapath.bandwidthManager.enabled",
    when: "bandwidth manager with IPsec",
    message: "The agent turns the bandwidth manager off.",
    instead: "The agent runs without it.",
    wayOut: "Turn the bandwidth manager off, or write wireguard.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1406",
  }),
  fallback({
    id: "big-tcp-off",
    feature: "bigTCP",
    key: "datapath.ipv6.bigTCP",
    when: "IPv6 BIG TCP without NodePort in BPF, bandwidth manager, host firewall or devices",
    message: "The agent turns BIG TCP off: could not detect host devices.",
    instead: "It turns BIG TCP off: could not detect host devices.",
    wayOut:
      "Write kubeProxyReplacement: strict, with hostRouting: bpf and masquerade: {implementation: bpf, ipv6: false}.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go:86; pkg/option/config.go:2484",
  }),
  rule({
    id: "big-tcp-needs-ipv6",
    severity: "warning",
    key: "datapath.ipv6.bigTCP",
    when: "IPv6 BIG TCP with IPv6 off",
    message: "BIG TCP changes IPv6 only, and pods have none: it makes no difference.",
    wayOut: "Turn ipv6.enabled on, or ipv6.bigTCP off.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go: no check",
    breaks: ({ datapath }) => datapath.ipv6.bigTCP && !datapath.ipv6.enabled,
  }),
  rule({
    id: "big-tcp-needs-the-nic",
    severity: "warning",
    key: "datapath.ipv6.bigTCP",
    when: "IPv6 BIG TCP on machines that run Cilium: their NICs decide",
    message:
      "Only drivers that take GSO packets over 64 KiB can do BIG TCP (mlx4, mlx5); with others, virtio among them, the agent turns it off.",
    wayOut: "Look for 'Could not modify gro_max_size and gso_max_size' in the agent's log, or turn ipv6.bigTCP off.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go:134; Cilium 1.13 documentation, tuning guide",
    breaks: (config) => {
      const options = asked(config);
      return (
        runsCilium(config.machines) &&
        options.enableIPv6BIGTCP &&
        options.enableIPv6 &&
        afterFallbacks(options).reasons.bigTCP === undefined
      );
    },
  }),
  rule({
    id: "bbr-needs-bandwidth-manager",
    severity: "warning",
    key: "datapath.bandwidthManager.bbr",
    when: "bbr with the bandwidth manager off",
    message: "The chart hands bbr on with the bandwidth manager only: pods keep their congestion control.",
    wayOut: "Turn bandwidthManager.enabled on, or bbr off.",
    source: "1.13.4 cilium-configmap.yaml:554",
    breaks: ({ datapath }) => datapath.bandwidthManager.bbr && !datapath.bandwidthManager.enabled,
  }),
  rule({
    id: "conntrack-bypass-beside-kube-proxy",
    severity: "warning",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass with kube-proxy replacement disabled, native",
    message:
      "Without kube-proxy replacement the agent skips its checks and sets NOTRACK all the same: kube-proxy's and iptables' address translation, which need connection tracking, miss pod traffic.",
    wayOut: "Write kubeProxyReplacement: strict and masquerade.implementation: bpf, or turn the bypass off.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:55 returns before 214",
    breaks: (config) => {
      const options = asked(config);
      return (
        options.installNoConntrackIptRules &&
        options.kubeProxyReplacement === "disabled" &&
        options.tunnel === "disabled"
      );
    },
  }),
  rule({
    id: "conntrack-bypass-beside-chaining",
    severity: "warning",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass with values cni.chainingMode",
    message: "The chart turns the bypass off silently where another CNI plugin is chained.",
    wayOut: "Turn conntrackBypass off, or leave cni.chainingMode out.",
    source: "1.13.4 cilium-configmap.yaml:536",
    breaks: ({ datapath }) => datapath.conntrackBypass && chartValue(datapath, "cni.chainingMode") !== "none",
  }),
  {
    id: "load-balancer-needs-node-port",
    severity: "warning",
    key: "datapath.loadBalancer",
    when: "loadBalancer.mode, algorithm or acceleration without NodePort in BPF",
    message: "Only NodePort in BPF reads it; kube-proxy balances as it always does.",
    wayOut: "Write kubeProxyReplacement: strict, or partial with nodePort; or leave it out.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:86",
    violations: (config) => {
      if (asked(config).enableNodePort) return [];
      const { mode, algorithm, acceleration } = config.datapath.loadBalancer;
      return [
        ...(mode === "snat" ? [] : [{ key: "datapath.loadBalancer.mode" }]),
        ...(algorithm === "random" ? [] : [{ key: "datapath.loadBalancer.algorithm" }]),
        ...(acceleration === "disabled" ? [] : [{ key: "datapath.loadBalancer.acceleration" }]),
      ];
    },
  },
  rule({
    id: "acceleration-needs-the-driver",
    severity: "warning",
    key: "datapath.loadBalancer.acceleration",
    when: "loadBalancer.acceleration native, NodePort in BPF, on machines that run Cilium: their drivers decide",
    message:
      "The NIC's driver must do native XDP; with another the agent ends with: Failed to compile XDP program. virtio needs as many queues as the machine has CPUs, twice, and no GRO_HW.",
    wayOut: "Write disabled where the driver can't.",
    source: "1.13.4 pkg/datapath/loader/base.go:453; Linux drivers/net/virtio_net.c",
    breaks: (config) =>
      runsCilium(config.machines) &&
      asked(config).enableNodePort &&
      config.datapath.loadBalancer.acceleration === "native",
  }),
  rule({
    id: "partial-replaces-something",
    severity: "warning",
    key: "datapath.kubeProxyReplacement.mode",
    when: "kube-proxy replacement partial without any part",
    message: "partial replaces only what is named beside it, and nothing is: kube-proxy does everything.",
    wayOut: "Name nodePort, externalIPs, hostPort, socketLB or sessionAffinity; or write disabled.",
    source: "1.13.4 cilium-configmap.yaml:610",
    breaks: (config) => {
      const options = asked(config);
      return (
        options.kubeProxyReplacement === "partial" &&
        !options.enableNodePort &&
        !options.enableExternalIPs &&
        !options.enableHostPort &&
        !options.enableSocketLB &&
        !options.enableSessionAffinity
      );
    },
  }),
];
