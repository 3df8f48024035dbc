import { readFileSync } from "node:fs";
import path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "./machines/machine.ts";

const scripts = path.resolve(import.meta.dirname, "..", "scripts");

/** Scripts by job, in the order in which each job runs them; paths below scripts/. */
export type RemoteJobs = Readonly<Partial<Record<"up" | "down", readonly string[]>>>;

/** What a script is told, by name. Names are ours; values may be anything but a zero byte. */
export type RemoteVariables = Readonly<Record<string, string>>;

/** What is done on a machine, and when. */
export interface RemoteWork {
  readonly jobs: RemoteJobs;
  /** A secret among them makes all of them one, in state and diff. */
  readonly variables: Readonly<Record<string, pulumi.Input<string>>>;
  /** What is printed is a secret, and not shown. */
  readonly printsSecret?: boolean;
  /** The limit that the scripts keep themselves. */
  readonly limitSeconds: number;
  readonly dependsOn: readonly pulumi.Resource[];
  readonly deletedWith?: pulumi.Resource;
}

/** Beyond the limits that the scripts keep themselves: they say more than the engine would. */
const marginSeconds = 180;

/** Does work on a machine as root, anew whenever a script or a variable of it changes, or the machine is another. */
export function remoteJob(
  name: string,
  machine: Machine,
  work: RemoteWork,
  parent: pulumi.Resource,
): command.remote.Command {
  const { jobs, limitSeconds, printsSecret = false } = work;
  const variables = pulumi.output({ LAB_NODE: machine.name, LAB_INCARNATION: machine.incarnation, ...work.variables });
  const limit = `${limitSeconds + marginSeconds}s`;
  return new command.remote.Command(
    name,
    {
      connection: machine.connection,
      create: remoteCommand("up"),
      ...(jobs.down === undefined ? {} : { delete: remoteCommand("down") }),
      stdin: variables.apply((known) => remoteJobs(jobs, known)),
      ...(printsSecret ? { logging: command.remote.Logging.None } : {}),
      addPreviousOutputInEnv: false,
    },
    {
      parent,
      dependsOn: [...work.dependsOn],
      hideDiffs: ["stdin"],
      customTimeouts: { create: limit, update: limit, delete: limit },
      ...(work.deletedWith === undefined ? {} : { deletedWith: work.deletedWith }),
      ...(printsSecret ? { additionalSecretOutputs: ["stdout"] } : {}),
    },
  );
}

/**
 * Text for the standard input of `remoteCommand`: the variables, what the scripts share, and each script as a function. A
 * command resource has one standard input for all it does: which job is meant is told on the command line.
 */
export function remoteJobs(jobs: RemoteJobs, variables: RemoteVariables): string {
  const shared = new Map<string, string>();
  const functions = Object.entries(jobs).map(
    ([job, names]) => `${job}() {\n${names.map((_, index) => `${job}_${index + 1}\n`).join("")}}\n`,
  );
  const parts = Object.entries(jobs).flatMap(([job, names]) =>
    names.map((name, index) => `${job}_${index + 1}() {\n${scriptBody(name, shared)}}\n`),
  );
  return [
    ...Object.entries(variables).map(([name, value]) => `${name}=${quoted(value)}\n`),
    ...shared.values(),
    ...parts,
    ...functions,
    // What a job runs must not read on in this text.
    `case $1 in ${Object.keys(jobs).join(" | ")}) "$1" </dev/null ;; esac\n`,
  ].join("");
}

/** Command text that does one of the jobs on standard input, as root. The same for every machine: nothing secret is in it. */
function remoteCommand(job: keyof RemoteJobs): string {
  return `if [ "$(id -u)" -eq 0 ]; then exec sh -s ${job}; else exec sudo -n sh -s ${job}; fi`;
}

/** A word that a POSIX shell reads as the value itself. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** A script without its comments; what it includes goes to `shared`, once. */
function scriptBody(name: string, shared: Map<string, string>): string {
  const file = path.join(scripts, name);
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => {
      const included = /^\. \.\/(\S+)$/.exec(line)?.[1];
      if (included !== undefined && !shared.has(included)) {
        shared.set(included, scriptBody(path.join(path.dirname(name), included), shared));
      }
      return included === undefined && !/^\s*#/.test(line) && line !== "";
    })
    .map((line) => `${line}\n`)
    .join("");
}
