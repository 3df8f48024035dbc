import type * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../datapath/config/index.ts";
import { bgpDefinitions } from "../datapath/bgp/kubernetes.ts";
import { nodeCount } from "../datapath/machines/machine-facts.ts";
import { describeNodePlan, speaksBgp } from "../datapath/plan/plan.ts";
import { previewPlan } from "../datapath/plan/preview-plan.ts";
import type { Run } from "../datapath/run/run.ts";
import { BgpRoutes } from "./bgp.ts";
import { Cilium } from "./cilium.ts";
import { ClusterVerification } from "./cluster-verification.ts";
import { Workload } from "./workload.ts";

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
  public readonly verification: pulumi.Output<Run>;

  constructor(name: string, { config, cluster, goesWith }: ClusterLabArgs, opts?: pulumi.ComponentResourceOptions) {
    super(
      "datapath-lab:index:ClusterLab",
      name,
      // What a preview shows of a change: route by route, as far as it is known before there is a node.
      Object.fromEntries(previewPlan(config).map((plan) => [plan.node, describeNodePlan(plan)])),
      { ...opts, ...(goesWith === undefined ? {} : { transformations: [goingWith(goesWith)] }) },
    );
    const { datapath, cilium, machines, verification } = config;
    const nodes = nodeCount(machines);
    const { kubeconfig, context, provider } = cluster;
    const onCluster = { parent: this, providers: { kubernetes: provider } };
    const carrier = new Cilium(
      "cilium",
      {
        datapath,
        cilium,
        kubeconfig,
        context,
        definitions: bgpDefinitions(datapath),
        ...(nodes === undefined ? {} : { nodeCount: nodes }),
      },
      onCluster,
    );
    const routes = speaksBgp(datapath)
      ? [new BgpRoutes("bgp", { datapath }, { ...onCluster, dependsOn: carrier })]
      : [];
    // They stand while agents change, to see for how long they are cut off; but not before there is a network.
    const workload = new Workload("workload", { images: verification.images }, { ...onCluster, dependsOn: carrier });
    this.verification = new ClusterVerification(
      "verification",
      {
        datapath,
        verification,
        kubeconfig,
        context,
        occasions: [carrier.rollout.apply((rollout) => JSON.stringify(rollout))],
        modeChange: carrier.rollout.apply(({ modeChange }) => modeChange),
      },
      { parent: this, dependsOn: [workload, ...routes] },
    ).run;
    this.registerOutputs({});
  }
}

/** Everything in a cluster goes with the cluster, in one place instead of at each resource. */
function goingWith(resource: pulumi.Resource): pulumi.ResourceTransformation {
  return ({ props, opts }) => ({ props, opts: { deletedWith: resource, ...opts } });
}
