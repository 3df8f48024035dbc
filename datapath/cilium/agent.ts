import type { ChartValue } from "./chart.ts";
import type { Datapath } from "../config/datapath.ts";
import { chartValue } from "./helm-values.ts";

/**
 * The agent's options as the chart's templates hand them over, what the chart forces silently included. Named as in 1.13.4
 * pkg/option/config.go.
 */
export interface AgentOptions {
  readonly tunnel: "vxlan" | "geneve" | "disabled";
  readonly kubeProxyReplacement: "disabled" | "partial" | "strict";
  readonly enableNodePort: boolean;
  readonly enableExternalIPs: boolean;
  readonly enableHostPort: boolean;
  readonly enableSocketLB: boolean;
  readonly enableSessionAffinity: boolean;
  readonly enableIPv4: boolean;
  readonly enableIPv6: boolean;
  readonly enableIPv4Masquerade: boolean;
  readonly enableIPv6Masquerade: boolean;
  readonly enableBPFMasquerade: boolean;
  readonly enableIPMasqAgent: boolean;
  readonly enableRemoteNodeIdentity: boolean;
  readonly egressMasqueradeInterfaces: string;
  readonly enableHostLegacyRouting: boolean;
  readonly enableEndpointRoutes: boolean;
  readonly installNoConntrackIptRules: boolean;
  readonly enableBandwidthManager: boolean;
  readonly enableBBR: boolean;
  readonly enableIPv6BIGTCP: boolean;
  readonly enableHostFirewall: boolean;
  readonly enableIPSec: boolean;
  readonly enableWireguard: boolean;
  readonly devices: readonly string[];
}

/** The options that the agent gets, with what a kube-proxy replacement switches on and off at its start. */
export function agentOptions(datapath: Datapath): AgentOptions {
  const at = (path: string): ChartValue | undefined => chartValue(datapath, path);
  const isOn = (path: string): boolean => at(path) === true;
  const { mode, kubeProxyReplacement, masquerade, encryption, bandwidthManager } = datapath;
  const replacement = kubeProxyReplacement.mode;
  const strict = replacement === "strict";
  // The chart renders these three with partial only; strict switches all on (1.13.4 cilium-configmap.yaml:610, kpr:73).
  const replaces = (path: string): boolean => strict || (replacement === "partial" && isOn(path));
  const cloud = isOn("gke.enabled") || isOn("eni.enabled") || isOn("azure.enabled");
  const chained = at("cni.chainingMode") !== "none";
  const enableIPv4 = at("ipv4.enabled") !== false;
  const enableIPv6 = datapath.ipv6.enabled;
  const interfaces = at("egressMasqueradeInterfaces");
  return {
    tunnel: mode === "native" ? "disabled" : mode,
    kubeProxyReplacement: replacement,
    enableNodePort: replaces("nodePort.enabled"),
    enableExternalIPs: replaces("externalIPs.enabled"),
    enableHostPort: replaces("hostPort.enabled"),
    enableSocketLB: replaces("socketLB.enabled"),
    enableSessionAffinity: replaces("sessionAffinity"),
    enableIPv4,
    enableIPv6,
    enableIPv4Masquerade: masquerade.ipv4 && enableIPv4,
    enableIPv6Masquerade: masquerade.ipv6 && enableIPv6,
    enableBPFMasquerade: masquerade.implementation === "bpf",
    enableIPMasqAgent: isOn("ipMasqAgent.enabled"),
    enableRemoteNodeIdentity: at("remoteNodeIdentity") !== false,
    egressMasqueradeInterfaces: typeof interfaces === "string" ? interfaces : "",
    enableHostLegacyRouting: datapath.hostRouting === "legacy",
    enableEndpointRoutes: datapath.endpointRoutes || cloud,
    installNoConntrackIptRules: datapath.conntrackBypass && !cloud && !chained,
    enableBandwidthManager: bandwidthManager.enabled,
    enableBBR: bandwidthManager.enabled && bandwidthManager.bbr,
    enableIPv6BIGTCP: datapath.ipv6.bigTCP,
    enableHostFirewall: isOn("hostFirewall.enabled"),
    enableIPSec: encryption === "ipsec",
    enableWireguard: encryption === "wireguard",
    devices: datapath.devices,
  };
}

/** A feature that the agent can give up, and run on without. */
export type Fallback = "masquerade" | "hostRouting" | "bandwidthManager" | "bigTCP";

/** What is left of the options once the agent runs. */
export interface InEffect {
  readonly options: AgentOptions;
  /** Why a feature that was asked for is not in effect, as a sentence; absent where it is, or was not asked for. */
  readonly reasons: Readonly<Partial<Record<Fallback, string>>>;
}

