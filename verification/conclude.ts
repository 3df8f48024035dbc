import type { Run } from "../datapath/run/run.ts";
import { keepRun } from "./keep-run.ts";

/**
 * Ends a program that verified: keeps the run and prints it as JSON on standard output, or says on standard error what is
 * contradicted and sets exit status 1 where the spec enforces the datapath.
 */
export async function conclude(
  run: Run,
  { runsFolder, settings }: { readonly runsFolder: string; readonly settings: { readonly enforce: boolean } },
): Promise<void> {
  const file = await keepRun(run, runsFolder);
  if (run.verdict === "contradicted" && settings.enforce) {
    process.stderr.write(`${contradiction(run)}\nThe run is kept in ${file}.\n`);
    process.exitCode = 1;
  } else {
    process.stdout.write(JSON.stringify(run));
  }
}

/** A run's contradictions, for a person: node, check, expected and found. */
function contradiction({ checks }: Run): string {
  const wrong = checks.filter(({ ok }) => ok === false);
  return [
    `CONTRADICTED: ${wrong.length} of ${checks.length} checks speak against the datapath that was asked for.`,
    ...wrong.map(
      ({ node, name, expected, found }) => `  ${node}: ${name}\n    expected: ${expected}\n    found:    ${found}`,
    ),
  ].join("\n");
}
