import { createHash } from "node:crypto";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { LearningNamespace } from "../datapath/bgp/embedded.ts";
import type { LabNode } from "../datapath/plan/nodes.ts";
import { asRoot } from "./scripts.ts";

export interface BgpConvergenceArgs {
  readonly learning: readonly LearningNamespace[];
  readonly nodes: readonly LabNode[];
  /** What tells one daemon from its successor and its configuration from another, of each that runs. */
  readonly daemons: readonly string[];
  /** The datapath's name. */
  readonly title: string;
}

/** A session comes up within seconds of both daemons; slow machines get ten times that. */
const limitSeconds = 45;

/** Waits until the daemons of an embedded lab have learned every route: what is verified before would be a lab half built. */
export class BgpConvergence extends pulumi.ComponentResource {
  constructor(name: string, args: BgpConvergenceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:datapath:BgpConvergence", name, {}, opts);
    const podCidrs = args.nodes.map(({ podCidr }) => podCidr);
    new command.local.Command(
      `${name}-learned`,
      {
        create: asRoot("namespaces/bgp-wait"),
        environment: {
          LAB_POD_CIDRS: podCidrs.join(" "),
          LAB_LIMIT_SECONDS: `${limitSeconds}`,
          // Not read by the script: what makes the engine wait again is another daemon, or another configuration of it.
          LAB_DAEMONS: createHash("sha256").update(args.daemons.join("\n")).digest("hex").slice(0, 16),
          LAB_DATAPATH: args.title,
        },
        stdin: args.learning.map(({ namespace, ownPodCidr }) => `${namespace} ${ownPodCidr ?? "-"}\n`).join(""),
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );
    this.registerOutputs({});
  }
}
