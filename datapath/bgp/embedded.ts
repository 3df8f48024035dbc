import type { Datapath } from "../config/datapath.ts";
import type { LabNode } from "../plan/nodes.ts";
import { routerBird } from "./bird.ts";

/** The configuration of the BIRD in the router between the nodes of an embedded lab; nothing where none speaks BGP there. */
export function labRouterBird(datapath: Datapath, nodes: readonly LabNode[]): string | undefined {
  const [first] = nodes;
  if (datapath.mode !== "native" || datapath.routes.kind !== "bgp" || first === undefined) return undefined;
  const { localASN, peer } = datapath.routes;
  if (peer === undefined) return undefined;
  return routerBird(
    nodes.map(({ name, address }) => ({ name, address, asn: localASN })),
    { address: first.gateway, asn: peer.asn, pool: datapath.ipam.clusterPoolIPv4PodCIDR },
  );
}

/** A namespace whose kernel gets routes by BGP, and the pod CIDR that is its own. */
export interface LearningNamespace {
  readonly namespace: string;
  readonly ownPodCidr?: string;
}

/** Who has to know every node's pods by BGP before pods can talk: the nodes, or the router that forwards for them. */
export function learningNamespaces(
  datapath: Datapath,
  nodes: readonly LabNode[],
  networkNamespace: string,
): LearningNamespace[] {
  if (datapath.mode !== "native" || datapath.routes.kind !== "bgp") return [];
  const { speaker, peer } = datapath.routes;
  const learners = nodes.map(({ namespace, podCidr }) => ({ namespace, ownPodCidr: podCidr }));
  return [
    ...(speaker === "kube-router" ? learners : []),
    ...(peer === undefined ? [] : [{ namespace: networkNamespace }]),
  ];
}
