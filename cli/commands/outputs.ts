import { configOf, type Command } from "../call.ts";
import { open } from "../operation.ts";
import { printOutputs } from "../outputs.ts";

export const outputs: Command = async (call) => {
  const config = await configOf(call);
  const { stack } = await open(call, config);
  printOutputs(call, config, await stack.outputs());
  return 0;
};
