import { datapathName } from "../datapath/run/run-words.ts";
import type { Run } from "../datapath/run/run.ts";

/** The commands that measure the same again. Stack and datapath names go in quoted where a shell would read them otherwise. */
export function repeatCommands(runs: readonly Run[]): string[] {
  const stacks = new Map<string, Set<string>>();
  for (const run of runs) {
    const datapaths = stacks.get(run.lab.stack) ?? new Set();
    stacks.set(run.lab.stack, datapaths.add(datapathName(run)));
  }
  return [...stacks].map(([stack, datapaths]) => {
    const [first = "", ...others] = datapaths;
    const all = [first, ...others].join(",");
    return others.length === 0
      ? `npm run lab -- up --stack ${quoted(stack)} --datapath ${quoted(first)}`
      : `npm run lab -- compare --stack ${quoted(stack)} --datapaths ${quoted(all)}`;
  });
}

function quoted(word: string): string {
  return /^[\w.,/-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
