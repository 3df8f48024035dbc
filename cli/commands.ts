import { CommandError, type OutputMap, type UpOptions } from "@pulumi/pulumi/automation/index.js";
import { existsSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { datapath as datapathSchema } from "../datapath/config/datapath.ts";
import { verification } from "../datapath/config/verification.ts";
import { speaksBgp } from "../datapath/plan.ts";
import type { LabConfig } from "../datapath/config/index.ts";
import { ConfigError, formatFindings, type Finding } from "../datapath/findings.ts";
import { kindsOfRound } from "../datapath/round.ts";
import { paths } from "../datapath/run-words.ts";
import { run as runSchema } from "../datapath/run.ts";
import { summary } from "../report/terminal.ts";
import { takeTurns, type SwitchedLab } from "./compare.ts";
import { LiveView, type PlannedWork } from "./progress.ts";
import { readConfigFile } from "./config-file.ts";
import type { Depth, NeedCheck } from "./doctor/index.ts";
import { bgpTools, embeddedLabTools, ensureTools } from "./tools.ts";
import { labFolder, openStack, projectName, readStackConfig, runsFolderOf, type OpenStack } from "./workspace.ts";

/** What a command is called with, and where it prints. */
export interface Call {
  readonly stack: string;
  readonly json: boolean;
  readonly operands: readonly string[];
  /** Datapath that replaces the stack's: a mode, or `native:router`. */
  readonly datapath?: string;
  /** Where explain reads the config from, instead of a stack. */
  readonly file?: string;
  /** Datapaths to compare, separated by commas. */
  readonly datapaths?: string;
  readonly rounds: number;
  /** Path, for verify; where kubectl has its own when absent. */
  readonly kubeconfig?: string;
  /** Context in it; its current one when absent. */
  readonly context?: string;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  /** A line for a person, on standard error. */
  readonly log: (line: string) => void;
  /** Results, on standard output. */
  readonly print: (text: string) => void;
}

/** Gives the command's exit status. Rejects with an error whose message is meant for a person. */
export type Command = (call: Call) => Promise<number>;

const datapathSection = z.looseObject({ mode: z.string() });
const carriers = ["direct", "router", "bgp"];

type Config = Readonly<Record<string, unknown>>;

/** The lab's config in a call: its stack's, with the datapath that the call has in its place. */
async function configOf({ stack, datapath: mode }: Call): Promise<Config> {
  const config = await readStackConfig(stack);
  return mode === undefined ? config : withDatapath(config, mode);
}

/**
 * The config with another datapath, named by its mode, and for native also by who carries the routes: `native:router`. Of the
 * stack's own mode everything else stays as the stack has it.
 */
function withDatapath(config: Config, name: string): Config {
  const [mode = "", carrier] = name.split(":");
  if (carrier !== undefined && (mode !== "native" || !carriers.includes(carrier))) {
    throw new Error(`There is no datapath ${name}. Only native says more: native:${carriers.join(", native:")}.`);
  }
  const configured = datapathSection.safeParse(config["datapath"]);
  const section = configured.success && configured.data.mode === mode ? configured.data : { mode };
  return { ...config, datapath: carrier === undefined ? section : { ...section, routes: carrier } };
}

/** Opens the stack of a call, with the tools that its machines need. */
async function open(call: Call, config: Config): Promise<OpenStack> {
  const machines = z.looseObject({ kind: z.string() }).safeParse(config["machines"]);
  if (!machines.success || machines.data.kind === "namespaces") {
    const { data: datapath } = datapathSchema.safeParse(config["datapath"]);
    await ensureTools(
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

function terminal(): { colour: boolean; columns: number } {
  return {
    colour: process.stdout.isTTY && process.env["NO_COLOR"] === undefined,
    columns: process.stdout.columns || 100,
  };
}

/**
 * Runs an operation of the engine, which has printed by then what went wrong: its exit status is all that is left to say.
 */
async function operate(operation: () => Promise<void>): Promise<number> {
  try {
    await operation();
    return 0;
  } catch (error) {
    if (error instanceof CommandError) return 1;
    throw error;
  }
}

function operationOptions(
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

/**
 * Runs an operation that takes its time: on a terminal with a live view of it, everywhere else with the engine's own lines.
 */
async function watch<Result>(
  call: Call,
  config: Config,
  configFile: string,
  operation: (options: ReturnType<typeof operationOptions> & Pick<UpOptions, "onEvent">) => Promise<Result>,
): Promise<Result> {
  const options = operationOptions(call, configFile);
  const isLive = process.stderr.isTTY && process.env["TERM"] !== "dumb" && process.env["CI"] !== "true";
  if (!isLive) return operation(options);
  const planned = plannedWork(config);
  const view = new LiveView({
    stream: process.stderr,
    columns: () => process.stderr.columns || 80,
    ...(planned === undefined ? {} : { planned }),
  });
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

const up: Command = async (call) => {
  const config = await configOf(call);
  if (!(await hasWhatItNeeds(call, config))) return 1;
  const { stack, configFile } = await open(call, config);
  const status = await operate(async () => {
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

const preview: Command = async (call) => {
  const { stack, configFile } = await open(call, await configOf(call));
  return operate(async () => {
    const { changeSummary } = await stack.preview({ ...operationOptions(call, configFile), diff: true });
    if (call.json) call.print(`${JSON.stringify({ changeSummary }, undefined, 2)}\n`);
  });
};

const destroy: Command = async (call) => {
  const { stack, configFile } = await open(call, await configOf(call));
  return operate(async () => {
    // Nothing is measured then.
    await watch(call, {}, configFile, (options) => stack.destroy(options));
  });
};

const outputs: Command = async (call) => {
  const config = await configOf(call);
  const { stack } = await open(call, config);
  printOutputs(call, config, await stack.outputs());
  return 0;
};

const explain: Command = async (call) => {
  const config = call.file === undefined ? await configOf(call) : await readConfigFile(call.file);
  // What only some commands need is loaded by them: the others start sooner.
  const { explain: explanation } = await import("./explain.ts");
  const { text, exitCode } = explanation({ config, json: call.json, project: projectName });
  call.print(text);
  return exitCode;
};

/** Quiet where nothing that would make the operation fail is missing. A config with errors is the preview's to refuse. */
async function hasWhatItNeeds(call: Call, config: Config): Promise<boolean> {
  const { checks } = await diagnose(config, "errors");
  const failed = checks.filter(({ state }) => state === "error");
  if (failed.length > 0) {
    const { describeNeeds } = await import("./doctor/index.ts");
    call.log(`Stack ${call.stack} can't be made yet; nothing was changed.\n${describeNeeds(failed).trimEnd()}`);
  }
  return failed.length === 0;
}

async function diagnose(
  config: Config,
  depth: Depth,
): Promise<{ findings: readonly Finding[]; checks: readonly NeedCheck[] }> {
  const { checkLabConfig } = await import("../datapath/config/index.ts");
  const { config: checked, findings } = checkLabConfig(config);
  if (checked === undefined) return { findings, checks: [] };
  const { needsOf } = await import("./doctor/index.ts");
  return { findings, checks: await needsOf(checked, depth) };
}

const doctor: Command = async (call) => {
  const { findings, checks } = await diagnose(await configOf(call), "all");
  const { describeNeeds } = await import("./doctor/index.ts");
  const failed = [...findings.map(({ severity }) => severity), ...checks.map(({ state }) => state)].includes("error");
  if (call.json) {
    call.print(`${JSON.stringify({ findings, checks }, undefined, 2)}\n`);
  } else {
    if (findings.length > 0) call.print(`${formatFindings(findings, projectName)}\n`);
    call.print(describeNeeds(checks));
  }
  return failed ? 1 : 0;
};

const report: Command = async (call) => {
  await writeReport(call, call.operands);
  return 0;
};

async function writeReport(call: Call, files: readonly string[]): Promise<void> {
  const { report: write } = await import("./report.ts");
  const { log, print, json } = call;
  const runsFolder = runsFolderOf(await readStackConfig(call.stack));
  await write({ files, runsFolder, outputFolder: labFolder, ...terminal(), json, print, log });
}

const compare: Command = async (call) => {
  if (call.operands.length > 0) {
    if (call.operands.length < 2) throw new Error("A comparison needs two run files: compare A.json B.json");
    await writeReport(call, call.operands);
    return 0;
  }
  const datapaths = (call.datapaths ?? "vxlan,native").split(",");
  if (new Set(datapaths).size < 2) throw new Error("A comparison needs two datapaths: --datapaths vxlan,native");
  const { rounds, signal, log } = call;
  // Ctrl-C ends what compiles modules as well: what is needed after it has to be there before.
  await import("./report.ts");
  const committed = await readStackConfig(call.stack);
  const taken = await takeTurns(await switchedLab(call, committed), { datapaths, rounds, signal, log });
  const runs = taken.flatMap((turn) => ("run" in turn ? [turn.run] : []));
  if (runs.length > 0)
    await writeReport(
      call,
      runs.map(({ id }) => path.join(runsFolderOf(committed), `${id}.json`)),
    );
  const failed = taken.filter((turn) => "failure" in turn);
  for (const { datapath, round } of failed) log(`No run of ${datapath} in round ${round}: its up failed, see above.`);
  return failed.length > 0 || signal.aborted || runs.length === 0 ? 1 : 0;
};

const verify: Command = async (call) => {
  const { json, log, print, kubeconfig, context, datapath, file: configFile } = call;
  if (datapath !== undefined) await checkedForCluster(withDatapath({}, datapath));
  const { verification, datapath: asked } = configFile === undefined ? {} : await clusterConfig(configFile, log);
  const { verify: verifyCluster } = await import("./verify.ts");
  const { run, file } = await verifyCluster({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(datapath !== undefined ? { instead: datapath } : asked === undefined ? {} : { datapath: asked }),
    ...(verification === undefined ? {} : { verification }),
    project: projectName,
    runsFolder: runsFolderOf({ verification }),
    signal: call.signal,
    log,
  });
  if (json) print(`${JSON.stringify(run, undefined, 2)}\n`);
  else print(summary(run, { ...terminal(), file: path.relative(process.cwd(), file) }));
  return run.verdict === "confirmed" ? 0 : 1;
};

/**
 * What a lab config says of a cluster that stands: how to measure it and, where the config says so, which datapath should hold.
 * Throws a ConfigError with every error at once.
 */
async function clusterConfig(
  file: string,
  log: (line: string) => void,
): Promise<Pick<LabConfig, "verification"> & Partial<Pick<LabConfig, "datapath">>> {
  const written = await readConfigFile(file);
  const { config, findings } = await checkedForCluster(written);
  if (findings.length > 0) log(formatFindings(findings, projectName));
  const saysDatapath = z.looseObject({ datapath: z.unknown().refine((section) => section !== undefined) });
  return {
    verification: config.verification,
    ...(saysDatapath.safeParse(written).success ? { datapath: config.datapath } : {}),
  };
}

/** Checks a config for a cluster that stands: the machines are its own, whatever the config has. Throws a ConfigError. */
async function checkedForCluster(written: unknown): Promise<{ config: LabConfig; findings: readonly Finding[] }> {
  const { checkLabConfig } = await import("../datapath/config/index.ts");
  const sections = z.record(z.string(), z.unknown()).safeParse(written).data;
  const { config, findings } = checkLabConfig(
    sections === undefined ? written : { ...sections, machines: { kind: "none" } },
  );
  if (config === undefined) throw new ConfigError(findings, projectName);
  return { config, findings };
}

/** The stack of a call as a lab that a comparison may switch. */
async function switchedLab(call: Call, committed: Config): Promise<SwitchedLab> {
  const before = await open(call, committed);
  const stood = Object.keys(await before.stack.outputs()).length > 0;
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
      const { usedConfig } = before;
      const { stack, configFile } = await openStack(call.stack, usedConfig, call.log);
      if (stood) await watch(quiet, usedConfig, configFile, (options) => stack.up(options));
      else await watch(quiet, {}, configFile, (options) => stack.destroy(options));
    },
  };
}

export const commands = { up, preview, destroy, outputs, explain, doctor, compare, report, verify } satisfies Record<
  string,
  Command
>;
