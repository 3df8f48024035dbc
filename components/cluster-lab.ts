import type * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../datapath/config/index.ts";
import { nodeCount } from "../datapath/machine-facts.ts";
import { Cilium } from "./cilium.ts";

/** A Kubernetes cluster that stands, or will stand by the time its resources are made. */
export interface ClusterAccess {
  /** Text, secret. */
  readonly kubeconfig: pulumi.Output<string>;
  readonly context?: string | undefined;
  readonly provider: kubernetes.Provider;
}

export interface ClusterLabArgs {
  readonly config: LabConfig;
  readonly cluster: ClusterAccess;
  /** With it the whole cluster goes: nothing has to be taken off it before. */
  readonly goesWith?: pulumi.Resource;
}

/** The datapath of a Kubernetes cluster by Cilium, whoever made the cluster. */
export class ClusterLab extends pulumi.ComponentResource {
  constructor(name: string, { config, cluster, goesWith }: ClusterLabArgs, opts?: pulumi.ComponentResourceOptions) {
    super(
      "datapath-lab:index:ClusterLab",
      name,
      {},
      { ...opts, ...(goesWith === undefined ? {} : { transformations: [goingWith(goesWith)] }) },
    );
    const { datapath, cilium, machines } = config;
    const nodes = nodeCount(machines);
    const { kubeconfig, context, provider } = cluster;
    new Cilium(
      "cilium",
      { datapath, cilium, kubeconfig, context, ...(nodes === undefined ? {} : { nodeCount: nodes }) },
      { parent: this, providers: { kubernetes: provider } },
    );
    this.registerOutputs({});
  }
}

/** Everything in a cluster goes with the cluster, in one place instead of at each resource. */
function goingWith(resource: pulumi.Resource): pulumi.ResourceTransformation {
  return ({ props, opts }) => ({ props, opts: { deletedWith: resource, ...opts } });
}
