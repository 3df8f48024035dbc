import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { run as runSchema, type Run } from "../datapath/run/run.ts";
import type { VerificationSpec } from "../verification/spec.ts";
import { nodeAsRoot } from "./scripts.ts";

export interface VerificationArgs {
  readonly spec: VerificationSpec;
  /** The datapath's name: what a preview shows of the change. */
  readonly title: string;
  /** A changed text makes it run again. */
  readonly occasion: string;
  /** Which incarnation of which node the evidence comes from: a node made anew is verified anew. */
  readonly incarnations: Readonly<Record<string, string>>;
}

/** Proves the datapath and measures it. Fails the update where the evidence contradicts the plan and the spec enforces it. */
export class Verification extends pulumi.ComponentResource {
  public readonly run: pulumi.Output<Run>;

  constructor(name: string, args: VerificationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:verification:Verification", name, { ...args.spec.settings }, opts);
    const verify = new command.local.Command(
      `${name}-run`,
      {
        create: nodeAsRoot("verification/main.ts"),
        stdin: JSON.stringify(args.spec),
        // Not read by the program: changed values are what makes the engine run it again.
        environment: {
          LAB_DATAPATH: args.title,
          LAB_OCCASION: args.occasion,
          LAB_INCARNATIONS: JSON.stringify(args.incarnations),
        },
        // Progress is for people; standard output is the run.
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      { parent: this, hideDiffs: ["stdin"] },
    );
    this.run = verify.stdout.apply((json) => runSchema.parse(JSON.parse(json)));
    this.registerOutputs({});
  }
}
