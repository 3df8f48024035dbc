import { z } from "zod";
import { ipv4Cidr, ipv6Cidr, orBareWord } from "./fields.ts";

function toggle(value: boolean, description: string): z.ZodDefault<z.ZodBoolean> {
  return z.boolean().default(value).meta({ description });
}

const apiServer = {
  k8sServiceHost: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .meta({ description: "API server as the agents reach it without kube-proxy. Every K3s node proxies it locally." }),
  k8sServicePort: z.int().min(1).max(65535).default(6444).meta({ description: "Port of the API server there." }),
};

const kubeProxyReplacement = orBareWord(
  "mode",
  z.discriminatedUnion("mode", [
    z.strictObject({ mode: z.literal("disabled").meta({ description: "kube-proxy does services." }) }),
    z.strictObject({
      mode: z.literal("partial").meta({ description: "Cilium does what is named here, kube-proxy the rest." }),
      ...apiServer,
      nodePort: toggle(false, "NodePort services in BPF."),
      externalIPs: toggle(false, "External IPs of services in BPF."),
      hostPort: toggle(false, "Host ports of pods in BPF."),
      socketLB: toggle(false, "Services resolved at connect(), in the socket."),
      sessionAffinity: toggle(false, "Session affinity of services in BPF."),
    }),
    z.strictObject({
      mode: z.literal("strict").meta({ description: "Cilium does all; the cluster runs without kube-proxy." }),
      ...apiServer,
    }),
  ]),
);

const masquerade = z.strictObject({
  implementation: z.enum(["iptables", "bpf"]).default("iptables").meta({ description: "What does source NAT." }),
  ipv4: toggle(true, "Source NAT of pods' IPv4 traffic that leaves the cluster."),
  ipv6: toggle(true, "The same for IPv6; counts only with ipv6.enabled."),
});

const ipam = z.strictObject({
  mode: z
    .enum(["cluster-pool", "cluster-pool-v2beta", "kubernetes", "eni", "azure"])
    .optional()
    .meta({ description: "Who gives pods their addresses; absent, what the routes need, else cluster-pool." }),
  clusterPoolIPv4PodCIDR: ipv4Cidr
    .default("10.42.0.0/16")
    .meta({ description: "Pool of which each node has a pod CIDR. K3s's own default, so that both agree." }),
  clusterPoolIPv4MaskSize: z
    .int()
    .min(8)
    .max(30)
    .default(24)
    .meta({ description: "Prefix length of a node's pod CIDR." }),
  clusterPoolIPv6PodCIDR: ipv6Cidr.default("fd00::/104").meta({ description: "IPv6 pool." }),
  clusterPoolIPv6MaskSize: z
    .int()
    .min(1)
    .max(126)
    .default(120)
    .meta({ description: "Prefix length of a node's IPv6 pod CIDR." }),
});

/** What every datapath can be tuned in, whatever carries its packets. Defaults are the chart's, except K3s's pool. */
export const tuning = {
  kubeProxyReplacement: kubeProxyReplacement
    .prefault({ mode: "disabled" })
    .meta({ description: "How much of kube-proxy Cilium replaces." }),
  masquerade: masquerade.prefault({}).meta({ description: "Source NAT of pod traffic." }),
  hostRouting: z.enum(["legacy", "bpf"]).default("legacy").meta({
    description: "Whether packets between pods and the network pass the host's stack (legacy) or BPF hands them over.",
  }),
  bandwidthManager: z
    .strictObject({ enabled: toggle(false, "Pace pods' traffic with EDT."), bbr: toggle(false, "BBR for pods.") })
    .prefault({})
    .meta({ description: "Bandwidth manager, and BBR congestion control with it." }),
  ipv6: z
    .strictObject({ enabled: toggle(false, "IPv6 beside IPv4."), bigTCP: toggle(false, "IPv6 BIG TCP.") })
    .prefault({})
    .meta({ description: "IPv6 of pods." }),
  mtuBytes: z.int().min(576).max(65535).optional().meta({
    description:
      "MTU of the network between the nodes, in bytes; the machines' own where absent. Agents that had one before keep it: to go back, write it.",
  }),
  loadBalancer: z
    .strictObject({
      mode: z.enum(["snat", "dsr", "hybrid"]).default("snat").meta({ description: "How replies of services return." }),
      algorithm: z.enum(["random", "maglev"]).default("random").meta({ description: "How backends are chosen." }),
      acceleration: z
        .enum(["disabled", "native"])
        .default("disabled")
        .meta({ description: "XDP in the NIC's driver." }),
    })
    .prefault({})
    .meta({ description: "Services in BPF; counts only where Cilium does NodePort." }),
  conntrackBypass: toggle(false, "Keep pod traffic out of the host's connection tracking (NOTRACK rules)."),
  endpointRoutes: toggle(false, "A route for each pod instead of one through cilium_host."),
  devices: z
    .array(z.string().regex(/^[^\s/]{1,15}$/, "no name of a network device"))
    .default([])
    .meta({
      description: "Devices that Cilium's programs attach to, + as wildcard at the end; found by it where empty.",
    }),
  directRoutingDevice: z
    .string()
    .regex(/^[^\s/]{1,15}$/, "no name of a network device")
    .optional()
    .meta({ description: "Device towards the other nodes, where nodes have several." }),
  ipam: ipam.prefault({}).meta({ description: "How pods get their addresses." }),
  hubble: z
    .strictObject({
      enabled: toggle(true, "Flow events; cost 1 to 15 % of throughput."),
      relay: toggle(false, "Hubble relay."),
      ui: toggle(false, "Hubble UI."),
    })
    .prefault({})
    .meta({ description: "Hubble." }),
  operatorReplicas: z.int().min(1).default(2).meta({ description: "Operators; each needs a node of its own." }),
  encryption: z
    .enum(["none", "wireguard", "ipsec"])
    .default("none")
    .meta({ description: "Encryption between nodes. ipsec needs the secret cilium-ipsec-keys in kube-system." }),
  l7Proxy: toggle(true, "Envoy, for L7 policy."),
  values: z
    .record(z.string(), z.json())
    .default({})
    .meta({ description: "Any other value of the 1.13.4 chart, nested or as a dotted path." }),
};
