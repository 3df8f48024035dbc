import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { KernelSettings } from "../datapath/plan/kernel-settings.ts";
import { describeNodePlan, type NodePlan } from "../datapath/plan/plan.ts";
import { bgpIncarnationOf } from "./machines/namespace-host.ts";
import type { NamespaceNode } from "./machines/namespaces.ts";
import { asRoot } from "./scripts.ts";

export interface NodeDatapathArgs {
  readonly plan: NodePlan;
  /** The plan as the kernel is told it. */
  readonly settings: KernelSettings;
  readonly machine: NamespaceNode;
  readonly networkNamespace: string;
  /** The datapath's name: what a preview shows of the command below. */
  readonly title: string;
}

/**
 * One node's part of the datapath, applied straight to the kernel. The plan stands in this resource's inputs, link by link
 * and route by route, so that a preview shows a change of datapath as what goes and what comes; the command below hides the
 * same again in its own terms.
 */
export class NodeDatapath extends pulumi.ComponentResource {
  public readonly applied: command.local.Command;
  /** The node's BGP daemon and its configuration; changes where one of them does. Empty where none runs. */
  public readonly daemon: string;

  constructor(name: string, args: NodeDatapathArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:datapath:Node", name, { ...describeNodePlan(args.plan) }, opts);
    const { environment, routes } = args.settings;
    const incarnation = args.plan.bgp === undefined ? "" : bgpIncarnationOf(args.machine.node.namespace);
    this.daemon = `${incarnation}${environment["LAB_BGP"] ?? ""}`;
    this.applied = new command.local.Command(
      `${name}-apply`,
      {
        create: asRoot("namespaces/datapath-up"),
        environment: {
          ...environment,
          LAB_NETWORK_NAMESPACE: args.networkNamespace,
          LAB_INCARNATION: args.machine.incarnation,
          LAB_DATAPATH: args.title,
          LAB_BGP_INCARNATION: incarnation,
        },
        stdin: routes,
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        dependsOn: args.machine.resource,
        // The node takes its links and routes with it.
        deletedWith: args.machine.resource,
        hideDiffs: ["stdin"],
      },
    );
    this.registerOutputs({});
  }
}
