import { CommandError } from "@pulumi/pulumi/automation/index.js";
import path from "node:path";
import { z } from "zod";
import { run as runSchema } from "../../datapath/run/run.ts";
import { withDatapath, type Call, type Command, type Config } from "../call.ts";
import { takeTurns, type SwitchedLab } from "../compare.ts";
import { open, watch } from "../operation.ts";
import { appliedConfig, openStack, projectName, readStackConfig, runsFolderOf, stands } from "../workspace.ts";
import { writeReport } from "./report.ts";

export const compare: Command = async (call) => {
  if (call.operands.length > 0) {
    if (call.operands.length < 2) throw new Error("A comparison needs two run files: compare A.json B.json");
    await writeReport(call, call.operands);
    return 0;
  }
  const datapaths = (call.datapaths ?? "vxlan,native").split(",");
  if (new Set(datapaths).size < 2) throw new Error("A comparison needs two datapaths: --datapaths vxlan,native");
  const { rounds, signal, log } = call;
  const committed = await readStackConfig(call.stack);
  refuseUnmanaged(committed, call.stack);
  // Ctrl-C ends what compiles modules as well: what is needed after it has to be there before.
  await import("../report.ts");
  const { taken, restored } = await takeTurns(await switchedLab(call, committed), { datapaths, rounds, signal, log });
  const runs = taken.flatMap((turn) => ("run" in turn ? [turn.run] : []));
  if (runs.length > 0)
    await writeReport(
      call,
      runs.map(({ id }) => path.join(runsFolderOf(committed), `${id}.json`)),
    );
  const failed = taken.filter((turn) => "failure" in turn);
  for (const { datapath, round } of failed) log(`No run of ${datapath} in round ${round}: its up failed, see above.`);
  if (!restored) log(`Stack ${call.stack} is not as it was found: see above.`);
  return !restored || failed.length > 0 || signal.aborted || runs.length === 0 ? 1 : 0;
};

/** A comparison switches the datapath: where Cilium is somebody else's, every turn would be contradicted. */
function refuseUnmanaged(config: Config, stack: string): void {
  const unmanaged = z.object({ cilium: z.object({ manage: z.literal(false) }) }).safeParse(config);
  if (!unmanaged.success) return;
  throw new Error(
    `compare switches the datapath of stack ${stack}, and ${projectName}:cilium.manage is false: its Cilium is somebody else's.\n` +
      "Let the lab manage it (cilium.manage: true, cilium.adopt: true), or measure it in each datapath with verify, and compare the runs: compare A.json B.json",
  );
}

/** The stack of a call as a lab that a comparison may switch. */
async function switchedLab(call: Call, committed: Config): Promise<SwitchedLab> {
  const found = await open(call, committed);
  const stood = await stands(found.stack);
  const before = (await appliedConfig(call.stack)) ?? committed;
  // Standard output is for what the comparison says.
  const quiet = { ...call, json: true };
  const section = z.looseObject({}).safeParse(committed["verification"]);
  return {
    measure: async (datapath, occasion) => {
      const config = {
        ...withDatapath(committed, datapath),
        verification: { ...section.data, occasion },
      };
      const { stack, configFile } = await openStack(call.stack, config, call.log);
      try {
        const { outputs } = await watch(quiet, config, configFile, (options) => stack.up(options));
        return runSchema.parse(outputs["verification"]?.value);
      } catch (error) {
        if (error instanceof CommandError) throw new Error("up failed");
        throw error;
      }
    },
    restore: async () => {
      const { stack, configFile } = await openStack(call.stack, before, call.log);
      try {
        if (stood) await watch(quiet, before, configFile, (options) => stack.up(options));
        else await watch(quiet, {}, configFile, (options) => stack.destroy(options));
      } catch (error) {
        if (error instanceof CommandError) throw new Error(`${stood ? "up" : "destroy"} failed`);
        throw error;
      }
    },
  };
}
