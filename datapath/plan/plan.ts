import { afterFallbacks, agentOptions } from "../cilium/agent.ts";
import type { Datapath } from "../config/datapath.ts";

/**
 * What must hold on one node when the datapath that was asked for is in effect. The plan is applied, previewed and
 * verified; it is computed here and written nowhere else.
 */
export interface NodePlan {
  readonly node: string;
  /** Every link that tells datapaths apart, by name: what it is, or that it must not exist. */
  readonly links: Readonly<Record<string, LinkPlan>>;
  /** How packets to every peer's pod CIDR go, by destination. */
  readonly routes: Readonly<Record<string, RoutePlan>>;
  /** The route to this node's pods that the router between the nodes has to know by itself; absent in other modes. */
  readonly routerRoute?: { readonly destination: string; readonly via: string };
  /** The BGP daemon that the embedded lab runs on this node; absent where none does, or Kubernetes runs it. */
  readonly bgp?: BgpPlan;
  /** Largest IPv4 packet, in bytes, that passes from a pod here to a pod on another node. */
  readonly pathMtuBytes: number;
  /** MTU in bytes on the pod's own default route; absent where the device's MTU holds. */
  readonly podRouteMtuBytes?: number;
  /** How packets between pods on different nodes look on this node's NIC. */
  readonly wire: WirePlan;
  /** Source NAT of pod traffic that leaves `excludedCidr`; absent where masquerading is off. */
  readonly masquerade?: {
    readonly podCidr: string;
    readonly excludedCidr: string;
    /** The nodes' own addresses are left out as well, `at first`: until the agent forgets them. */
    readonly exceptNodes?: "always" | "at first";
  };
}

/** What a node's BGP daemon announces, to whom, and what becomes of what it learns. */
export interface BgpPlan {
  readonly asn: number;
  readonly announces: string;
  /** Whether learned routes go to the node's kernel; if not, the peer forwards. */
  readonly installs: boolean;
  readonly peers: readonly BgpPeerPlan[];
}

export interface BgpPeerPlan {
  readonly name: string;
  readonly address: string;
  readonly asn: number;
}

/** The router between the nodes of the embedded lab, as BGP's sessions name it. */
const routerName = "router";

export type LinkPlan =
  { readonly state: "absent" } | { readonly state: "up"; readonly kind: TunnelProtocol; readonly port: number };

export type TunnelProtocol = "vxlan" | "geneve";

export interface RoutePlan {
  /** Next hop; absent where it is chosen by the agent and not known before. */
  readonly via?: string;
  readonly device: string;
  /** MTU on the route in bytes; absent where the device's MTU holds. */
  readonly mtuBytes?: number;
  /** Outer destination, where the route itself encapsulates (embedded lab). */
  readonly tunnelEndpoint?: string;
  /** Whose word it is: the plan's own, the default route (there is no route of its own), or a BGP daemon's. */
  readonly from: "plan" | "default" | "bgp";
}

export type WirePlan =
  | { readonly pods: "encapsulated"; readonly protocol: TunnelProtocol; readonly port: number }
  | { readonly pods: "encrypted"; readonly protocol: "wireguard" | "ipsec" }
  | { readonly pods: "bare" };

/** What a plan has to know of a node. Nothing in it comes out of a command. */
export interface PlannedNode {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  readonly gateway: string;
  /** The node's address towards its pods; absent where the agent chooses it. */
  readonly routerAddress?: string;
  /** The NIC towards the other nodes; eth0 where absent. */
  readonly device?: string;
}

/**
 * Who carries the plan out. `kernel`: the embedded lab, where routes themselves encapsulate. `cilium`: the agent, whose
 * routes lead to cilium_host in tunnel mode, from where its programs encapsulate (1.13.4 pkg/datapath/linux/node.go).
 */
export type Carrier = "kernel" | "cilium";

/** Bytes that a tunnel takes: outer IPv4, UDP and tunnel header, and the inner Ethernet (1.13.4 pkg/mtu/mtu.go). */
export const tunnelOverheadBytes = 50;

/** Bytes that the agent keeps free for encryption (1.13.4 pkg/mtu/mtu.go). */
const encryptionOverheadBytes = { wireguard: 80, ipsec: 77 };

/** The name of Cilium's tunnel device (1.13.4 bpf/init.sh). */
function tunnelLink(protocol: TunnelProtocol): string {
  return `cilium_${protocol}`;
}

const tunnelProtocols: readonly TunnelProtocol[] = ["vxlan", "geneve"];

/** Default UDP ports (1.13.4 pkg/option/config.go). */
const defaultTunnelPort: Readonly<Record<TunnelProtocol, number>> = { vxlan: 8472, geneve: 6081 };

/**
 * The plan of every node.
 * @param nodes all nodes, each with its pod CIDR
 * @param underlayMtuBytes MTU of the nodes' NICs
 */
