// What a stack goes through: up, preview, destroy, and what it says of itself.
import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import { existsSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { run as runSchema } from "../../datapath/run/run.ts";
import { summary } from "../../report/terminal.ts";
import { configOf, terminal, type Call, type Command, type Config } from "../call.ts";
import { hasWhatItNeeds } from "../doctor/diagnosis.ts";
import { open, operate, operationOptions, watch } from "../operation.ts";
import { keepAppliedConfig, runsFolderOf } from "../workspace.ts";

function plainOutputs(outputs: OutputMap): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { value, secret }]): [string, unknown] => [name, secret ? "[secret]" : value]),
  );
}

function printOutputs(call: Call, config: Config, outputs: OutputMap): void {
  const plain = plainOutputs(outputs);
  if (call.json) {
    call.print(`${JSON.stringify(plain, undefined, 2)}\n`);
    return;
  }
  const verified = runSchema.safeParse(plain["verification"]);
  if (!verified.success) {
    call.print(`${JSON.stringify(plain, undefined, 2)}\n`);
    return;
  }
  const file = path.join(runsFolderOf(config), `${verified.data.id}.json`);
  call.print(
    summary(verified.data, {
      ...terminal(),
      ...(existsSync(file) ? { file: path.relative(process.cwd(), file) } : {}),
    }),
  );
}

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

export const preview: Command = async (call) => {
  const { stack, configFile } = await open(call, await configOf(call));
  return operate(async () => {
    const { changeSummary } = await stack.preview({ ...operationOptions(call, configFile), diff: true });
    if (call.json) call.print(`${JSON.stringify({ changeSummary }, undefined, 2)}\n`);
  });
};

export const destroy: Command = async (call) => {
  const { stack, configFile } = await open(call, await configOf(call));
  return operate(async () => {
    // Nothing is measured then.
    await watch(call, {}, configFile, (options) => stack.destroy(options));
  });
};

export const outputs: Command = async (call) => {
  const config = await configOf(call);
  const { stack } = await open(call, config);
  printOutputs(call, config, await stack.outputs());
  return 0;
};

const withCluster = z.looseObject({ machines: z.looseObject({ kind: z.enum(["libvirt", "hosts"]) }) });

/** Prints a secret: the only command that does. */
export const kubeconfig: Command = async (call) => {
  const config = await configOf(call);
  if (!withCluster.safeParse(config).success) {
    throw new Error(
      `Stack ${call.stack} has no kubeconfig to print: its lab makes no cluster.\n` +
        `A lab on machines of kind libvirt or hosts does: npm run lab -- kubeconfig --stack dev`,
    );
  }
  const { stack } = await open(call, config);
  const { data: text } = z.string().safeParse((await stack.outputs())["kubeconfig"]?.value);
  if (text === undefined) {
    throw new Error(
      `Stack ${call.stack} has no kubeconfig yet: its cluster was not made.\n` +
        `Make it: npm run lab -- up --stack ${call.stack}`,
    );
  }
  call.print(call.json ? `${JSON.stringify({ kubeconfig: text }, undefined, 2)}\n` : text);
  return 0;
};
