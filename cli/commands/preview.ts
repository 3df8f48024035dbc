import { configOf, type Command } from "../call.ts";
import { open, operate, operationOptions } from "../operation.ts";

export const preview: Command = async (call) => {
  const { stack, configFile } = await open(call, await configOf(call));
  return operate(async () => {
    const { changeSummary } = await stack.preview({ ...operationOptions(call, configFile), diff: true });
    if (call.json) call.print(`${JSON.stringify({ changeSummary }, undefined, 2)}\n`);
  });
};
