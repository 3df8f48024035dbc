import { constants } from "node:os";
import type { Client, ClientChannel } from "ssh2";
import type { Operation, ResourceHandler } from "../definition.ts";
import { goQuoted } from "../go-text.ts";
import { inputFailures, parseInputs, remoteCommandInputs, type RemoteCommandInputs } from "./inputs.ts";
import { previousOutput, type PreviousOutput } from "./local.ts";
import { CommandOutput } from "./output.ts";
import { inputsOf, previewOfCreate, previewOfUpdate, uniqueId, withConnectionDefaults } from "./resource.ts";
import { withConnection } from "./ssh.ts";

/** How long a remote command that was told to end may take before its connection is cut. */
const endLimitMilliseconds = 3_000;

/** `command:remote:Command` of @pulumi/command 1.2.1. */
export const remoteCommand: ResourceHandler = {
  check: (inputs) => {
    const complete = withConnectionDefaults(inputs);
    return { inputs: complete, failures: inputFailures(remoteCommandInputs, complete) };
  },
  replacesOn: (property) => property === "triggers",

  async create(inputs, operation) {
    const id = uniqueId(operation.name);
    if (operation.preview) return { id, outputs: previewOfCreate(inputs) };
    const parsed = parseInputs(remoteCommandInputs, inputs);
    const nothing = { stdout: "", stderr: "" };
    const printed =
      parsed.create === undefined ? nothing : await runRemotely(parsed.create, parsed, nothing, operation);
    return { id, outputs: { ...inputs, ...printed } };
  },

  async update({ inputs, state }, operation) {
    if (operation.preview) return previewOfUpdate(inputs, state);
    const parsed = parseInputs(remoteCommandInputs, inputs);
    const previous = previousOutput(state);
    const command = parsed.update ?? parsed.create;
    const printed = command === undefined ? previous : await runRemotely(command, parsed, previous, operation);
    return { ...inputs, ...printed };
  },

  async delete({ state }, operation) {
    const parsed = parseInputs(remoteCommandInputs, inputsOf(state));
    if (parsed.delete !== undefined) await runRemotely(parsed.delete, parsed, previousOutput(state), operation);
  },
};

/**
 * Runs the command over SSH.
 * @throws Error `Process exited with status N: running "COMMAND":` and what it printed, or what is wrong with the connection
 */
async function runRemotely(
  command: string,
  inputs: RemoteCommandInputs,
  previous: PreviousOutput,
  operation: Operation,
): Promise<PreviousOutput> {
  return withConnection(inputs.connection, operation, async (client) => {
    const environment = await acceptedEnvironment(client, inputs, previous, operation);
    const output = new CommandOutput(operation, inputs.logging);
    const reason = await execute(client, command, environment, inputs.stdin ?? "", output, operation.signal);
    output.finish();
    if (reason === undefined) return output.outputs();
    throw new Error(`${reason}: running ${goQuoted(command)}:\n${output.interleaved}`);
  });
}

/**
 * The variables to send with the command. A server that does not accept one (AcceptEnv) drops it without a word, so they
 * are sent along with `env` first: one of the resource's own that does not arrive is an error, and what the last run
 * printed is left out with a warning.
 */
async function acceptedEnvironment(
  client: Client,
  inputs: RemoteCommandInputs,
  previous: PreviousOutput,
  operation: Operation,
): Promise<Record<string, string>> {
  const optional: Record<string, string> = {};
  if (inputs.addPreviousOutputInEnv !== false) {
    if (previous.stdout !== "") optional["PULUMI_COMMAND_STDOUT"] = previous.stdout;
    if (previous.stderr !== "") optional["PULUMI_COMMAND_STDERR"] = previous.stderr;
  }
  const wanted = { ...optional, ...inputs.environment };
  if (Object.keys(wanted).length === 0) return {};
  const listing = new CommandOutput(operation, "none");
  const problem = await execute(client, "env", wanted, "", listing, operation.signal);
  listing.finish();
  const arrived = listing.outputs().stdout;
  const accepted = Object.entries(wanted).filter(
    ([name, value]) => problem === undefined && `\n${arrived}\n`.includes(`\n${name}=${value}\n`),
  );
  for (const name of Object.keys(wanted)) {
    if (accepted.some(([acceptedName]) => acceptedName === name)) continue;
    const hint =
      `Unable to set '${name}'. The SSH server must accept the variable (AcceptEnv in its sshd_config); if a shell like ` +
      "Bash runs the command, it can also begin with VARIABLE=value.";
    const own = inputs.environment !== undefined && name in inputs.environment;
    operation.log(own ? "error" : "warning", hint);
    if (own) throw new Error(`could not set environment variable "${name}": the SSH server refused it`);
  }
  return Object.fromEntries(accepted);
}

/** @returns undefined when the command succeeded, else how it ended in the words of Go's SSH library. */
async function execute(
  client: Client,
  command: string,
  environment: Record<string, string>,
  stdin: string,
  output: CommandOutput,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    client.exec(command, { env: environment }, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      let cutTimer: NodeJS.Timeout | undefined;
      const end = (): void => {
        terminate(client, channel);
        cutTimer = setTimeout(() => client.destroy(), endLimitMilliseconds);
      };
      signal.addEventListener("abort", end, { once: true });
      let reason: string | undefined = "wait: remote command exited without exit status or exit signal";
      channel.on("data", (chunk: Buffer) => output.add("stdout", chunk));
      channel.stderr.on("data", (chunk: Buffer) => output.add("stderr", chunk));
      channel.on("exit", (status: number | null, signalName?: string) => {
        reason = status === 0 ? undefined : exitText(status, signalName);
      });
      channel.once("close", () => {
        signal.removeEventListener("abort", end);
        clearTimeout(cutTimer);
        resolve(signal.aborted ? "canceled" : reason);
      });
      // A command that does not read its standard input to the end is not in error.
      channel.on("error", () => undefined);
      channel.end(stdin);
    });
  });
}

/**
 * Sends SIGTERM to the remote command's process group. ClientChannel.signal of ssh2 sends nothing once standard input is
 * closed, though the protocol allows it (RFC 4254, section 6.9), so this takes what that method calls.
 */
function terminate(client: Client, channel: ClientChannel): void {
  const protocol: unknown = Reflect.get(client, "_protocol");
  const outgoing: unknown = Reflect.get(channel, "outgoing");
  if (typeof protocol !== "object" || protocol === null || typeof outgoing !== "object" || outgoing === null) return;
  const signal: unknown = Reflect.get(protocol, "signal");
  if (typeof signal === "function") Reflect.apply(signal, protocol, [Reflect.get(outgoing, "id"), "TERM"]);
}

function exitText(status: number | null, signalName: string | undefined): string {
  if (signalName === undefined) return `Process exited with status ${status ?? -1}`;
  const name = signalName.replace(/^SIG/, "");
  const number = Object.entries(constants.signals).find(([known]) => known === `SIG${name}`)?.[1] ?? 0;
  return `Process exited with status ${status ?? 128 + number} from signal ${name}`;
}
