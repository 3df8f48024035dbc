import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../datapath/config/index.ts";
import type { NamespaceMachines } from "../datapath/config/machines.ts";
import { labRouterBird, learningNamespaces } from "../datapath/bgp/embedded.ts";
import { features } from "../datapath/cilium/features.ts";
import { ConfigError, type Finding } from "../datapath/findings.ts";
import { kernelSettings } from "../datapath/plan/kernel-settings.ts";
import { bridgeAddress, labNodes } from "../datapath/plan/nodes.ts";
import { datapathTitle, planFor, speaksBgp, tunnelProtocol, type NodePlan } from "../datapath/plan/plan.ts";
import type { Run } from "../datapath/run/run.ts";
import { settingsOf } from "../verification/spec.ts";
import { BgpConvergence } from "./bgp-convergence.ts";
import { missingLinkKind } from "./machines/namespace-host.ts";
import { Namespaces } from "./machines/namespaces.ts";
import { NodeDatapath } from "./node-datapath.ts";
import { refusal } from "./refusal.ts";
import { Verification } from "./verification.ts";

/** A node of the embedded lab, as stack outputs name it. */
export interface EmbeddedNode {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  readonly namespace: string;
  readonly pod: { readonly namespace: string; readonly address: string };
  /** On the first node alone. */
  readonly secondPod?: { readonly namespace: string; readonly address: string };
}

export type EmbeddedLabConfig = LabConfig & { readonly machines: NamespaceMachines };

/** A lab of network namespaces: the plan applied straight to this machine's kernel, and the proof of it. */
export class EmbeddedLab extends pulumi.ComponentResource {
  public readonly nodes: readonly EmbeddedNode[];
  public readonly plan: readonly NodePlan[];
  public readonly verification: pulumi.Output<Run>;

  constructor(name: string, config: EmbeddedLabConfig, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:index:EmbeddedLab", name, {}, opts);
    const { machines, datapath, verification } = config;
    const project = pulumi.getProject();
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
        tools: speaksBgp(datapath) ? ["bird", "birdc"] : [],
        bgp: labRouterBird(datapath, nodes),
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

    const learning = learningNamespaces(datapath, nodes, made.networkNamespace);
    const converged =
      learning.length === 0
        ? []
        : [
            new BgpConvergence(
              "bgp",
              { learning, nodes, daemons: [made.daemon, ...applied.map(({ daemon }) => daemon)], title },
              { parent: this, dependsOn: applied },
            ),
          ];

    this.nodes = nodes.map(({ name, address, podCidr, namespace, pod, secondPod }) => ({
      name,
      address,
      podCidr,
      namespace,
      pod: { namespace: pod.namespace, address: pod.address },
      ...(secondPod === undefined ? {} : { secondPod: { namespace: secondPod.namespace, address: secondPod.address } }),
    }));
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
          settings: settingsOf(verification),
          runsFolder: verification.runsFolder,
        },
        title,
        occasion: verification.occasion,
        incarnations: Object.fromEntries(made.nodes.map(({ node, incarnation }) => [node.name, incarnation])),
      },
      { parent: this, dependsOn: [...applied, ...converged] },
    ).run;

    // The outputs are the stack's: here they would stand in the state a second time, and they are large.
    this.registerOutputs({});
  }
}

function missingKernelLink(reason: string): Finding {
  return {
    id: "kernel-link",
    severity: "error",
    key: "datapath.mode",
    message: reason,
    wayOut: "Choose vxlan or native, or run the lab where the kernel has them.",
  };
}
