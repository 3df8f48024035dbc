import { ConfigError, type Finding } from "../findings.ts";
import { findingsOf } from "../rules/rule.ts";
import { rules } from "../rules/index.ts";
import { labConfig, type LabConfig, type LabConfigInput } from "./lab.ts";
import { plainValue } from "./plain.ts";
import { readShape } from "./shape.ts";
import { untainted } from "./untainted.ts";

export { labConfig, type LabConfig, type LabConfigInput };

/** What a config says, and what is wrong with it; `config` is absent where an error keeps it from being used. */
export interface CheckedConfig {
  readonly config?: LabConfig;
  /** The same, but there also where a rule is broken: everything in it has the right shape. */
  readonly shaped?: LabConfig;
  readonly findings: readonly Finding[];
}

/**
 * Parses a config and runs every rule on it, all errors at once. Rules that would have to look at a value of the wrong shape are
 * left out; all others run. With `strict: true` warnings are errors.
 */
export function checkLabConfig(raw: unknown): CheckedConfig {
  const plain = plainValue(raw ?? {});
  const { config, findings: shape, tainted } = readShape(labConfig, plain.value ?? {});
  const findings = [...plain.findings, ...shape];
  if (config === undefined) return { findings };
  for (const row of rules) {
    findings.push(...(untainted(config, tainted, (read) => findingsOf(row, read)) ?? []));
  }
  const judged = config.strict ? findings.map((finding) => ({ ...finding, severity: "error" as const })) : findings;
  return {
    ...(judged.some(({ severity }) => severity === "error") ? {} : { config }),
    ...(plain.findings.length + shape.length === 0 ? { shaped: config } : {}),
    findings: judged,
  };
}

/** A config that can be used, and what may surprise in it. */
export interface UsableConfig {
  readonly config: LabConfig;
  readonly warnings: readonly Finding[];
}

/** Parses and checks a config. Throws a ConfigError with every error at once. */
export function parseLabConfig(raw: unknown, project = "datapath-lab"): UsableConfig {
  const { config, findings } = checkLabConfig(raw);
  if (config === undefined) throw new ConfigError(findings, project);
  // Where one is an error there is no config.
  return { config, warnings: findings };
}
