import { datapathName } from "../datapath/run/run-words.ts";
import type { Run } from "../datapath/run/run.ts";

/** The stack's name in runs of `verify`, which has none. */
const withoutStack = "verify";

/**
 * The commands that measure the same again, as lines of a shell. Stack and datapath names go in quoted where a shell would read
 * them otherwise.
 */
export function repeatCommands(runs: readonly Run[]): string[] {
  const stacks = new Map<string, Map<string, number>>();
  for (const run of runs) {
    const rounds = stacks.get(run.lab.stack) ?? new Map<string, number>();
    const name = datapathName(run);
    stacks.set(run.lab.stack, rounds.set(name, (rounds.get(name) ?? 0) + 1));
  }
  return [...stacks].flatMap(([stack, rounds]) => {
    const datapaths = [...rounds.keys()];
    if (stack === withoutStack)
      return datapaths.map((name) => `npm run lab -- verify --kubeconfig FILE --datapath ${quoted(name)}`);
    if (datapaths.length > 1) {
      const most = Math.max(...rounds.values());
      return [
        `npm run lab -- compare --stack ${quoted(stack)} --datapaths ${quoted(datapaths.join(","))} --rounds ${most}`,
      ];
    }
    return [
      `# What stands unchanged is not measured anew: first change verification.occasion in Pulumi.${stack}.yaml.`,
      ...datapaths.map((name) => `npm run lab -- up --stack ${quoted(stack)} --datapath ${quoted(name)}`),
    ];
  });
}

function quoted(word: string): string {
  return /^[\w.,/-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
