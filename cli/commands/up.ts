import { configOf, type Command } from "../call.ts";
import { hasWhatItNeeds } from "../doctor/diagnosis.ts";
import { open, operate, watch } from "../operation.ts";
import { printOutputs } from "../outputs.ts";
import { keepAppliedConfig } from "../workspace.ts";

export const up: Command = async (call) => {
  const config = await configOf(call);
  if (!(await hasWhatItNeeds(call, config))) return 1;
  const { stack, configFile } = await open(call, config);
  const status = await operate(async () => {
    await keepAppliedConfig(call.stack, config);
    printOutputs(call, config, (await watch(call, config, configFile, (options) => stack.up(options))).outputs);
  });
  if (status !== 0) return status;
  if (!call.json) {
    const options = call.stack === "local" ? "" : ` --stack ${call.stack}`;
    call.log("\nThe lab stands.");
    call.log(`  another datapath:  npm run lab -- up${options} --datapath native`);
    call.log(`  remove it:         npm run lab -- destroy${options}`);
  }
  return 0;
};
