import type { WirePlan } from "../plan/plan.ts";

/** What was read from one node and the pods on it. A field is absent where it could not be read. */
export interface NodeEvidence {
  readonly node: string;
  /** Why something is absent, in the words of the tool that failed. */
  readonly failures: readonly string[];
  readonly links?: readonly LinkEvidence[];
  /** The main routing table, IPv4. */
  readonly routes?: readonly RouteEvidence[];
  /** What `ip route get` answers for each peer's pod, by the pod's address; no entry where the kernel knows no route. */
  readonly routeTo?: Readonly<Record<string, RouteEvidence>>;
  /** Sessions of the node's BGP daemon, by the peer's name. */
  readonly bgpSessions?: Readonly<Record<string, BgpSessionEvidence>>;
  /** The pod's own default route. */
  readonly podDefaultRoute?: RouteEvidence;
  /** Largest unfragmented IPv4 packet from this node's pod to the pod on each probed peer, by the peer's name. */
  readonly pathMtu: Readonly<Record<string, PathMtuEvidence>>;
  /** Packets on the node's NIC while pods on this node talked to pods on other nodes. */
  readonly wire?: WireEvidence;
  /** Under which source address the pod's packets to an address outside the excluded CIDR arrived. */
  readonly masquerade?: { readonly seenFrom: string };
}

export interface BgpSessionEvidence {
  /** As the daemon says it: `Established`, `Active`, `Connect`, `Down`, … */
  readonly state: string;
  /** Routes taken from the peer, and given to it. */
  readonly learned: number;
  readonly announced: number;
}

export interface LinkEvidence {
  readonly name: string;
  /** `veth`, `vxlan`, …; absent for a physical NIC. */
  readonly kind?: string;
  readonly up: boolean;
  readonly mtuBytes: number;
  /** UDP port of a tunnel device. */
  readonly port?: number;
}

export interface RouteEvidence {
  readonly destination: string;
  readonly device: string;
  readonly via?: string;
  readonly mtuBytes?: number;
  /** Outer destination of a route that encapsulates. */
  readonly tunnelEndpoint?: string;
  /** `kernel`, `bird`, …; absent for a route set by hand or by an agent. */
  readonly protocol?: string;
}

/** `largestBytes` is absent where not even a small packet got through. */
export interface PathMtuEvidence {
  readonly largestBytes?: number;
}

export interface WireEvidence {
  /** Packets that carry a pod packet inside, by outer protocol and port: `UDP 8472`. */
  readonly encapsulated: Readonly<Record<string, number>>;
  /** Packets whose outer IP header bears pod addresses of different nodes. */
  readonly bare: number;
  readonly captured: number;
  /** Why packets may be missing from the counts, in words; absent where all were counted. */
  readonly lost?: string;
}

/**
 * What carries pod packets according to a plan, named as the wire evidence counts it; nothing where they go bare.
 * Cilium's WireGuard port: 1.13.4 pkg/wireguard/types/types.go; IPsec is ESP.
 */
export function carrierOf(wire: WirePlan): string | undefined {
  switch (wire.pods) {
    case "bare":
      return undefined;
    case "encapsulated":
      return `UDP ${wire.port}`;
    case "encrypted":
      return { wireguard: "UDP 51871", ipsec: "ESP" }[wire.protocol];
  }
}
