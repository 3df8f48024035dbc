import { addressAt, addressCount } from "../cidr.ts";
import type { Datapath } from "../config/datapath.ts";
import type { LibvirtMachines } from "../config/libvirt.ts";
import type { Machines } from "../config/machines.ts";

/** It forwards, and keeps a table: what a small cloud image takes to boot is enough. In MiB. */
const routerMemoryMebibytes = 1024;

/** Address of the machine that routes between the pods of a lab on libvirt: the last one of the network. */
export function libvirtRouterAddress({ network }: Pick<LibvirtMachines, "network">): string {
  return addressAt(network, addressCount(network) - 2);
}

/**
 * Whether a lab makes a machine that routes between its pods: libvirt's own network has nobody who would know the pod CIDRs. One
 * that peers with a router elsewhere has that one.
 */
export function bringsRouter(machines: Machines, datapath: Datapath): boolean {
  if (machines.kind !== "libvirt" || datapath.mode !== "native") return false;
  const { routes } = datapath;
  switch (routes.kind) {
    case "direct":
      return false;
    case "router":
      return routes.integration === undefined;
    case "bgp":
      return routes.peer?.address === libvirtRouterAddress(machines);
  }
}

/** What a router is made with, in the place of a node's share. */
export function routerShare(machines: LibvirtMachines): LibvirtMachines {
  // What nodes are measured with, and need for Cilium, is no affair of a router's.
  return {
    ...machines,
    packages: [],
    memoryMebibytes: Math.min(machines.memoryMebibytes, routerMemoryMebibytes),
  };
}
