import type { Run } from "../datapath/run/run.ts";

/** A run's contradictions, for a person: node, check, expected and found. */
export function contradiction({ checks }: Run): string {
  const wrong = checks.filter(({ ok }) => ok === false);
  return [
    `CONTRADICTED: ${wrong.length} of ${checks.length} checks speak against the datapath that was asked for.`,
    ...wrong.map(
      ({ node, name, expected, found }) => `  ${node}: ${name}\n    expected: ${expected}\n    found:    ${found}`,
    ),
  ].join("\n");
}
