import { configOf, type Command } from "../call.ts";
import { open, operate, watch } from "../operation.ts";

export const destroy: Command = async (call) => {
  const { stack, configFile } = await open(call, await configOf(call));
  return operate(async () => {
    // Nothing is measured then.
    await watch(call, {}, configFile, (options) => stack.destroy(options));
  });
};
