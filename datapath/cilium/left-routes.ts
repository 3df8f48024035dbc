import type { Datapath } from "../config/datapath.ts";

/** Whose routes to pods stay on nodes when a datapath takes them away: an agent's own to its peers, or kube-router's. */
export type RouteOwner = "agent" | "kube-router";

/**
 * Whose routes to other nodes' pods a datapath before this one may have left, which nobody takes away by himself. An agent leaves its
 * direct routes when they are turned off in native mode (1.13.4 pkg/datapath/linux/node.go), and replaces them for a tunnel; kube-router leaves its own when it
 * ends (`--bgp-graceful-restart`).
 */
export function leftRoutes(datapath: Datapath): RouteOwner[] {
  const routes = datapath.mode === "native" ? datapath.routes : undefined;
  return [
    ...(routes === undefined || routes.kind === "direct" ? [] : (["agent"] as const)),
    ...(routes?.kind === "bgp" && routes.speaker === "kube-router" ? [] : (["kube-router"] as const)),
  ];
}

/** A node, as routes to its pods name it. */
interface Peer {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
}

/** What `ip route delete` is told for the routes of an owner that may be on a node. */
export function routesLeftOn(
  node: Pick<Peer, "name">,
  peers: readonly Peer[],
  owners: readonly RouteOwner[],
): string[] {
  return peers
    .filter(({ name }) => name !== node.name)
    .flatMap(({ podCidr, address }) => [
      ...(owners.includes("agent") ? [`${podCidr} via ${address} proto boot`] : []),
      // RTPROT_ZEBRA (kube-router pkg/controllers/routing, go-netlink's 0x11).
      ...(owners.includes("kube-router") ? [`${podCidr} proto 17`] : []),
    ]);
}
