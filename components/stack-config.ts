import * as pulumi from "@pulumi/pulumi";
import { allConfig } from "@pulumi/pulumi/runtime/index.js";
import { kubeconfigKey } from "../datapath/config/existing-cluster.ts";
import { checkLabConfig, type LabConfig, type LabConfigInput } from "../datapath/config/index.ts";
import { ConfigError, formatFindings } from "../datapath/findings.ts";
import type { DatapathLabArgs } from "./lab.ts";
import { refusal } from "./refusal.ts";

/**
 * What the stack that is being run asks for. Warnings are printed with the preview.
 * @throws a refusal with every error at once
 */
export function labOfStack(project: string): DatapathLabArgs {
  const config = checkedLab(readStackConfig(project), project);
  const kubeconfig = new pulumi.Config(project).getSecret(kubeconfigKey);
  return { ...config, ...(kubeconfig === undefined ? {} : { kubeconfig }) };
}

/**
 * A lab's config as another program writes it, with all defaults filled in. Warnings are printed with the preview.
 * @throws a refusal with every error at once
 */
export function labArgs(config: LabConfigInput): DatapathLabArgs {
  return checkedLab(config, pulumi.getProject());
}

function checkedLab(raw: unknown, project: string): LabConfig {
  const { config, findings } = checkLabConfig(raw);
  if (config === undefined) throw refusal(new ConfigError(findings, project));
  const warnings = findings.filter(({ severity }) => severity === "warning");
  if (warnings.length > 0) void pulumi.log.warn(formatFindings(warnings, project));
  return config;
}

/**
 * The stack's config under one project's name, as it stands in Pulumi.STACK.yaml: sections as objects, booleans and numbers
 * as themselves. Nothing in it is checked.
 */
function readStackConfig(project: string): Record<string, unknown> {
  const prefix = `${project}:`;
  return Object.fromEntries(
    Object.entries(allConfig())
      .filter(([key]) => key.startsWith(prefix) && key !== `${prefix}${kubeconfigKey}`)
      .map(([key, text]): [string, unknown] => [key.slice(prefix.length), valueOf(text)]),
  );
}

/** The engine hands every value over as text: what is JSON was no string in the stack's file. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
