import { readFileSync } from "node:fs";
import path from "node:path";

const scripts = path.resolve(import.meta.dirname, "..", "scripts");

/** Scripts by job, in the order in which each job runs them; paths below scripts/. */
export type RemoteJobs = Readonly<Partial<Record<"up" | "down", readonly string[]>>>;

/** What a script is told, by name. Names are ours; values may be anything but a zero byte. */
export type RemoteVariables = Readonly<Record<string, string>>;

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
export function remoteCommand(job: keyof RemoteJobs): string {
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
