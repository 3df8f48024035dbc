import { configOf, type Command } from "../call.ts";
import { readConfigFile } from "../config-file.ts";
import { projectName } from "../workspace.ts";

export const explain: Command = async (call) => {
  const config = call.file === undefined ? await configOf(call) : await readConfigFile(call.file);
  // What only some commands need is loaded by them: the others start sooner.
  const { explain: explanation } = await import("../explain.ts");
  const { text, exitCode } = explanation({ config, json: call.json, project: projectName });
  call.print(text);
  return exitCode;
};
