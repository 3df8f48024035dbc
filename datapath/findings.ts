/** One thing wrong, or surprising, in what a person asked for. Errors stop the preview; warnings are printed with it. */
export interface Finding {
  /** Stable name of the rule, for programs and for `docs/datapaths.md`; `shape` for input that has the wrong type. */
  readonly id: string;
  readonly severity: "error" | "warning";
  /** Path of the config value, as `pulumi config set --path` takes it: `datapath.routes.kind`. */
  readonly key: string;
  /** What is wrong, or what will really happen. */
  readonly message: string;
  /** What to write instead. */
  readonly wayOut: string;
}

/** Renders findings for a terminal, one paragraph each. `project` prefixes the keys as stack config spells them. */
export function formatFindings(findings: readonly Finding[], project: string): string {
  return findings
    .map(({ severity, key, message, wayOut }) => `${severity}: ${project}:${key}\n    ${message}\n    ${wayOut}`)
    .join("\n");
}

/** Thrown where a config can't be used: carries every error at once. */
export class ConfigError extends Error {
  readonly findings: readonly Finding[];
  constructor(findings: readonly Finding[], project: string) {
    const errors = findings.filter(({ severity }) => severity === "error");
    super(
      `${errors.length === 1 ? "1 error" : `${errors.length} errors`} in the lab's config; nothing was created.\n${formatFindings(errors, project)}`,
    );
    this.name = "ConfigError";
    this.findings = findings;
  }
}
