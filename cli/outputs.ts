import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import { existsSync } from "node:fs";
import path from "node:path";
import { run as runSchema } from "../datapath/run/run.ts";
import { summary } from "../report/terminal.ts";
import { terminal, type Call, type Config } from "./call.ts";
import { runsFolderOf } from "./workspace.ts";

function plainOutputs(outputs: OutputMap): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { value, secret }]): [string, unknown] => [name, secret ? "[secret]" : value]),
  );
}

/** Prints a stack's outputs: the summary of its run, or with --json all of them. Secrets stay hidden. */
export function printOutputs(call: Call, config: Config, outputs: OutputMap): void {
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
