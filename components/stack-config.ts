import * as pulumi from "@pulumi/pulumi";
import { allConfig } from "@pulumi/pulumi/runtime/index.js";
import { z } from "zod";
import { kubeconfigKey } from "../datapath/config/existing-cluster.ts";
import { parseLabConfig, type LabConfig, type LabConfigInput } from "../datapath/config/index.ts";
import { labSections, secretSections } from "../datapath/config/stack-values.ts";
import { ConfigError, formatFindings } from "../datapath/findings.ts";
import type { DatapathLabArgs } from "./lab.ts";
import { refusal } from "./refusal.ts";

/** In it the engine names the config keys that were set with --secret. */
const secretKeysVariable = "PULUMI_CONFIG_SECRET_KEYS";

/** Whatever a stack has: the component checks it. */
const unchecked = z.custom<LabConfigInput>();

/**
 * What the stack that is being run asks for.
 * @throws a refusal where a section was set as a secret
 */
export function labOfStack(project: string): DatapathLabArgs {
  const sections = labSections(allConfig(), project);
  refuseSecrets(Object.keys(sections), project);
  const kubeconfig = new pulumi.Config(project).getSecret(kubeconfigKey);
  return { ...unchecked.parse(sections), ...(kubeconfig === undefined ? {} : { kubeconfig }) };
}

/**
 * A lab's config with all defaults filled in. Warnings are printed with the preview.
 * @throws a refusal with every error at once
 */
export function checkedConfig(input: LabConfigInput): LabConfig {
  const project = pulumi.getProject();
  try {
    const { config, warnings } = parseLabConfig(input, project);
    if (warnings.length > 0) void pulumi.log.warn(formatFindings(warnings, project));
    return config;
  } catch (error) {
    throw error instanceof ConfigError ? refusal(error) : error;
  }
}

/**
 * A section is printed, kept in runs and shown in previews: a secret in it would not stay one.
 * @throws a refusal with every section that was set with --secret
 */
function refuseSecrets(sections: readonly string[], project: string): void {
  const secretKeys = z.array(z.string()).parse(JSON.parse(process.env[secretKeysVariable] ?? "[]"));
  const findings = secretSections(sections.filter((section) => secretKeys.includes(`${project}:${section}`)));
  if (findings.length > 0) throw refusal(new ConfigError(findings, project));
}
