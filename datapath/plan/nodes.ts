import { addressAt, addressCount, prefixLength, subnetAt } from "../cidr.ts";
import type { NamespaceMachines } from "../config/machines.ts";
import type { Datapath } from "../config/datapath.ts";

/** A node of the embedded lab and the pod on it, with every address known before anything is made. */
export interface LabNode {
  readonly name: string;
  readonly address: string;
  /** Of the node's eth0: the whole node network, or /30 where each node is on a subnet of its own. */
  readonly prefixLength: number;
  readonly gateway: string;
  /** Address and prefix length of the node's port in the router; absent where the port is a bridge's. */
  readonly portAddress?: string;
  readonly podCidr: string;
  /** The node's address towards its pods, which Cilium calls the router IP. */
  readonly routerAddress: string;
  readonly namespace: string;
  readonly pod: LabPod;
  /** On the first node alone: what the pod there talks to without leaving the node. */
  readonly secondPod?: LabPod;
}

export interface LabPod {
  readonly namespace: string;
  readonly address: string;
  /** The node's end of the pod's veth. */
  readonly link: string;
}

/** Prefix length of the piece of the node network that each node has. */
export const nodeSubnetLength = 30;

/** Longest name of a link that the kernel takes, in bytes (IFNAMSIZ less the terminating zero). */
export const longestLinkName = 15;

/** Whether the nodes of a datapath stand on subnets of their own, with a router that forwards between their pods. */
function isRouted(datapath: Datapath): boolean {
  if (datapath.mode !== "native") return false;
  const { routes } = datapath;
  return routes.kind === "router" || (routes.kind === "bgp" && routes.speaker === "cilium");
}

/** The bridge's own address with its prefix length, which is every node's gateway; nothing in a routed network. */
export function bridgeAddress(machines: NamespaceMachines, datapath: Datapath): string | undefined {
  return isRouted(datapath) ? undefined : `${addressAt(machines.network, 1)}/${prefixLength(machines.network)}`;
}

/** Names of the nodes: the prefix and a number from 1. */
export function nodeNames({ namePrefix, count }: Pick<NamespaceMachines, "namePrefix" | "count">): string[] {
  return Array.from({ length: count }, (_, index) => `${namePrefix}${index + 1}`);
}

/**
 * Cuts the networks of an embedded lab into nodes. Node i has /30 number i of the node network: the first host is its gateway
 * there, the second its own address, so that a node keeps its address when the network between the nodes becomes a routed one.
 * Pod CIDR i is piece i of the pool.
 * @param prefix what the names of all namespaces of this lab begin with
 * @throws a RangeError where a network is too small; a checked config has large enough ones
 */
export function labNodes(machines: NamespaceMachines, datapath: Datapath, prefix: string): LabNode[] {
  const { clusterPoolIPv4PodCIDR: pool, clusterPoolIPv4MaskSize: maskSize } = datapath.ipam;
  const routed = isRouted(datapath);
  return nodeNames(machines).map((name, index) => {
    const subnet = subnetAt(machines.network, nodeSubnetLength, index);
    const ownGateway = addressAt(subnet, 1);
    const podCidr = subnetAt(pool, maskSize, index);
    const firstPodAt = addressCount(podCidr) > 16 ? 10 : 2;
    return {
      name,
      address: addressAt(subnet, 2),
      prefixLength: routed ? nodeSubnetLength : prefixLength(machines.network),
      gateway: routed ? ownGateway : addressAt(machines.network, 1),
      ...(routed ? { portAddress: `${ownGateway}/${nodeSubnetLength}` } : {}),
      podCidr,
      routerAddress: addressAt(podCidr, 1),
      namespace: `${prefix}${name}`,
      pod: {
        namespace: `${prefix}${name}:pod`,
        address: addressAt(podCidr, firstPodAt),
        link: "lxc_pod",
      },
      ...(index > 0
        ? {}
        : {
            secondPod: {
              namespace: `${prefix}${name}:pod-2`,
              address: addressAt(podCidr, firstPodAt + 1),
              link: "lxc_pod_2",
            },
          }),
    };
  });
}
