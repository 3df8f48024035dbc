import { readFileSync } from "node:fs";
import path from "node:path";

/** The folder of this package, as seen from the program's working directory: the same text on every machine. */
const packageFolder = path.relative(process.cwd(), path.resolve(import.meta.dirname, "..")) || ".";

/** Command text that runs a script of this package as root. `name` is ours, never a config value. */
export function asRoot(name: string): string {
  return `exec ${packageFolder}/scripts/as-root ${packageFolder}/scripts/${name}`;
}

/** Command text that runs a TypeScript program of this package as root, with what it is given on standard input. */
export function nodeAsRoot(program: string): string {
  return `exec ${packageFolder}/scripts/as-root node --import tsx ${packageFolder}/${program}`;
}

/** Command text that runs a script of this package as the person who runs Pulumi. */
export function asPerson(name: string): string {
  return `exec ${packageFolder}/scripts/${name}`;
}

/** Command text that runs a TypeScript program of this package as the person who runs Pulumi. */
export function nodeAsPerson(program: string): string {
  return `exec node --import tsx ${packageFolder}/${program}`;
}

/** The text of a script that runs on a machine. */
export function scriptText(name: string): string {
  return readFileSync(path.resolve(import.meta.dirname, "..", "scripts", name), "utf8");
}
