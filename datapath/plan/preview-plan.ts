import { addressAt } from "../cidr.ts";
import type { LabConfig } from "../config/lab.ts";
import { bringsRouter, libvirtRouterAddress } from "../libvirt/router.ts";
import { labNodes, nodeNames } from "./nodes.ts";
import { runsCilium, underlayMtuBytes } from "../machines/machine-facts.ts";
import { planFor, type NodePlan, type PlannedNode } from "./plan.ts";

/** The plan of every node, as far as it is known before there is a machine. */
export function previewPlan({ machines, datapath }: LabConfig): NodePlan[] {
  const carrier = runsCilium(machines) ? "cilium" : "kernel";
  return planFor(datapath, plannedNodes({ machines, datapath }), {
    carrier,
    underlayMtuBytes: carrier === "kernel" ? machines.mtuBytes : underlayMtuBytes({ machines, datapath }),
  });
}

/** The nodes of a lab with the addresses that are known before there is a machine. */
export function plannedNodes({ machines, datapath }: Pick<LabConfig, "machines" | "datapath">): PlannedNode[] {
  switch (machines.kind) {
    case "namespaces":
      return labNodes(machines, datapath, "");
    case "libvirt":
      return nodesBeforeCilium(
        nodeNames(machines).map((name, index) => ({
          name,
          address: addressAt(machines.network, machines.firstHost + index),
        })),
        bringsRouter(machines, datapath) ? libvirtRouterAddress(machines) : addressAt(machines.network, 1),
      );
    case "hosts":
      return nodesBeforeCilium(
        machines.hosts.map(({ name, address, nodeAddress }) => ({ name, address: nodeAddress ?? address })),
      );
    case "none":
      // Its nodes are read from it when it is verified.
      return [];
  }
}

/**
 * Nodes whose pod CIDRs Cilium's operator, or Kubernetes, will choose: the plan names the node instead.
 * @param gateway where nodes send what they have no route of its own for, in words where it is not known
 */
export function nodesBeforeCilium(
  machines: readonly { readonly name: string; readonly address: string }[],
  gateway = "the default gateway",
): PlannedNode[] {
  return machines.map(({ name, address }) => ({ name, address, gateway, podCidr: `pod CIDR of ${name}` }));
}