/**
 * What the agent makes of its options, in its own order: first match first. Kernels are taken for new enough and NICs for
 * able; `datapath/machines/kernel.ts` knows the floors.
 */
export function afterFallbacks(asked: AgentOptions): InEffect {
  const reasons: Partial<Record<Fallback, string>> = {};
  const give = (fallback: Fallback, isAsked: boolean, reason: string | undefined): boolean => {
    if (!isAsked || reason === undefined) return isAsked;
    reasons[fallback] = reason;
    return false;
  };
  const enableBandwidthManager = give(
    "bandwidthManager",
    asked.enableBandwidthManager,
    asked.enableIPSec ? "IPsec turns the bandwidth manager off." : undefined,
  );
  const enableBPFMasquerade = give("masquerade", asked.enableBPFMasquerade, bpfMasqueradeObstacle(asked));
  const usesBpfHostRouting = give(
    "hostRouting",
    !asked.enableHostLegacyRouting,
    bpfHostRoutingObstacle(asked) ??
      (reasons.masquerade === undefined || !asked.enableIPv4Masquerade
        ? undefined
        : `BPF host routing needs BPF masquerade, which is not in effect: ${reasons.masquerade}`),
  );
  const enableIPv6BIGTCP = give(
    "bigTCP",
    asked.enableIPv6BIGTCP,
    hasDevices({ ...asked, enableBandwidthManager })
      ? undefined
      : "The agent looks for devices only with NodePort in BPF, the bandwidth manager or the host firewall, and finds none.",
  );
  return {
    options: {
      ...asked,
      enableBandwidthManager,
      enableBBR: asked.enableBBR && enableBandwidthManager,
      enableBPFMasquerade,
      enableHostLegacyRouting: !usesBpfHostRouting,
      enableIPv6BIGTCP,
    },
    reasons,
  };
}

/**
 * Whether the agent knows any device to attach to (1.13.4 pkg/option/config.go:2484, pkg/datapath/linux/devices.go:97).
 * @param asked the options before fallbacks: with a partial replacement the agent looks for the device of native BPF host
 * routing before it gives that up (devices.go:114, config.go:2626)
 */
function hasDevices(asked: AgentOptions): boolean {
  const routesByBpf = asked.kubeProxyReplacement !== "disabled" && !asked.enableHostLegacyRouting;
  return (
    asked.devices.length > 0 ||
    asked.enableNodePort ||
    asked.enableHostFirewall ||
    asked.enableBandwidthManager ||
    (routesByBpf && asked.tunnel === "disabled")
  );
}

/** 1.13.4 daemon/cmd/daemon.go:981-1045. */
function bpfMasqueradeObstacle(options: AgentOptions): string | undefined {
  if (!options.enableIPv4Masquerade) return "IPv4 is not masqueraded at all.";
  if (!options.enableNodePort) {
    return "BPF masquerade needs NodePort in BPF: kube-proxy replacement strict, or partial with nodePort.";
  }
  if (!options.enableRemoteNodeIdentity) return "BPF masquerade needs remote node identities.";
  if (options.egressMasqueradeInterfaces !== "") {
    return "BPF masquerade takes no egressMasqueradeInterfaces; devices says where it works.";
  }
  if (options.tunnel !== "disabled" && !options.enableSocketLB) return "BPF masquerade in a tunnel needs socketLB.";
  return undefined;
}

/** 1.13.4 daemon/cmd/kube_proxy_replacement.go:55, 415, 440-469. */
function bpfHostRoutingObstacle(options: AgentOptions): string | undefined {
  if (options.kubeProxyReplacement === "disabled") {
    return "BPF host routing needs kube-proxy replacement strict; disabled forces legacy.";
  }
  if (!options.enableNodePort) {
    return "BPF host routing needs kube-proxy replacement strict; partial without nodePort forces legacy.";
  }
  if (options.enableIPSec) return "BPF host routing does not work with IPsec.";
  if ((options.enableIPv4Masquerade || options.enableIPv6Masquerade) && !options.enableBPFMasquerade) {
    return "BPF host routing needs BPF masquerade, and iptables is asked for.";
  }
  if (options.kubeProxyReplacement !== "strict") return "BPF host routing needs kube-proxy replacement strict.";
  if (options.enableEndpointRoutes) return "BPF host routing does not work with endpoint routes.";
  if (options.enableWireguard) return "BPF host routing does not work with WireGuard.";
  return undefined;
}

/** Whether Cilium replaces all of kube-proxy, by strict or by every part of partial (1.13.4 pkg/option/config.go:3795). */
export function replacesAllOfKubeProxy(options: AgentOptions): boolean {
  return (
    options.enableHostPort &&
    options.enableNodePort &&
    options.enableExternalIPs &&
    options.enableSocketLB &&
    options.enableSessionAffinity
  );
}
