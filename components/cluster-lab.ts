import * as command from "@pulumi/command";
import type * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../datapath/config/index.ts";
import { bgpDefinitions } from "../datapath/bgp/kubernetes.ts";
import { nodeCount } from "../datapath/machines/machine-facts.ts";
import { describeNodePlan, speaksBgp } from "../datapath/plan/plan.ts";
import { previewPlan } from "../datapath/plan/preview-plan.ts";
import type { Run } from "../datapath/run/run.ts";
import { podCidrs, type PodCidrs, type PodCidrsSpec } from "../verification/pod-cidrs/spec.ts";
import { BgpRoutes } from "./bgp.ts";
import { Cilium } from "./cilium.ts";
import { ClusterVerification } from "./cluster-verification.ts";
import type { Machine } from "./machines/machine.ts";
import { PodRouter } from "./pod-router.ts";
import { nodeAsPerson } from "./scripts.ts";
import { Workload } from "./workload.ts";

/** Nodes have their pod CIDRs when their agents run; the API may be away for a while. */
const podCidrsLimitSeconds = 60;

/** A Kubernetes cluster that stands, or will stand by the time its resources are made. */
export interface ClusterAccess {
  /** Text, secret. */
  readonly kubeconfig: pulumi.Output<string>;
  readonly context?: string | undefined;
  readonly provider: kubernetes.Provider;
  /** Changes when a machine of it was made anew: its agent and its routes are waited for then. */
  readonly makings?: string;
}

/** Machines on a network whose routes the lab keeps itself. */
export interface RoutedMachines {
  readonly nodes: readonly Machine[];
  /** Who routes between the nodes' pods, where the datapath needs somebody. */
  readonly router?: Machine | undefined;
}

export interface ClusterLabArgs {
  readonly config: LabConfig;
  readonly cluster: ClusterAccess;
  readonly routed?: RoutedMachines | undefined;
  /** With it the whole cluster goes: nothing has to be taken off it before. */
  readonly goesWith?: pulumi.Resource;
}

/** The datapath of a Kubernetes cluster by Cilium, whoever made the cluster. */
export class ClusterLab extends pulumi.ComponentResource {
  public readonly verification: pulumi.Output<Run>;

  constructor(name: string, args: ClusterLabArgs, opts?: pulumi.ComponentResourceOptions) {
    const { config, cluster, routed, goesWith } = args;
    super(
      "datapath-lab:index:ClusterLab",
      name,
      // What a preview shows of a change: route by route, as far as it is known before there is a node.
      Object.fromEntries(previewPlan(config).map((plan) => [plan.node, describeNodePlan(plan)])),
      { ...opts, ...(goesWith === undefined ? {} : { transformations: [goingWith(goesWith)] }) },
    );
    const { datapath, cilium, machines, verification } = config;
    const nodes = nodeCount(machines);
    const { kubeconfig, context, provider, makings } = cluster;
    const onCluster = { parent: this, providers: { kubernetes: provider } };
    const carrier = new Cilium(
      "cilium",
      {
        datapath,
        cilium,
        kubeconfig,
        context,
        definitions: bgpDefinitions(datapath),
        makings,
        ...(nodes === undefined ? {} : { nodeCount: nodes }),
      },
      onCluster,
    );
    const routes = speaksBgp(datapath)
      ? [new BgpRoutes("bgp", { datapath }, { ...onCluster, dependsOn: carrier })]
      : [];
    const forwarding =
      routed === undefined
        ? undefined
        : new PodRouter(
            "router",
            { datapath, ...routed, podCidrs: () => this.#podCidrs(cluster, routed.nodes, carrier) },
            { parent: this, dependsOn: [carrier, ...routes] },
          );
    // They stand while agents change, to see for how long they are cut off; but not before there is a network.
    const workload = new Workload("workload", { images: verification.images }, { ...onCluster, dependsOn: carrier });
    this.verification = new ClusterVerification(
      "verification",
      {
        datapath,
        verification,
        kubeconfig,
        context,
        occasions: [
          carrier.rollout.apply((rollout) => JSON.stringify(rollout)),
          ...(forwarding === undefined ? [] : [forwarding.routes]),
        ],
        modeChange: carrier.rollout.apply(({ modeChange }) => modeChange),
      },
      { parent: this, dependsOn: [workload, ...routes, ...(forwarding === undefined ? [] : [forwarding])] },
    ).run;
    this.registerOutputs({});
  }

  /** Which pod CIDR each node got: read when agents run, again after each roll-out. */
  #podCidrs(
    { kubeconfig, context }: ClusterAccess,
    nodes: readonly Machine[],
    carrier: Cilium,
  ): pulumi.Output<PodCidrs> {
    const spec: Omit<PodCidrsSpec, "kubeconfig"> = {
      ...(context === undefined ? {} : { context }),
      nodes: nodes.map(({ name }) => name),
      limitSeconds: podCidrsLimitSeconds,
    };
    const read = new command.local.Command(
      "pod-cidrs",
      {
        create: nodeAsPerson("verification/pod-cidrs/main.ts"),
        stdin: pulumi.secret(pulumi.output(kubeconfig).apply((text) => JSON.stringify({ ...spec, kubeconfig: text }))),
        // Not read by the program: other agents are what makes the engine run it again.
        environment: { LAB_AGENTS: carrier.rollout.apply(({ agents }) => agents.map(({ pod }) => pod).join(" ")) },
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: carrier, hideDiffs: ["stdin"] },
    );
    return pulumi.unsecret(read.stdout).apply((json) => podCidrs.parse(JSON.parse(json)));
  }
}

/** Everything in a cluster goes with the cluster, in one place instead of at each resource. */
function goingWith(resource: pulumi.Resource): pulumi.ResourceTransformation {
  return ({ props, opts }) => ({ props, opts: { deletedWith: resource, ...opts } });
}
