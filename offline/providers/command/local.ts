import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import path from "node:path";
import type { CheckFailure, Operation, ResourceHandler } from "../definition.ts";
import { goExitText, goQuoted } from "../go-text.ts";
import { reveal, type PropertyMap } from "../properties.ts";
import { inputFailures, localCommandInputs, parseInputs, type LocalCommandInputs } from "./inputs.ts";
import { CommandOutput } from "./output.ts";
import { inputsOf, previewOfCreate, previewOfUpdate, uniqueId } from "./resource.ts";

/** How long a command that was told to end (SIGTERM) may clean up before it is killed. */
const endLimitMilliseconds = 3_000;

/** What the last run printed, for PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR. */
export interface PreviousOutput {
  stdout: string;
  stderr: string;
}

/** `command:local:Command` of @pulumi/command 1.2.1. */
export const localCommand: ResourceHandler = {
  check: (inputs) => ({ inputs, failures: [...inputFailures(localCommandInputs, inputs), ...notOffered(inputs)] }),
  replacesOn: (property) => property === "triggers",

  async create(inputs, operation) {
    const id = uniqueId(operation.name);
    if (operation.preview) return { id, outputs: previewOfCreate(inputs) };
    const parsed = parseInputs(localCommandInputs, inputs);
    const nothing = { stdout: "", stderr: "" };
    const printed = parsed.create === undefined ? nothing : await runLocally(parsed.create, parsed, nothing, operation);
    return { id, outputs: { ...inputs, ...printed } };
  },

  async update({ inputs, state }, operation) {
    if (operation.preview) return previewOfUpdate(inputs, state);
    const parsed = parseInputs(localCommandInputs, inputs);
    const previous = previousOutput(state);
    const command = parsed.update ?? parsed.create;
    const printed = command === undefined ? previous : await runLocally(command, parsed, previous, operation);
    return { ...inputs, ...printed };
  },

  async delete({ state }, operation) {
    const parsed = parseInputs(localCommandInputs, inputsOf(state));
    if (parsed.delete !== undefined) await runLocally(parsed.delete, parsed, previousOutput(state), operation);
  },
};

/** `command:local:run`: runs a command each time the program runs, also at preview. */
export async function runFunction(inputs: PropertyMap, operation: Operation): Promise<PropertyMap> {
  const { command, ...rest } = inputs;
  const parsed = parseInputs(localCommandInputs, { ...rest, create: command ?? null });
  if (parsed.create === undefined) throw new Error("command: missing required field (string)");
  return { ...inputs, ...(await runLocally(parsed.create, parsed, { stdout: "", stderr: "" }, operation)) };
}

function notOffered(inputs: PropertyMap): CheckFailure[] {
  return ["assetPaths", "archivePaths"]
    .filter((property) => inputs[property] !== undefined && inputs[property] !== null)
    .map((property) => ({
      property,
      reason: `${property} needs the official command plugin; the stand-in that runs here does not collect files`,
    }));
}

/** What a command printed at its last run, out of the resource's state. */
export function previousOutput(state: PropertyMap): PreviousOutput {
  const text = (name: string): string => {
    const value = reveal(state[name] ?? "");
    return typeof value === "string" ? value : "";
  };
  return { stdout: text("stdout"), stderr: text("stderr") };
}

/** The environment of the command: this process's, then the resource's, then what the last run printed. */
export function commandEnvironment(
  inputs: Pick<LocalCommandInputs, "environment" | "addPreviousOutputInEnv">,
  previous: PreviousOutput,
): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, ...inputs.environment };
  if (inputs.addPreviousOutputInEnv !== false) {
    if (previous.stdout !== "") environment["PULUMI_COMMAND_STDOUT"] = previous.stdout;
    if (previous.stderr !== "") environment["PULUMI_COMMAND_STDERR"] = previous.stderr;
  }
  return environment;
}

/**
 * Runs the command in a process group of its own, which ends when the operation is cancelled.
 * @throws Error `exit status N: running "COMMAND":` and what it printed.
 */
async function runLocally(
  command: string,
  inputs: LocalCommandInputs,
  previous: PreviousOutput,
  operation: Operation,
): Promise<PreviousOutput> {
  operation.signal.throwIfAborted();
  const output = new CommandOutput(operation, inputs.logging);
  const fail = (reason: string): Error => new Error(`${reason}: running ${goQuoted(command)}:\n${output.interleaved}`);
  const [program = "/bin/sh", ...programArguments] =
    inputs.interpreter !== undefined && inputs.interpreter.length > 0 ? inputs.interpreter : ["/bin/sh", "-c"];
  if (inputs.dir !== undefined) {
    const isFolder = await stat(inputs.dir).then(
      (found) => found.isDirectory(),
      () => undefined,
    );
    if (isFolder !== true) {
      throw fail(`chdir ${inputs.dir}: ${isFolder === false ? "not a directory" : "no such file or directory"}`);
    }
  }

  const environment = commandEnvironment(inputs, previous);
  const child = spawn(program, [...programArguments, command], {
    cwd: inputs.dir,
    env: environment,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdout.on("data", (chunk: Buffer) => output.add("stdout", chunk));
  child.stderr.on("data", (chunk: Buffer) => output.add("stderr", chunk));
  // A command that does not read its standard input to the end is not in error.
  child.stdin.on("error", () => undefined);
  child.stdin.end(inputs.stdin ?? "");

  let killTimer: NodeJS.Timeout | undefined;
  const end = (): void => {
    killGroup(child.pid, "SIGTERM");
    killTimer = setTimeout(() => killGroup(child.pid, "SIGKILL"), endLimitMilliseconds);
  };
  operation.signal.addEventListener("abort", end, { once: true });
  try {
    const reason = await new Promise<string | undefined>((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        void startErrorText(program, error).then(resolve);
      });
      child.once("close", (status, signal) => resolve(status === 0 ? undefined : goExitText(status, signal)));
    });
    output.finish();
    if (reason !== undefined) throw fail(reason);
    return output.outputs();
  } finally {
    operation.signal.removeEventListener("abort", end);
    // The command itself has ended; what it left running in its group must not outlive a cancelled operation.
    if (killTimer !== undefined) {
      clearTimeout(killTimer);
      killGroup(child.pid, "SIGKILL");
    }
  }
}

function killGroup(groupId: number | undefined, signal: NodeJS.Signals): void {
  if (groupId === undefined) return;
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function startErrorText(program: string, error: NodeJS.ErrnoException): Promise<string> {
  if (error.code !== "ENOENT" && error.code !== "EACCES") return error.message;
  if (!program.includes(path.sep)) return `exec: ${goQuoted(program)}: executable file not found in $PATH`;
  const exists = await access(program, constants.F_OK).then(
    () => true,
    () => false,
  );
  return `fork/exec ${program}: ${exists ? "permission denied" : "no such file or directory"}`;
}
