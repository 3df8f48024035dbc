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
}

/** The datapath of a Kubernetes cluster by Cilium, whoever made the cluster. */
export class ClusterLab extends pulumi.ComponentResource {
  constructor(name: string, { config, cluster }: ClusterLabArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:index:ClusterLab", name, {}, opts);
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
