import { terminal, type Call, type Command } from "../call.ts";
import { labFolder, readStackConfig, runsFolderOf } from "../workspace.ts";

export const report: Command = async (call) => {
  await writeReport(call, call.operands);
  return 0;
};

/** Writes the report of run files; of the stack's newest runs where none is named. */
export async function writeReport(call: Call, files: readonly string[]): Promise<void> {
  const { report: write } = await import("../report.ts");
  const { log, print, json } = call;
  const runsFolder = runsFolderOf(await readStackConfig(call.stack));
  await write({ files, runsFolder, outputFolder: labFolder, ...terminal(), json, print, log });
}
