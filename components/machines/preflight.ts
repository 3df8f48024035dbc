import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { LabConfig } from "../../datapath/config/index.ts";
import { machineFacts, type Floors, type MachineFacts } from "../../datapath/machines/preflight.ts";
import { nodeAsPerson } from "../scripts.ts";
import type { ConnectionArgs } from "./machine.ts";

export interface PreflightArgs {
  readonly machines: readonly {
    readonly name: string;
    /** By which the machines reach each other. */
    readonly address: string;
    readonly connection: pulumi.Input<ConnectionArgs>;
    /** Which making of the machine is looked at: another one is looked at anew. */
    readonly incarnation: pulumi.Input<string>;
  }[];
  readonly datapath: LabConfig["datapath"];
  readonly strict: boolean;
  /** Whether leftovers of another K3s or CNI are going to be removed; false where absent. */
  readonly clean?: boolean;
  /** How many of the machines, the first ones, are going to be servers of K3s; 1 where absent. */
  readonly servers?: number;
  readonly floors: Floors;
}

/** What is asked of machines again and again while nothing of it is news. */
const reportedFacts = machineFacts.omit({ clockSkewSeconds: true, mark: true, peers: true });

export type ReportedFacts = Omit<MachineFacts, "clockSkewSeconds" | "mark" | "peers">;

/**
 * Looks at all machines before anything is installed on them, and fails with every finding of every machine at once. Marks
 * those that pass, so that what later steps bring is no leftover of somebody else.
 */
export class Preflight extends pulumi.ComponentResource {
  /** By machine; what the run records as its conditions. */
  public readonly facts: pulumi.Output<readonly ReportedFacts[]>;
  public readonly check: pulumi.Resource;

  constructor(name: string, args: PreflightArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:machines:Preflight", name, { machines: args.machines.map(({ name }) => name) }, opts);
    const { machines, datapath, strict, clean = false, servers = 1, floors } = args;
    const spec = pulumi
      .output(machines.map(({ name, address, connection }) => ({ name, address, connection })))
      .apply((connected) =>
        JSON.stringify({
          lab: `${pulumi.getProject()}/${pulumi.getStack()}`,
          machines: connected,
          datapath,
          strict,
          clean,
          servers,
          floors,
        }),
      );
    const check = new command.local.Command(
      `${name}-check`,
      {
        create: nodeAsPerson("verification/preflight/main.ts"),
        delete: nodeAsPerson("verification/preflight/main.ts release"),
        // Private keys are in it.
        stdin: pulumi.secret(spec),
        environment: Object.fromEntries(
          machines.map(({ incarnation }, index): [string, pulumi.Input<string>] => [
            `LAB_MACHINE_${index + 1}`,
            incarnation,
          ]),
        ),
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        hideDiffs: ["stdin"],
        ...(opts?.deletedWith === undefined ? {} : { deletedWith: opts.deletedWith }),
      },
    );
    this.check = check;
    this.facts = pulumi.unsecret(check.stdout).apply((json) => z.array(reportedFacts).parse(JSON.parse(json)));
    this.registerOutputs({});
  }
}
