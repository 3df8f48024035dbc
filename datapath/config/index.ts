import { z } from "zod";
import { ConfigError, type Finding } from "../findings.ts";
import { cluster } from "./cluster.ts";
import { datapath } from "./datapath.ts";
import { machines } from "./machines.ts";
import { verification } from "./verification.ts";

/** Everything a stack asks for: the one shape that stack config, `--file` and the program's components share. */
export const labConfig = z.strictObject({
  machines: machines.prefault({ kind: "namespaces" }),
  datapath: datapath.prefault({ mode: "vxlan" }),
  cluster: cluster.prefault({}),
  verification: verification.prefault({}),
  strict: z.boolean().default(false).meta({ description: "Treat warnings as errors." }),
});

export type LabConfig = z.infer<typeof labConfig>;

/** What a config says, and what is wrong with it; `config` is absent where an error keeps it from being used. */
export interface CheckedConfig {
  readonly config?: LabConfig;
  readonly findings: readonly Finding[];
}

export function checkLabConfig(raw: unknown): CheckedConfig {
  const parsed = labConfig.safeParse(raw);
  if (parsed.success) return { config: parsed.data, findings: [] };
  return {
    findings: parsed.error.issues.map((issue) => ({
      id: "shape",
      severity: "error",
      key: issue.path.join("."),
      message: issue.message,
      wayOut: "See the config table in the README.",
    })),
  };
}

/** Parses and checks a config. Throws a ConfigError with every error at once. */
export function parseLabConfig(raw: unknown, project = "datapath-lab"): LabConfig {
  const { config, findings } = checkLabConfig(raw);
  if (config === undefined) throw new ConfigError(findings, project);
  return config;
}
