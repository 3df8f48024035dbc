import type { ChartValue } from "./chart.ts";
import type { Datapath } from "../config/datapath.ts";

/** How one value of the chart follows from a datapath. */
export interface ChartRow {
  /** Path in the chart's values. */
  readonly path: string;
  /** The config key that says it. */
  readonly key: string;
  /** The agent's option that the chart makes of it (1.13.4 templates/cilium-configmap.yaml). */
  readonly option?: string;
  /** Absent where the chart's default is to stay. */
  readonly value: (datapath: Datapath) => ChartValue | undefined;
  /** Rendered though it may be the chart's default: the choice that a reader of the values looks for. */
  readonly states?: true;
}

type Native = Extract<Datapath, { mode: "native" }>;
type Router = Extract<Native["routes"], { kind: "router" }>;
type Integration = NonNullable<Router["integration"]>;
type Cloud<Name extends Integration["cloud"]> = Extract<Integration, { cloud: Name }>;

/** The cloud that carries the routes; nothing where none does. */
function integrationOf(datapath: Datapath): Integration | undefined {
  return datapath.mode === "native" && datapath.routes.kind === "router" ? datapath.routes.integration : undefined;
}

function eni(datapath: Datapath): Cloud<"eni"> | undefined {
  const integration = integrationOf(datapath);
  return integration?.cloud === "eni" ? integration : undefined;
}

function azure(datapath: Datapath): Cloud<"azure"> | undefined {
  const integration = integrationOf(datapath);
  return integration?.cloud === "azure" ? integration : undefined;
}

type Partial = Extract<Datapath["kubeProxyReplacement"], { mode: "partial" }>;

function partial({ kubeProxyReplacement }: Datapath): Partial | undefined {
  return kubeProxyReplacement.mode === "partial" ? kubeProxyReplacement : undefined;
}

/** Whether Cilium's operator cuts pod CIDRs out of the pool in the config. */
function hasOperatorPool({ ipam }: Datapath): boolean {
  return ipam.mode === "cluster-pool" || ipam.mode === "cluster-pool-v2beta";
}

function text(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}

