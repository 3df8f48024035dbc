import type { LabConfig } from "../config/lab.ts";
import type { Machines } from "../config/machines.ts";

/** Number of nodes; nothing where only the cluster itself knows. */
export function nodeCount(machines: Machines): number | undefined {
  switch (machines.kind) {
    case "namespaces":
    case "libvirt":
      return machines.count;
    case "hosts":
      return machines.hosts.length;
    case "none":
      return undefined;
  }
}

/** The network that the lab makes for its nodes; nothing where the nodes have addresses of their own already. */
export function nodeNetwork(machines: Machines): string | undefined {
  return "network" in machines ? machines.network : undefined;
}

/** MTU of the network between the nodes, in bytes: what the datapath says of it, else the machines'. */
export function underlayMtuBytes({ machines, datapath }: Pick<LabConfig, "machines" | "datapath">): number {
  return datapath.mtuBytes ?? machines.mtuBytes;
}

/** Kinds of machine on which the kernel is told what Cilium would tell it, and Cilium itself never runs. */
const withoutCilium: readonly string[] = ["namespaces"];

/** Whether Cilium runs on the machines. */
export function runsCilium({ kind }: Machines): boolean {
  return !withoutCilium.includes(kind);
}
