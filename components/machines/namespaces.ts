import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { LabNode } from "../../datapath/plan/nodes.ts";
import { asRoot } from "../scripts.ts";
import { bgpIncarnationOf, incarnationOf } from "./namespace-host.ts";

export interface NamespacesArgs {
  /** The nodes to make, with their addresses. */
  readonly nodes: readonly LabNode[];
  /** MTU of the nodes' NICs, in bytes. */
  readonly mtuBytes: number;
  /** The bridge's address with its prefix length; absent where each node is on a subnet of its own. */
  readonly gateway: string | undefined;
  /** Kinds of link that the kernel must have. */
  readonly linkKinds: readonly string[];
  /** Tools that the datapath needs beside those of every lab. */
  readonly tools: readonly string[];
  /** Configuration of a BGP daemon beside the bridge or in the router; absent where none is to run. */
  readonly bgp: string | undefined;
  /** What all names of this lab begin with. */
  readonly prefix: string;
}

/** What stands when a node is made: its namespaces, and which incarnation of them. */
export interface NamespaceNode {
  readonly node: LabNode;
  /** Changes when the node or the network between the nodes was made anew. */
  readonly incarnation: string;
  readonly resource: command.local.Command;
}

/**
 * Nodes and their pods as network namespaces of this machine, joined by a bridge in a namespace of its own. The first
 * resource makes nothing: it checks the machine, and its deletion removes whatever of this lab is left, however an update ended.
 */
export class Namespaces extends pulumi.ComponentResource {
  public readonly nodes: readonly NamespaceNode[];
  /** The namespace in which the bridge or the router between the nodes stands. */
  public readonly networkNamespace: string;
  /** The BGP daemon there and its configuration; changes where one of them does. Empty where none runs. */
  public readonly daemon: string;

  constructor(name: string, args: NamespacesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:machines:Namespaces", name, { mtuBytes: args.mtuBytes, gateway: args.gateway }, opts);

    const check = new command.local.Command(
      "machine-check",
      {
        create: asRoot("namespaces/check"),
        delete: asRoot("namespaces/sweep"),
        environment: {
          LAB_LINK_KINDS: args.linkKinds.join(" "),
          LAB_TOOLS: args.tools.join(" "),
          LAB_PREFIX: args.prefix,
        },
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );

    const networkNamespace = `${args.prefix}network`;
    this.networkNamespace = networkNamespace;
    const networkIncarnation = incarnationOf(networkNamespace);
    const bgpIncarnation = args.bgp === undefined ? "" : bgpIncarnationOf(networkNamespace);
    this.daemon = `${bgpIncarnation}${args.bgp ?? ""}`;
    const network = new command.local.Command(
      "network",
      {
        create: asRoot("namespaces/network-up"),
        environment: {
          LAB_NETWORK_NAMESPACE: networkNamespace,
          LAB_INCARNATION: networkIncarnation,
          LAB_MTU_BYTES: `${args.mtuBytes}`,
          LAB_GATEWAY: args.gateway ?? "",
          LAB_BGP_INCARNATION: bgpIncarnation,
        },
        stdin: args.bgp ?? "",
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: check, deletedWith: check },
    );

    this.nodes = args.nodes.map((node) => {
      const pods = [node.pod, ...(node.secondPod === undefined ? [] : [node.secondPod])];
      const incarnation = incarnationOf(node.namespace, ...pods.map(({ namespace }) => namespace));
      const resource = new command.local.Command(
        node.name,
        {
          create: asRoot("namespaces/node-up"),
          delete: asRoot("namespaces/node-down"),
          environment: {
            LAB_NETWORK_NAMESPACE: networkNamespace,
            LAB_NETWORK_INCARNATION: networkIncarnation,
            LAB_NODE_NAMESPACE: node.namespace,
            // A line a pod: namespace, the node's end of its veth, address.
            LAB_PODS: pods.map(({ namespace, link, address }) => `${namespace} ${link} ${address}\n`).join(""),
            LAB_INCARNATION: incarnation,
            LAB_PORT: node.name,
            LAB_PORT_ADDRESS: node.portAddress ?? "",
            LAB_NODE_ADDRESS: `${node.address}/${node.prefixLength}`,
            LAB_GATEWAY: node.gateway,
            LAB_ROUTER_ADDRESS: node.routerAddress,
            LAB_MTU_BYTES: `${args.mtuBytes}`,
          },
          addPreviousOutputInEnv: false,
        },
        { parent: this, dependsOn: network, deletedWith: check },
      );
      return { node, incarnation: `${networkIncarnation}/${incarnation}`, resource };
    });
    this.registerOutputs({});
  }
}