/** Every chart value that the typed part of a config decides. None of them may be said in `datapath.values` otherwise. */
export const chartRows: readonly ChartRow[] = [
  {
    path: "tunnel",
    key: "datapath.mode",
    option: "tunnel",
    value: ({ mode }) => (mode === "native" ? "disabled" : mode),
    states: true,
  },
  {
    path: "tunnelPort",
    key: "datapath.tunnelPort",
    option: "tunnel-port",
    value: (datapath) => (datapath.mode === "native" ? undefined : datapath.tunnelPort),
  },
  {
    path: "autoDirectNodeRoutes",
    key: "datapath.routes",
    option: "auto-direct-node-routes",
    value: (datapath) => datapath.mode === "native" && datapath.routes.kind === "direct",
  },
  {
    path: "bgpControlPlane.enabled",
    key: "datapath.routes",
    option: "enable-bgp-control-plane",
    value: (datapath) =>
      datapath.mode === "native" && datapath.routes.kind === "bgp" && datapath.routes.speaker === "cilium",
  },
  {
    path: "ipv4NativeRoutingCIDR",
    key: "datapath.ipv4NativeRoutingCIDR",
    option: "ipv4-native-routing-cidr",
    value: (datapath) => (datapath.mode === "native" ? text(datapath.ipv4NativeRoutingCIDR) : undefined),
  },
  {
    path: "ipv6NativeRoutingCIDR",
    key: "datapath.ipv6NativeRoutingCIDR",
    option: "ipv6-native-routing-cidr",
    value: (datapath) =>
      datapath.mode === "native" && datapath.ipv6.enabled ? text(datapath.ipv6NativeRoutingCIDR) : undefined,
  },
  {
    path: "kubeProxyReplacement",
    key: "datapath.kubeProxyReplacement",
    option: "kube-proxy-replacement",
    value: ({ kubeProxyReplacement }) => kubeProxyReplacement.mode,
    states: true,
  },
  {
    path: "k8sServiceHost",
    key: "datapath.kubeProxyReplacement.k8sServiceHost",
    value: ({ kubeProxyReplacement: replacement }) =>
      replacement.mode === "disabled" ? undefined : replacement.k8sServiceHost,
  },
  {
    path: "k8sServicePort",
    key: "datapath.kubeProxyReplacement.k8sServicePort",
    value: ({ kubeProxyReplacement: replacement }) =>
      replacement.mode === "disabled" ? undefined : `${replacement.k8sServicePort}`,
  },
  // strict turns all of these on by itself (1.13.4 daemon/cmd/kube_proxy_replacement.go:73).
  {
    path: "nodePort.enabled",
    key: "datapath.kubeProxyReplacement.nodePort",
    option: "enable-node-port",
    value: (datapath) => partial(datapath)?.nodePort ?? false,
  },
  {
    path: "externalIPs.enabled",
    key: "datapath.kubeProxyReplacement.externalIPs",
    option: "enable-external-ips",
    value: (datapath) => partial(datapath)?.externalIPs ?? false,
  },
  {
    path: "hostPort.enabled",
    key: "datapath.kubeProxyReplacement.hostPort",
    option: "enable-host-port",
    value: (datapath) => partial(datapath)?.hostPort ?? false,
  },
  {
    path: "socketLB.enabled",
    key: "datapath.kubeProxyReplacement.socketLB",
    option: "bpf-lb-sock",
    value: (datapath) => partial(datapath)?.socketLB ?? false,
  },
  {
    path: "sessionAffinity",
    key: "datapath.kubeProxyReplacement.sessionAffinity",
    option: "enable-session-affinity",
    value: (datapath) => (partial(datapath)?.sessionAffinity === true ? true : undefined),
  },
  {
    path: "bpf.masquerade",
    key: "datapath.masquerade.implementation",
    option: "enable-bpf-masquerade",
    value: ({ masquerade }) => masquerade.implementation === "bpf",
    states: true,
  },
  {
    path: "enableIPv4Masquerade",
    key: "datapath.masquerade.ipv4",
    option: "enable-ipv4-masquerade",
    value: ({ masquerade }) => masquerade.ipv4,
  },
  {
    path: "enableIPv6Masquerade",
    key: "datapath.masquerade.ipv6",
    option: "enable-ipv6-masquerade",
    value: ({ masquerade }) => masquerade.ipv6,
  },
  {
    // Unset means BPF wherever that can be; without kube-proxy replacement it can't, and nothing has to be said.
    path: "bpf.hostLegacyRouting",
    key: "datapath.hostRouting",
    option: "enable-host-legacy-routing",
    value: ({ hostRouting, kubeProxyReplacement }) =>
      hostRouting === "bpf" ? false : kubeProxyReplacement.mode === "disabled" ? undefined : true,
  },
  {
    path: "bandwidthManager.enabled",
    key: "datapath.bandwidthManager.enabled",
    option: "enable-bandwidth-manager",
    value: ({ bandwidthManager }) => bandwidthManager.enabled,
  },
  {
    path: "bandwidthManager.bbr",
    key: "datapath.bandwidthManager.bbr",
    option: "enable-bbr",
    value: ({ bandwidthManager }) => bandwidthManager.bbr,
  },
  {
    path: "ipv6.enabled",
    key: "datapath.ipv6.enabled",
    option: "enable-ipv6",
    value: ({ ipv6 }) => ipv6.enabled,
  },
  {
    path: "enableIPv6BIGTCP",
    key: "datapath.ipv6.bigTCP",
    option: "enable-ipv6-big-tcp",
    value: ({ ipv6 }) => ipv6.bigTCP,
  },
  { path: "MTU", key: "datapath.mtuBytes", option: "mtu", value: ({ mtuBytes }) => mtuBytes },
  {
    path: "loadBalancer.mode",
    key: "datapath.loadBalancer.mode",
    option: "bpf-lb-mode",
    value: ({ loadBalancer: { mode } }) => (mode === "snat" ? undefined : mode),
  },
  {
    path: "loadBalancer.algorithm",
    key: "datapath.loadBalancer.algorithm",
    option: "bpf-lb-algorithm",
    value: ({ loadBalancer: { algorithm } }) => (algorithm === "random" ? undefined : algorithm),
  },
  {
    path: "loadBalancer.acceleration",
    key: "datapath.loadBalancer.acceleration",
    option: "bpf-lb-acceleration",
    value: ({ loadBalancer: { acceleration } }) => (acceleration === "disabled" ? undefined : acceleration),
  },
  {
    path: "installNoConntrackIptablesRules",
    key: "datapath.conntrackBypass",
    option: "install-no-conntrack-iptables-rules",
    value: ({ conntrackBypass }) => conntrackBypass,
  },
  {
    path: "endpointRoutes.enabled",
    key: "datapath.endpointRoutes",
    option: "enable-endpoint-routes",
    value: ({ endpointRoutes }) => endpointRoutes,
  },
  {
    path: "devices",
    key: "datapath.devices",
    option: "devices",
    value: ({ devices }) => (devices.length === 0 ? undefined : [...devices]),
  },
  {
    path: "nodePort.directRoutingDevice",
    key: "datapath.directRoutingDevice",
    option: "direct-routing-device",
    value: ({ directRoutingDevice }) => directRoutingDevice,
  },
  { path: "ipam.mode", key: "datapath.ipam.mode", option: "ipam", value: ({ ipam }) => ipam.mode, states: true },
  {
    path: "ipam.operator.clusterPoolIPv4PodCIDRList",
    key: "datapath.ipam.clusterPoolIPv4PodCIDR",
    option: "cluster-pool-ipv4-cidr",
    value: (datapath) => (hasOperatorPool(datapath) ? [datapath.ipam.clusterPoolIPv4PodCIDR] : undefined),
  },
  // The list above wins over the single, deprecated value.
  {
    path: "ipam.operator.clusterPoolIPv4PodCIDR",
    key: "datapath.ipam.clusterPoolIPv4PodCIDR",
    value: () => undefined,
  },
  {
    path: "ipam.operator.clusterPoolIPv4MaskSize",
    key: "datapath.ipam.clusterPoolIPv4MaskSize",
    option: "cluster-pool-ipv4-mask-size",
    value: (datapath) => (hasOperatorPool(datapath) ? datapath.ipam.clusterPoolIPv4MaskSize : undefined),
  },
  {
    path: "ipam.operator.clusterPoolIPv6PodCIDRList",
    key: "datapath.ipam.clusterPoolIPv6PodCIDR",
    option: "cluster-pool-ipv6-cidr",
    value: (datapath) =>
      hasOperatorPool(datapath) && datapath.ipv6.enabled ? [datapath.ipam.clusterPoolIPv6PodCIDR] : undefined,
  },
  {
    path: "ipam.operator.clusterPoolIPv6PodCIDR",
    key: "datapath.ipam.clusterPoolIPv6PodCIDR",
    value: () => undefined,
  },
  {
    path: "ipam.operator.clusterPoolIPv6MaskSize",
    key: "datapath.ipam.clusterPoolIPv6MaskSize",
    option: "cluster-pool-ipv6-mask-size",
    value: (datapath) =>
      hasOperatorPool(datapath) && datapath.ipv6.enabled ? datapath.ipam.clusterPoolIPv6MaskSize : undefined,
  },
  {
    path: "hubble.enabled",
    key: "datapath.hubble.enabled",
    option: "enable-hubble",
    value: ({ hubble }) => hubble.enabled,
  },
  { path: "hubble.relay.enabled", key: "datapath.hubble.relay", value: ({ hubble }) => hubble.relay },
  { path: "hubble.ui.enabled", key: "datapath.hubble.ui", value: ({ hubble }) => hubble.ui },
  { path: "operator.replicas", key: "datapath.operatorReplicas", value: ({ operatorReplicas }) => operatorReplicas },
  { path: "encryption.enabled", key: "datapath.encryption", value: ({ encryption }) => encryption !== "none" },
  {
    path: "encryption.type",
    key: "datapath.encryption",
    value: ({ encryption }) => (encryption === "none" ? undefined : encryption),
    states: true,
  },
  { path: "l7Proxy", key: "datapath.l7Proxy", option: "enable-l7-proxy", value: ({ l7Proxy }) => l7Proxy },

  {
    path: "gke.enabled",
    key: "datapath.routes.integration",
    value: (datapath) => integrationOf(datapath)?.cloud === "gke",
  },
  { path: "eni.enabled", key: "datapath.routes.integration", value: (datapath) => eni(datapath) !== undefined },
  {
    path: "eni.awsEnablePrefixDelegation",
    key: "datapath.routes.integration.awsEnablePrefixDelegation",
    value: (datapath) => eni(datapath)?.awsEnablePrefixDelegation,
  },
  {
    path: "eni.awsReleaseExcessIPs",
    key: "datapath.routes.integration.awsReleaseExcessIPs",
    value: (datapath) => eni(datapath)?.awsReleaseExcessIPs,
  },
  {
    path: "eni.updateEC2AdapterLimitViaAPI",
    key: "datapath.routes.integration.updateEC2AdapterLimitViaAPI",
    value: (datapath) => eni(datapath)?.updateEC2AdapterLimitViaAPI,
  },
  {
    path: "eni.ec2APIEndpoint",
    key: "datapath.routes.integration.ec2APIEndpoint",
    value: (datapath) => eni(datapath)?.ec2APIEndpoint,
  },
  {
    path: "eni.eniTags",
    key: "datapath.routes.integration.eniTags",
    value: (datapath) => eni(datapath)?.eniTags,
  },
  {
    path: "eni.subnetIDsFilter",
    key: "datapath.routes.integration.subnetIDsFilter",
    value: (datapath) => eni(datapath)?.subnetIDsFilter,
  },
  {
    path: "eni.subnetTagsFilter",
    key: "datapath.routes.integration.subnetTagsFilter",
    value: (datapath) => eni(datapath)?.subnetTagsFilter,
  },
  {
    path: "eni.instanceTagsFilter",
    key: "datapath.routes.integration.instanceTagsFilter",
    value: (datapath) => eni(datapath)?.instanceTagsFilter,
  },
  { path: "eni.iamRole", key: "datapath.routes.integration.iamRole", value: (datapath) => eni(datapath)?.iamRole },
  { path: "azure.enabled", key: "datapath.routes.integration", value: (datapath) => azure(datapath) !== undefined },
  {
    path: "azure.subscriptionID",
    key: "datapath.routes.integration.subscriptionID",
    value: (datapath) => azure(datapath)?.subscriptionID,
  },
  {
    path: "azure.resourceGroup",
    key: "datapath.routes.integration.resourceGroup",
    value: (datapath) => azure(datapath)?.resourceGroup,
  },
  {
    path: "azure.userAssignedIdentityID",
    key: "datapath.routes.integration.userAssignedIdentityID",
    value: (datapath) => azure(datapath)?.userAssignedIdentityID,
  },
  {
    path: "azure.usePrimaryAddress",
    key: "datapath.routes.integration.usePrimaryAddress",
    value: (datapath) => azure(datapath)?.usePrimaryAddress,
  },

  // The chart would answer each of these with a datapath of its own: VXLAN, none, and a load balancer without pods.
  { path: "aksbyocni.enabled", key: "datapath.mode", value: () => undefined },
  { path: "alibabacloud.enabled", key: "datapath.routes.integration", value: () => undefined },
  { path: "loadBalancer.standalone", key: "datapath.mode", value: () => undefined },
];
