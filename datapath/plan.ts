/**
 * What must hold on one node when the datapath that was asked for is in effect. The plan is applied, previewed and
 * verified; it is computed here and written nowhere else.
 */
export interface NodePlan {
  readonly node: string;
  /** Every link that tells datapaths apart, by name: what it is, or that it must not exist. */
  readonly links: Readonly<Record<string, LinkPlan>>;
  /** Routes to every peer's pod CIDR, by destination. */
  readonly routes: Readonly<Record<string, RoutePlan>>;
  /** Largest IPv4 packet, in bytes, that passes from a pod here to a pod on another node. */
  readonly pathMtuBytes: number;
  /** How packets between pods on different nodes look on this node's NIC. */
  readonly wire: WirePlan;
  /** Source NAT of pod traffic that leaves `excludedCidr`; absent where masquerading is off. */
  readonly masquerade?: { readonly podCidr: string; readonly excludedCidr: string };
}

export type LinkPlan =
  { readonly state: "absent" } | { readonly state: "up"; readonly kind: TunnelProtocol; readonly port: number };

export type TunnelProtocol = "vxlan" | "geneve";

export interface RoutePlan {
  /** Next hop. */
  readonly via: string;
  readonly device: string;
  /** MTU on the route in bytes; absent where the device's MTU holds. */
  readonly mtuBytes?: number;
  /** Outer destination, where the route itself encapsulates (embedded lab). */
  readonly tunnelEndpoint?: string;
}

export type WirePlan =
  | { readonly pods: "encapsulated"; readonly protocol: TunnelProtocol; readonly port: number }
  | { readonly pods: "bare" };