export function planFor(
  datapath: Datapath,
  nodes: readonly PlannedNode[],
  { carrier, underlayMtuBytes }: { readonly carrier: Carrier; readonly underlayMtuBytes: number },
): NodePlan[] {
  const tunnel = datapath.mode === "native" ? undefined : { protocol: datapath.mode, port: tunnelPort(datapath) };
  const encryption = carrier === "cilium" && datapath.encryption !== "none" ? datapath.encryption : undefined;
  const pathMtuBytes = underlayMtuBytes - overheadBytes(tunnel !== undefined, encryption);
  return nodes.map((node) => ({
    node: node.name,
    links: Object.fromEntries(
      tunnelProtocols.map((protocol): [string, LinkPlan] => [
        tunnelLink(protocol),
        tunnel?.protocol === protocol ? { state: "up", kind: protocol, port: tunnel.port } : { state: "absent" },
      ]),
    ),
    routes: Object.fromEntries(
      nodes
        .filter((peer) => peer !== node)
        .map((peer): [string, RoutePlan] => [peer.podCidr, routeTo(peer, node, datapath, carrier, pathMtuBytes)]),
    ),
    ...(datapath.mode === "native" && datapath.routes.kind === "router"
      ? { routerRoute: { destination: node.podCidr, via: node.address } }
      : {}),
    ...(carrier === "kernel" ? bgpOf(node, nodes, datapath) : {}),
    pathMtuBytes,
    ...(pathMtuBytes === underlayMtuBytes ? {} : { podRouteMtuBytes: pathMtuBytes }),
    wire: wireOf(tunnel, encryption),
    ...(datapath.masquerade.ipv4
      ? {
          masquerade: {
            podCidr: node.podCidr,
            excludedCidr: excludedCidr(datapath, node, carrier),
            ...nodeExemption(datapath, carrier),
          },
        }
      : {}),
  }));
}

/** Whether daemons carry the routes between the nodes by BGP. */
export function speaksBgp(datapath: Datapath): boolean {
  return datapath.mode === "native" && datapath.routes.kind === "bgp";
}

/** kube-router's daemons peer with each other, and with a router where one is named; Cilium's with the router alone. */
function bgpOf(node: PlannedNode, nodes: readonly PlannedNode[], datapath: Datapath): { readonly bgp?: BgpPlan } {
  if (datapath.mode !== "native" || datapath.routes.kind !== "bgp") return {};
  const { speaker, localASN: asn, peer } = datapath.routes;
  const installs = speaker === "kube-router";
  const others = installs ? nodes.filter((other) => other !== node) : [];
  const router = peer === undefined ? [] : [{ name: routerName, address: node.gateway, asn: peer.asn }];
  const peers = [...others.map(({ name, address }) => ({ name, address, asn })), ...router];
  return { bgp: { asn, announces: node.podCidr, installs, peers } };
}

/** Bytes of the nodes' MTU that pods don't have. WireGuard's allowance holds the tunnel's as well; IPsec's comes on top of it (1.13.4 pkg/mtu/mtu.go GetRouteMTU). */
export function overheadBytes(hasTunnel: boolean, encryption: "wireguard" | "ipsec" | undefined): number {
  if (encryption === "wireguard") return encryptionOverheadBytes.wireguard;
  return (hasTunnel ? tunnelOverheadBytes : 0) + (encryption === "ipsec" ? encryptionOverheadBytes.ipsec : 0);
}

/** With WireGuard the tunnel is inside the encryption, and IPsec encrypts what the tunnel carries. */
function wireOf(
  tunnel: { readonly protocol: TunnelProtocol; readonly port: number } | undefined,
  encryption: "wireguard" | "ipsec" | undefined,
): WirePlan {
  if (encryption === "wireguard") return { pods: "encrypted", protocol: encryption };
  if (tunnel !== undefined) return { pods: "encapsulated", ...tunnel };
  return encryption === undefined ? { pods: "bare" } : { pods: "encrypted", protocol: encryption };
}

/** UDP port of a tunnel datapath. */
export function tunnelPort(datapath: Extract<Datapath, { mode: TunnelProtocol }>): number {
  return datapath.tunnelPort ?? defaultTunnelPort[datapath.mode];
}

/**
 * Without a tunnel the agent masquerades nothing to nodes. With iptables it keeps a set of their addresses for that (1.13.4
 * config.go:2513), and takes each out again when it hears of that node the second time: it compares the address with prefixes
 * (pkg/node/manager/manager.go:528; seen on the real agent, where the set ends up with the agent's own node alone).
 */
function nodeExemption(datapath: Datapath, carrier: Carrier): { readonly exceptNodes?: "always" | "at first" } {
  if (datapath.mode !== "native" || carrier !== "cilium") return {};
  // BPF masquerade that the agent gives up is iptables (seen on the real agent, native without kube-proxy replacement).
  const { options } = afterFallbacks(agentOptions(datapath));
  return { exceptNodes: options.enableBPFMasquerade ? "always" : "at first" };
}

/**
 * What a pod's packets may go to under its own address. In a tunnel the agent leaves out its node's pod CIDR alone, as packets to
 * other pods are inside the tunnel before they are masqueraded (1.13.4 pkg/datapath/config.go RemoteSNATDstAddrExclusionCIDRv4).
 */
