import { createHash } from "node:crypto";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Datapath } from "../datapath/config/datapath.ts";
import type { Verification as VerificationConfig } from "../datapath/config/verification.ts";
import { datapathTitle } from "../datapath/plan/plan.ts";
import { run as runSchema, type ModeChange, type Run } from "../datapath/run/run.ts";
import type { ClusterSpec } from "../verification/cluster/spec.ts";
import { settingsOf } from "../verification/spec.ts";
import { nodeAsPerson } from "./scripts.ts";

export interface ClusterVerificationArgs {
  readonly datapath: Datapath;
  readonly verification: VerificationConfig;
  /** Text, for the verifying program; it stays secret. */
  readonly kubeconfig: pulumi.Input<string>;
  readonly context?: string | undefined;
  /** What the datapath came about with: when it changes, the proof is made anew. Cilium's roll-out, for one. */
  readonly occasions?: readonly pulumi.Input<string>[];
  /** What the change to this datapath cost, where it was seen. */
  readonly modeChange?: pulumi.Input<ModeChange | undefined>;
}

/**
 * Proves the datapath of a cluster and measures it, from the standing pods of `Workload`, for which it waits. Fails the update
 * where the evidence contradicts the plan and `verification.enforce` says so.
 */
export class ClusterVerification extends pulumi.ComponentResource {
  public readonly run: pulumi.Output<Run>;

  constructor(name: string, args: ClusterVerificationArgs, opts?: pulumi.ComponentResourceOptions) {
    const { datapath, verification, context, occasions = [] } = args;
    const settings = settingsOf(verification);
    super("datapath-lab:verification:ClusterVerification", name, settings, opts);
    const spec: Omit<ClusterSpec, "kubeconfig"> = {
      lab: { project: pulumi.getProject(), stack: pulumi.getStack() },
      ...(context === undefined ? {} : { context }),
      datapath,
      images: verification.images,
      pods: "standing",
      settings,
      runsFolder: verification.runsFolder,
    };
    const verify = new command.local.Command(
      `${name}-run`,
      {
        create: nodeAsPerson("verification/cluster/main.ts"),
        stdin: pulumi.secret(
          pulumi
            .all([args.kubeconfig, args.modeChange])
            .apply(([kubeconfig, modeChange]) => JSON.stringify({ ...spec, kubeconfig, modeChange })),
        ),
        // Not read by the program: changed values are what makes the engine run it again.
        environment: {
          LAB_DATAPATH: datapathTitle(datapath),
          LAB_OCCASION: verification.occasion,
          LAB_SPEC: digest(JSON.stringify(spec)),
          LAB_INCARNATION: pulumi.all([...occasions]).apply((texts) => digest(JSON.stringify(texts))),
        },
        // Progress is for people; standard output is the run.
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      { parent: this, hideDiffs: ["stdin"] },
    );
    this.run = pulumi.unsecret(verify.stdout).apply((json) => runSchema.parse(JSON.parse(json)));
    this.registerOutputs({});
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
