import * as pulumi from "@pulumi/pulumi";
import { accessCommands, type AccessCommands } from "../datapath/cilium/access.ts";
import type { LabConfig, LabConfigInput } from "../datapath/config/index.ts";
import { runsCilium } from "../datapath/machines/machine-facts.ts";
import type { NodePlan } from "../datapath/plan/plan.ts";
import { previewPlan } from "../datapath/plan/preview-plan.ts";
import type { Run } from "../datapath/run/run.ts";
import { ClusterLab } from "./cluster-lab.ts";
import { EmbeddedLab, type EmbeddedNode } from "./embedded-lab.ts";
import { ExistingCluster } from "./existing-cluster.ts";
import { K3s } from "./k3s.ts";
import { Hosts } from "./machines/hosts.ts";
import { Libvirt } from "./machines/libvirt.ts";
import type { Machine } from "./machines/machine.ts";
import { refusal } from "./refusal.ts";
import { checkedConfig } from "./stack-config.ts";

/** A lab's config as a stack's file has it: what has a default may be left out. */
export type DatapathLabArgs = LabConfigInput & {
  /** Text of the kubeconfig of an existing cluster; its file is read where absent. */
  readonly kubeconfig?: pulumi.Input<string>;
};

/** A machine of a cluster, as stack outputs name it. */
export interface MachineOutput {
  readonly name: string;
  readonly address: string;
}

const labOf = new WeakMap<pulumi.Resource, string>();

/** A lab's namespaces, networks and machines are named by project and stack. Throws where the stack has another lab. */
function claimStack(name: string): void {
  const stack = pulumi.runtime.getStackResource();
  // Without an engine there is none.
  if (stack === undefined) return;
  const other = labOf.get(stack);
  if (other !== undefined) {
    throw refusal(
      new Error(
        `This stack has the lab ${other} already, and can have no lab ${name}.\nGive each lab a stack of its own.`,
      ),
    );
  }
  labOf.set(stack, name);
}

/**
 * A lab: machines, the datapath between them, and the proof of it. One per stack. Throws a refusal with every error in its config at
 * once; warnings are printed with the preview.
 */
export class DatapathLab extends pulumi.ComponentResource {
  /** What was asked for, all defaults filled in. */
  public readonly datapath: LabConfig["datapath"];
  /** Commands that reach what Cilium serves in the cluster: Hubble, where it was asked for. */
  public readonly access: AccessCommands;
  public readonly nodes: readonly (EmbeddedNode | MachineOutput)[];
  /** Of an existing cluster nothing is planned before its nodes are read: the run has its plan. */
  public readonly plan: readonly NodePlan[];
  public readonly verification: pulumi.Output<Run>;
  /** Text, secret; only of a cluster that the lab makes. */
  public readonly kubeconfig: pulumi.Output<string> | undefined;

  constructor(name: string, args: DatapathLabArgs, opts?: pulumi.ComponentResourceOptions) {
    const { kubeconfig, ...input } = args;
    const config = checkedConfig(input);
    claimStack(name);
    super("datapath-lab:index:DatapathLab", name, { machines: config.machines, datapath: config.datapath }, opts);
    const { machines, datapath, strict } = config;
    const parent = { parent: this };
    this.datapath = datapath;
    this.access = runsCilium(machines) ? accessCommands(datapath) : {};
    switch (machines.kind) {
      case "namespaces": {
        const lab = new EmbeddedLab("embedded", { ...config, machines }, parent);
        this.nodes = lab.nodes;
        this.plan = lab.plan;
        this.verification = lab.verification;
        break;
      }
      case "libvirt": {
        const made = new Libvirt("machines", { machines, datapath, strict }, parent);
        this.nodes = named(made.machines);
        this.plan = previewPlan(config);
        ({ kubeconfig: this.kubeconfig, verification: this.verification } = this.#cluster(config, made, true));
        break;
      }
      case "hosts": {
        const given = new Hosts(
          "machines",
          { machines, datapath, strict, clean: config.k3s.clean, servers: config.k3s.servers },
          parent,
        );
        this.nodes = named(given.machines);
        this.plan = previewPlan(config);
        ({ kubeconfig: this.kubeconfig, verification: this.verification } = this.#cluster(config, given, false));
        break;
      }
      case "none": {
        const secret = kubeconfig === undefined ? {} : { kubeconfig };
        const cluster = new ExistingCluster("cluster", { machines, ...secret }, parent);
        this.verification = new ClusterLab("datapath", { config, cluster }, parent).verification;
        this.nodes = [];
        this.plan = previewPlan(config);
        break;
      }
    }
    this.registerOutputs({});
  }

  /** A cluster on machines, and the datapath on it. */
  #cluster(
    config: LabConfig,
    { machines, router }: { readonly machines: readonly Machine[]; readonly router?: Machine | undefined },
    ownsMachines: boolean,
  ): { readonly kubeconfig: pulumi.Output<string>; readonly verification: pulumi.Output<Run> } {
    const { datapath, cluster, k3s } = config;
    const made = new K3s("k3s", { machines, datapath, cluster, k3s, ownsMachines }, { parent: this });
    const goesWith = ownsMachines ? machines[0]?.made : undefined;
    const lab = new ClusterLab(
      "datapath",
      {
        config,
        cluster: made,
        ...(ownsMachines ? { routed: { nodes: machines, router } } : {}),
        ...(goesWith === undefined ? {} : { goesWith }),
      },
      { parent: this },
    );
    return { kubeconfig: made.kubeconfig, verification: lab.verification };
  }
}

function named(machines: readonly Machine[]): MachineOutput[] {
  return machines.map(({ name, address }) => ({ name, address }));
}
