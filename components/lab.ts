import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../datapath/config/index.ts";
import { features } from "../datapath/features.ts";
import { ConfigError } from "../datapath/findings.ts";
import { kernelSettings } from "../datapath/kernel-settings.ts";
import { bridgeAddress, labNodes } from "../datapath/nodes.ts";
import { datapathTitle, planFor, tunnelProtocol, type NodePlan } from "../datapath/plan.ts";
import type { Run } from "../datapath/run.ts";
import { missingLinkKind } from "./machines/namespace-host.ts";
import { Namespaces } from "./machines/namespaces.ts";
import { NodeDatapath } from "./node-datapath.ts";
import { refusal } from "./stack-config.ts";
import { Verification } from "./verification.ts";

/** One node, as stack outputs name it. */
export interface NodeOutput {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  readonly namespace: string;
  readonly pod: { readonly namespace: string; readonly address: string };
}

/** A lab: machines, the datapath between them, and the proof of it. */
export class DatapathLab extends pulumi.ComponentResource {
  /** What was asked for, all defaults filled in. */
  public readonly datapath: LabConfig["datapath"];
  public readonly nodes: readonly NodeOutput[];
  public readonly plan: readonly NodePlan[];
  public readonly verification: pulumi.Output<Run>;

  constructor(name: string, config: LabConfig, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:index:DatapathLab", name, { machines: config.machines, datapath: config.datapath }, opts);
    const { machines, datapath, verification } = config;
    const project = pulumi.getProject();
    if (machines.kind !== "namespaces") throw refusal(new ConfigError([notWired(machines.kind)], project));
    const stack = pulumi.getStack();
    const pool = datapath.ipam.clusterPoolIPv4PodCIDR;
    const prefix = `${project}:${stack}:`;

    const tunnel = tunnelProtocol(datapath);
    const missing = tunnel === undefined ? undefined : missingLinkKind(tunnel);
    if (missing !== undefined) throw refusal(new ConfigError([missingKernelLink(missing)], project));

    const nodes = labNodes(machines, datapath, prefix);
    this.plan = planFor(datapath, nodes, { carrier: "kernel", underlayMtuBytes: machines.mtuBytes });
    const plans = new Map(this.plan.map((plan) => [plan.node, plan]));

    const made = new Namespaces(
      "machines",
      {
        nodes,
        mtuBytes: machines.mtuBytes,
        gateway: bridgeAddress(machines, datapath),
        linkKinds: tunnel === undefined ? [] : [tunnel],
        prefix,
      },
      { parent: this },
    );

    const title = datapathTitle(datapath);
    const applied = made.nodes.flatMap((machine) => {
      const plan = plans.get(machine.node.name);
      if (plan === undefined) return [];
      const settings = kernelSettings(plan, machine.node, pool);
      const { networkNamespace } = made;
      return new NodeDatapath(
        `${machine.node.name}-datapath`,
        { plan, settings, machine, networkNamespace, title },
        { parent: this },
      );
    });

    this.datapath = datapath;
    this.nodes = nodes.map(({ name, address, podCidr, namespace, pod }) => ({
      name,
      address,
      podCidr,
      namespace,
      pod: { namespace: pod.namespace, address: pod.address },
    }));
    const { runsFolder, occasion, ...settings } = verification;
    this.verification = new Verification(
      "verification",
      {
        spec: {
          lab: { project, stack, kind: "namespaces" },
          datapath,
          pool,
          nodes: [...this.nodes],
          plan: [...this.plan],
          features: features(config),
          settings,
          runsFolder,
        },
        title,
        occasion,
        incarnations: Object.fromEntries(made.nodes.map(({ node, incarnation }) => [node.name, incarnation])),
      },
      { parent: this, dependsOn: applied },
    ).run;

    // The outputs are the stack's: here they would stand in the state a second time, and they are large.
    this.registerOutputs({});
  }
}

function notWired(kind: string): ConstructorParameters<typeof ConfigError>[0][number] {
  return {
    id: "kind-without-cluster",
    severity: "error",
    key: "machines.kind",
    message: `Machines of kind ${kind} can be made, but nothing installs a cluster on them yet.`,
    wayOut: "Set machines.kind to namespaces.",
  };
}

function missingKernelLink(reason: string): ConstructorParameters<typeof ConfigError>[0][number] {
  return {
    id: "kernel-link",
    severity: "error",
    key: "datapath.mode",
    message: reason,
    wayOut: "Choose vxlan or native, or run the lab where the kernel has them.",
  };
}
