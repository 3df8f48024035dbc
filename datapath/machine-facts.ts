import type { LabConfig } from "./config/index.ts";
import type { Machines } from "./config/machines.ts";

/** Number of nodes. */
export function nodeCount(machines: Machines): number {
  return machines.kind === "hosts" ? machines.hosts.length : machines.count;
}

/** The network that the lab makes for its nodes; nothing where the nodes have addresses of their own already. */
export function nodeNetwork(machines: Machines): string | undefined {
  return machines.kind === "hosts" ? undefined : machines.network;
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
