import { CommandError, type UpOptions } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";
import { datapath as datapathSchema } from "../datapath/config/datapath.ts";
import { verification } from "../datapath/config/verification.ts";
import { speaksBgp } from "../datapath/plan/plan.ts";
import { kindsOfRound } from "../datapath/run/round.ts";
import { paths } from "../datapath/run/run-words.ts";
import { ensurePackages } from "../offline/packages.ts";
import { terminal, type Call, type Config } from "./call.ts";
import { LiveView, type PlannedWork } from "./progress.ts";
import { bgpTools, embeddedLabTools } from "./tools.ts";
import { openStack, type OpenStack } from "./workspace.ts";

/** Opens the stack of a call, with the tools that its machines need. */
export async function open(call: Call, config: Config): Promise<OpenStack> {
  const machines = z.looseObject({ kind: z.string() }).safeParse(config["machines"]);
  if (!machines.success || machines.data.kind === "namespaces") {
    const { data: datapath } = datapathSchema.safeParse(config["datapath"]);
    await ensurePackages(
      [...embeddedLabTools, ...(datapath !== undefined && speaksBgp(datapath) ? bgpTools : [])],
      call.log,
    );
  }
  return openStack(call.stack, config, call.log);
}

/** What the verification of a lab with this config will measure; nothing where the config has an error. */
function plannedWork(config: Config): PlannedWork | undefined {
  const settings = verification.safeParse(config["verification"] ?? {}).data;
  if (settings === undefined || config["machines"] === undefined) return undefined;
  const kinds = kindsOfRound(settings.sameNode ? paths : ["podToPod", "nodeToNode"], settings);
  return {
    samples: settings.samples * kinds.length,
    durationSeconds: settings.durationSeconds + settings.warmUpSeconds,
  };
}

/**
 * Runs an operation of the engine, which has printed by then what went wrong: its exit status is all that is left to say.
 */
export async function operate(operation: () => Promise<void>): Promise<number> {
  try {
    await operation();
    return 0;
  } catch (error) {
    if (error instanceof CommandError) return 1;
    throw error;
  }
}

export function operationOptions(
  call: Call,
  configFile: string,
): Pick<UpOptions, "configFile" | "onOutput" | "color" | "suppressOutputs" | "showSecrets"> {
  return {
    configFile,
    // With --json standard output belongs to the outputs; without it what the engine prints goes there too.
    onOutput: call.json ? (text) => process.stderr.write(text) : call.print,
    color: terminal().colour ? "always" : "never",
    // They are long, and a summary follows.
    suppressOutputs: true,
    // With secrets the history is read as well, and reading it writes a salt into the committed config file.
    showSecrets: false,
  };
}

/** A live view on standard error, where that is a terminal. */
export function liveView(config: Config): LiveView | undefined {
  if (!process.stderr.isTTY || process.env["TERM"] === "dumb" || process.env["CI"] === "true") return undefined;
  const planned = plannedWork(config);
  return new LiveView({
    stream: process.stderr,
    columns: () => process.stderr.columns || 80,
    ...(planned === undefined ? {} : { planned }),
  });
}

/**
 * Runs an operation that takes its time: on a terminal with a live view of it, everywhere else with the engine's own lines.
 */
export async function watch<Result>(
  call: Call,
  config: Config,
  configFile: string,
  operation: (options: ReturnType<typeof operationOptions> & Pick<UpOptions, "onEvent">) => Promise<Result>,
): Promise<Result> {
  const options = operationOptions(call, configFile);
  const view = liveView(config);
  if (view === undefined) return operation(options);
  call.signal.addEventListener("abort", view.erase);
  try {
    return await operation({ ...options, onOutput: () => undefined, onEvent: view.event });
  } catch (error) {
    // What keeps the engine from beginning (a lock, a config it can't read) is no event of an operation.
    if (error instanceof CommandError && !view.hasShownError) view.print(error.message);
    throw error;
  } finally {
    call.signal.removeEventListener("abort", view.erase);
    view.end();
  }
}
