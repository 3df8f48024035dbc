import { afterFallbacks, agentOptions, type AgentOptions } from "./agent.ts";
import { datapath as datapathSchema, type Datapath } from "../config/datapath.ts";
import type { LabConfig } from "../config/lab.ts";
import { kernelFloors, kernelOfMachines, meetsFloor } from "../machines/kernel.ts";
import { runsCilium } from "../machines/machine-facts.ts";
import { datapathTitle } from "../plan/plan.ts";

/** What was asked for, and what will be in effect. */
export interface PlannedFeature {
  readonly name: string;
  readonly requested: string;
  readonly effective: string;
  /** Why the two differ. */
  readonly reason?: string;
}

/** What decides beside the datapath itself. */
export interface Circumstances {
  readonly runsCilium: boolean;
  /** Kernel release of the machines; what needs a newer one is not in effect. Unknown: new enough. */
  readonly kernel?: string;
}

const modeNames = { vxlan: "VXLAN", geneve: "Geneve", native: "native" } as const;
const encryptionNames = { none: "off", wireguard: "WireGuard", ipsec: "IPsec" } as const;
const balancingNames = { snat: "SNAT", dsr: "DSR", hybrid: "hybrid" } as const;
const algorithmNames = { random: "random", maglev: "Maglev" } as const;

function onOff(value: boolean): string {
  return value ? "on" : "off";
}

interface Effect {
  readonly effective: string;
  readonly reason: string | undefined;
}

/**
 * Every feature of a datapath that the agent accepts: what was asked for, what will be in effect, and why not the same. (A
 * datapath that ends the agent has nothing in effect; the rules say so.)
 */
export function featuresOf(datapath: Datapath, { runsCilium: hasCilium, kernel }: Circumstances): PlannedFeature[] {
  const asked = agentOptions(datapath);
  const { options, reasons } = afterFallbacks(asked);
  const row = (
    name: string,
    requested: string,
    otherwise: Effect = { effective: requested, reason: undefined },
    embedded?: string,
  ): PlannedFeature => {
    const { effective, reason } = hasCilium
      ? (belowFloor(options, datapath, name, kernel, requested) ?? otherwise)
      : { effective: embedded ?? requested, reason: "No Cilium runs in the embedded lab." };
    return effective === requested || reason === undefined
      ? { name, requested, effective: requested }
      : { name, requested, effective, reason };
  };
  const toggle = (name: string, requested: boolean, reason?: string): PlannedFeature =>
    row(name, onOff(requested), { effective: onOff(requested && reason === undefined), reason }, "off");

  const { ipv6, bandwidthManager, loadBalancer, hubble, encryption } = datapath;
  const noBalancing = asked.enableNodePort ? undefined : "NodePort is not in BPF: kube-proxy balances.";

  return [
    row("routing", routing(datapath)),
    row("kube-proxy replacement", replacement(asked), undefined, "disabled"),
    row(
      "masquerading",
      masquerading(asked),
      { effective: masquerading(options), reason: reasons.masquerade },
      asked.enableIPv4Masquerade ? "iptables, IPv4" : "off",
    ),
    row("host routing", hostRouting(asked), { effective: hostRouting(options), reason: reasons.hostRouting }, "legacy"),
    toggle("bandwidth manager", bandwidthManager.enabled, reasons.bandwidthManager),
    toggle("BBR", bandwidthManager.bbr, options.enableBandwidthManager ? undefined : "The bandwidth manager is off."),
    toggle("IPv6", ipv6.enabled),
    toggle("IPv6 BIG TCP", ipv6.bigTCP, reasons.bigTCP ?? (ipv6.enabled ? undefined : "Pods have no IPv6.")),
    row("load balancer mode", balancingNames[loadBalancer.mode], { effective: "SNAT", reason: noBalancing }, "SNAT"),
    row(
      "load balancer algorithm",
      algorithmNames[loadBalancer.algorithm],
      { effective: "random", reason: noBalancing },
      "random",
    ),
    toggle("XDP acceleration", loadBalancer.acceleration === "native", noBalancing),
    toggle(
      "conntrack bypass",
      datapath.conntrackBypass,
      options.installNoConntrackIptRules ? undefined : "The chart turns it off with a cloud integration or chaining.",
    ),
    row(
      "endpoint routes",
      onOff(datapath.endpointRoutes),
      { effective: onOff(options.enableEndpointRoutes), reason: "The chart turns them on with a cloud integration." },
      "off",
    ),
    row("encryption", encryptionNames[encryption], undefined, "off"),
    toggle("L7 proxy", datapath.l7Proxy),
    toggle("Hubble", hubble.enabled),
    toggle("Hubble relay", hubble.relay),
    toggle("Hubble UI", hubble.ui),
  ];
}

/** The features of a stack on its own machines. */
export function features({ datapath, machines }: LabConfig): PlannedFeature[] {
  const kernel = kernelOfMachines(machines);
  return featuresOf(datapath, { runsCilium: runsCilium(machines), ...(kernel === undefined ? {} : { kernel }) });
}

/** The features of the chart's default datapath: what everybody has who chooses nothing. */
export function defaultFeatures(): PlannedFeature[] {
  return featuresOf(datapathSchema.parse({ mode: "vxlan" }), { runsCilium: true });
}

function routing(datapath: Datapath): string {
  return datapath.mode === "native" ? datapathTitle(datapath) : modeNames[datapath.mode];
}

function replacement({ kubeProxyReplacement, ...options }: AgentOptions): string {
  if (kubeProxyReplacement !== "partial") return kubeProxyReplacement;
  const parts = [
    ...(options.enableNodePort ? ["nodePort"] : []),
    ...(options.enableExternalIPs ? ["externalIPs"] : []),
    ...(options.enableHostPort ? ["hostPort"] : []),
    ...(options.enableSocketLB ? ["socketLB"] : []),
    ...(options.enableSessionAffinity ? ["sessionAffinity"] : []),
  ];
  return parts.length === 0 ? "partial, of nothing" : `partial: ${parts.join(", ")}`;
}

function masquerading({ enableIPv4Masquerade, enableIPv6Masquerade, enableBPFMasquerade }: AgentOptions): string {
  const families = [...(enableIPv4Masquerade ? ["IPv4"] : []), ...(enableIPv6Masquerade ? ["IPv6"] : [])];
  return families.length === 0 ? "off" : `${enableBPFMasquerade ? "BPF" : "iptables"}, ${families.join(" and ")}`;
}

function hostRouting({ enableHostLegacyRouting }: AgentOptions): string {
  return enableHostLegacyRouting ? "legacy" : "BPF";
}

/** What a kernel that is too old makes of a feature without ending the agent. */
function belowFloor(
  options: AgentOptions,
  datapath: Datapath,
  name: string,
  kernel: string | undefined,
  requested: string,
): Effect | undefined {
  if (kernel === undefined) return undefined;
  const floor = kernelFloors.find(
    (candidate) =>
      candidate.feature === name && candidate.asked(options, datapath) && meetsFloor(candidate, kernel) === false,
  );
  if (floor === undefined) return undefined;
  const effective = requested === "BPF" ? "legacy" : requested === "on" ? "off" : "none";
  return { effective, reason: `Kernel ${kernel} is older than ${floor.needs}.` };
}
