import { z } from "zod";
import { ConfigError, type Finding } from "../findings.ts";
import { cilium } from "./cilium.ts";
import { cluster } from "./cluster.ts";
import { datapath } from "./datapath.ts";
import { findingsOf } from "../rules/rule.ts";
import { rules } from "../rules/index.ts";
import { machines } from "./machines.ts";
import { plainValue } from "./plain.ts";
import { readShape } from "./shape.ts";
import { untainted } from "./untainted.ts";
import { verification } from "./verification.ts";

/** Everything a stack asks for: the one shape that stack config, `--file` and the program's components share. */
export const labConfig = z.strictObject({
  machines: machines.prefault({ kind: "namespaces" }).meta({ description: "What the lab stands on." }),
  datapath: datapath.prefault({ mode: "vxlan" }).meta({ description: "How packets of pods travel between nodes." }),
  cluster: cluster.prefault({}).meta({ description: "What holds for the whole Kubernetes cluster." }),
  cilium: cilium.prefault({}).meta({ description: "How Cilium gets onto the cluster." }),
  verification: verification.prefault({}).meta({ description: "How much is measured, and what a contradiction does." }),
  strict: z.boolean().default(false).meta({ description: "Treat warnings as errors." }),
});

export type LabConfig = z.infer<typeof labConfig>;

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

/** Parses and checks a config. Throws a ConfigError with every error at once. */
export function parseLabConfig(raw: unknown, project = "datapath-lab"): LabConfig {
  const { config, findings } = checkLabConfig(raw);
  if (config === undefined) throw new ConfigError(findings, project);
  return config;
}
