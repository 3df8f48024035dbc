import { nodeBird } from "../bgp/bird.ts";
import type { LabNode } from "./nodes.ts";
import type { NodePlan, RoutePlan } from "./plan.ts";

/** A node's plan in the terms of scripts/namespaces/datapath-up. */
export interface KernelSettings {
  readonly environment: Readonly<Record<string, string>>;
  /**
   * A line a route, in the order of the plan: destination, next hop, device, MTU, tunnel endpoint and that device's Ethernet
   * address, each a dash where absent. Kept short: the engine writes its whole state anew at every step.
   */
  readonly routes: string;
}

/**
 * Turns a plan for the embedded lab into what the kernel is told. Every value in it was parsed as an address, a CIDR or a
 * number before.
 * @param pool the CIDR that holds every pod CIDR
 */
export function kernelSettings(plan: NodePlan, node: LabNode, pool: string): KernelSettings {
  const tunnel = Object.entries(plan.links).flatMap(([name, link]) =>
    link.state === "up" ? [{ name, ...link }] : [],
  )[0];
  return {
    environment: {
      LAB_NODE_NAMESPACE: node.namespace,
      LAB_POD_NAMESPACE: node.pod.namespace,
      LAB_SECOND_POD_NAMESPACE: node.secondPod?.namespace ?? "",
      LAB_ROUTER_ADDRESS: node.routerAddress,
      LAB_POD_CIDRS: pool,
      LAB_POD_LINKS: [node.pod, node.secondPod].flatMap((pod) => pod?.link ?? []).join(" "),
      LAB_TUNNEL_LINK: tunnel?.name ?? "",
      LAB_TUNNEL_KIND: tunnel?.kind ?? "",
      LAB_TUNNEL_PORT: tunnel === undefined ? "" : `${tunnel.port}`,
      LAB_TUNNEL_ADDRESS: tunnel === undefined ? "" : ethernetAddress(node.address),
      LAB_POD_ROUTE_MTU: plan.podRouteMtuBytes === undefined ? "" : `${plan.podRouteMtuBytes}`,
      LAB_POD_CIDR: node.podCidr,
      LAB_ROUTER_NEXT_HOP: plan.routerRoute?.via ?? "",
      LAB_MASQUERADE_FROM: plan.masquerade?.podCidr ?? "",
      LAB_MASQUERADE_EXCEPT: plan.masquerade?.excludedCidr ?? "",
      LAB_BGP: plan.bgp === undefined ? "" : nodeBird(plan.bgp, { address: node.address, pool }),
    },
    routes: Object.entries(plan.routes)
      .flatMap(([destination, route]) => (route.from === "plan" ? [`${routeLine(destination, route)}\n`] : []))
      .join(""),
  };
}

function routeLine(destination: string, { via, device, mtuBytes, tunnelEndpoint }: RoutePlan): string {
  const ethernet = tunnelEndpoint === undefined ? undefined : ethernetAddress(tunnelEndpoint);
  return [destination, via, device, mtuBytes, tunnelEndpoint, ethernet].map((word) => word ?? "-").join(" ");
}

/** A locally administered Ethernet address that only this node's tunnel device has: 02:00 and the node's IPv4 address. */
function ethernetAddress(address: string): string {
  const octets = address.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
  return ["02", "00", ...octets].join(":");
}
