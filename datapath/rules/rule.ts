import type { LabConfig } from "../config/lab.ts";
import type { Finding } from "../findings.ts";

/** What a rule says of one config, where it differs from what it says in general. */
export type Violation = Partial<Pick<Finding, "key" | "message" | "wayOut">>;

/** One row of the rule table: checked at every preview, and printed in `docs/datapaths.md`. */
export interface Rule {
  /** Stable name, in words with hyphens. */
  readonly id: string;
  /**
   * error: Helm refuses, the agent ends, or nothing could work. warning: something else than what was asked for happens, and
   * the message says what.
   */
  readonly severity: Finding["severity"];
  /** Path of the config value to change. */
  readonly key: string;
  /** When the rule fires, in words: the documentation's column. */
  readonly when: string;
  readonly message: string;
  readonly wayOut: string;
  /** Where it can be read up: file and line of Cilium 1.13.4, an issue, or what else decides. */
  readonly source: string;
  /** One violation for each place that breaks the rule; none where it holds. Gets only configs of the right shape. */
  readonly violations: (config: LabConfig) => readonly Violation[];
}

/** A rule whose message is the same for every config that breaks it. */
export function rule({ breaks, ...row }: Omit<Rule, "violations"> & { breaks: (config: LabConfig) => boolean }): Rule {
  return { ...row, violations: (config) => (breaks(config) ? [{}] : []) };
}

/** What a rule finds in a config. */
export function findingsOf(row: Rule, config: LabConfig): Finding[] {
  const { id, severity, key, message, wayOut } = row;
  return row.violations(config).map((violation) => ({ id, severity, key, message, wayOut, ...violation }));
}