function excludedCidr(datapath: Datapath, { podCidr }: PlannedNode, carrier: Carrier): string {
  const pool = datapath.ipam.clusterPoolIPv4PodCIDR;
  if (datapath.mode === "native") return datapath.ipv4NativeRoutingCIDR ?? pool;
  return carrier === "cilium" ? podCidr : pool;
}

function routeTo(
  peer: PlannedNode,
  node: PlannedNode,
  datapath: Datapath,
  carrier: Carrier,
  pathMtuBytes: number,
): RoutePlan {
  if (datapath.mode !== "native") {
    if (carrier === "cilium") {
      const via = node.routerAddress === undefined ? {} : { via: node.routerAddress };
      return { ...via, device: "cilium_host", mtuBytes: pathMtuBytes, from: "plan" };
    }
    const via = peer.routerAddress === undefined ? {} : { via: peer.routerAddress };
    const device = tunnelLink(datapath.mode);
    return { ...via, device, mtuBytes: pathMtuBytes, tunnelEndpoint: peer.address, from: "plan" };
  }
  const device = node.device ?? "eth0";
  switch (datapath.routes.kind) {
    case "direct":
      return { via: peer.address, device, from: "plan" };
    case "router":
      return { via: node.gateway, device, from: "default" };
    case "bgp":
      // kube-router peers node with node; Cilium only advertises.
      return datapath.routes.speaker === "kube-router"
        ? { via: peer.address, device, from: "bgp" }
        : { via: node.gateway, device, from: "default" };
  }
}

/** A node's plan in words a person compares at a glance; these stand in a preview's diff. */
export interface NodePlanInWords {
  readonly links: Readonly<Record<string, string>>;
  readonly routes: Readonly<Record<string, string>>;
  readonly routerRoute: string;
  readonly bgp?: string;
  readonly pathMtuBytes: number;
  readonly wire: string;
  readonly masquerade: string;
}

export function describeNodePlan(plan: NodePlan): NodePlanInWords {
  const { wire, masquerade, routerRoute, bgp } = plan;
  return {
    links: mapValues(plan.links, describeLinkPlan),
    routes: mapValues(plan.routes, describeRoutePlan),
    routerRoute: routerRoute === undefined ? "none" : `${routerRoute.destination} via ${routerRoute.via}`,
    ...(bgp === undefined ? {} : { bgp: describeBgpPlan(bgp) }),
    pathMtuBytes: plan.pathMtuBytes,
    wire: describeWirePlan(wire),
    masquerade:
      masquerade === undefined
        ? "off"
        : `${masquerade.podCidr} to all but ${masquerade.excludedCidr}${exempt(masquerade.exceptNodes)}`,
  };
}

function exempt(nodes: "always" | "at first" | undefined): string {
  if (nodes === undefined) return "";
  return nodes === "always" ? " and the nodes" : " and, at first, the nodes";
}

function describeBgpPlan({ asn, announces, installs, peers }: BgpPlan): string {
  const sessions = peers.map((peer) => `${peer.name} (AS ${peer.asn})`).join(", ");
  return `AS ${asn} announces ${announces} to ${sessions}${installs ? "" : ", installs nothing"}`;
}

function describeWirePlan(wire: WirePlan): string {
  switch (wire.pods) {
    case "bare":
      return "pod packets as they are";
    case "encapsulated":
      return `pod packets inside ${wire.protocol}, UDP ${wire.port}`;
    case "encrypted":
      return `pod packets encrypted by ${wire.protocol}`;
  }
}

export function describeLinkPlan(link: LinkPlan): string {
  return link.state === "absent" ? "absent" : `${link.kind}, UDP ${link.port}, up`;
}

/** In the terms of `ip route`: `via 10.42.1.1 dev cilium_vxlan mtu 1450 to 172.30.0.6`. */
function describeRoutePlan(route: RoutePlan): string {
  const origin = { plan: [], default: ["(default route)"], bgp: ["(BGP)"] }[route.from];
  return [...routeWords(route), ...origin].join(" ");
}

/** The parts of a route that a plan speaks of, in the order of `ip route`. */
export function routeWords({ via, device, mtuBytes, tunnelEndpoint }: Omit<RoutePlan, "from">): string[] {
  return [
    ...(via === undefined ? [] : [`via ${via}`]),
    `dev ${device}`,
    ...(mtuBytes === undefined ? [] : [`mtu ${mtuBytes}`]),
    ...(tunnelEndpoint === undefined ? [] : [`to ${tunnelEndpoint}`]),
  ];
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/** The protocol of a tunnel datapath; nothing where packets go as they are. */
export function tunnelProtocol(datapath: Datapath): TunnelProtocol | undefined {
  return datapath.mode === "native" ? undefined : datapath.mode;
}

/** A datapath in two or three words: `vxlan`, `native, direct routes`. */
export function datapathTitle(datapath: Datapath): string {
  return datapath.mode === "native" ? `native, ${datapath.routes.kind} routes` : datapath.mode;
}
