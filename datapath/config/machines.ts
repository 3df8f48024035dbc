import { z } from "zod";
import { ipv4Cidr } from "./fields.ts";
import { existingClusterMachines } from "./existing-cluster.ts";
import { existingHosts } from "./hosts.ts";
import { libvirtMachines } from "./libvirt.ts";
import { madeNodes } from "./nodes.ts";

/** Network namespaces on the machine that runs Pulumi, joined by a bridge in a namespace of its own. */
export const namespaceMachines = z.strictObject({
  kind: z.literal("namespaces"),
  ...madeNodes,
  network: ipv4Cidr.default("172.30.0.0/24").meta({
    description:
      "Node network. Each node has a /30 of it, so that it keeps its address when the nodes are put on subnets of their own.",
  }),
  mtuBytes: z.int().min(1280).max(65535).default(1500).meta({ description: "MTU of the nodes' eth0, in bytes." }),
});

export type NamespaceMachines = z.infer<typeof namespaceMachines>;

/** The kinds of machine a lab can stand on. */
export const machines = z.discriminatedUnion("kind", [
  namespaceMachines,
  libvirtMachines,
  existingHosts,
  existingClusterMachines,
]);

export type Machines = z.infer<typeof machines>;
