import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { parse } from "yaml";
import * as z from "zod/mini";
import { sameValue } from "../diff.ts";
import { containsUnknown, revealAll, type PropertyMap } from "../properties.ts";

/** What the provider is configured with, as far as the stand-in knows it. */
export interface Configuration {
  /** A kubeconfig as text; undefined where nothing names one, so that the user's own is used. */
  kubeconfig: string | undefined;
  /** Something of the kubeconfig is only known when another resource is there. */
  unknown: boolean;
  context: string | undefined;
  cluster: string | undefined;
  /** Where resources go that name no namespace. */
  namespace: string;
  serverSideApply: boolean;
  deleteUnreachable: boolean;
  skipUpdateUnreachable: boolean;
  configMapsMutable: boolean;
  secretsMutable: boolean;
}

/** The engine passes what is no string as JSON in a string. */
const flag = z.optional(z.union([z.boolean(), z.string()]));
const text = z.optional(z.string());
const configurationInputs = z.object({
  kubeconfig: z.optional(z.union([z.string(), z.record(z.string(), z.unknown())])),
  context: text,
  cluster: text,
  namespace: text,
  enableServerSideApply: flag,
  deleteUnreachable: flag,
  skipUpdateUnreachable: flag,
  enableConfigMapMutable: flag,
  enableSecretMutable: flag,
});

/** @throws Error when a value has a wrong type, or a kubeconfig names a file that can't be read */
export function parseConfiguration(properties: PropertyMap): Configuration {
  const inputs = configurationInputs.parse(revealAll(properties));
  const isSet = (value: boolean | string | undefined, variable: string): boolean | undefined => {
    const given = value ?? process.env[variable];
    return given === undefined || given === "" ? undefined : given === true || given === "true";
  };
  const unknown = ["kubeconfig", "context", "cluster"].some((name) => containsUnknown(properties[name]));
  return {
    kubeconfig: unknown ? undefined : kubeconfigText(inputs.kubeconfig),
    unknown,
    context: inputs.context === "" ? undefined : inputs.context,
    cluster: inputs.cluster === "" ? undefined : inputs.cluster,
    namespace: inputs.namespace || "default",
    serverSideApply: isSet(inputs.enableServerSideApply, "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY") ?? true,
    deleteUnreachable: isSet(inputs.deleteUnreachable, "PULUMI_K8S_DELETE_UNREACHABLE") ?? false,
    skipUpdateUnreachable: isSet(inputs.skipUpdateUnreachable, "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE") ?? false,
    configMapsMutable: isSet(inputs.enableConfigMapMutable, "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE") ?? false,
    secretsMutable: isSet(inputs.enableSecretMutable, "PULUMI_K8S_ENABLE_SECRET_MUTABLE") ?? false,
  };
}

/** A kubeconfig is given as its text, as JSON, or as a file's path. */
function kubeconfigText(given: string | Record<string, unknown> | undefined): string | undefined {
  if (given === undefined || given === "") return undefined;
  if (typeof given !== "string") return JSON.stringify(given);
  if (given.includes("\n") || given.trimStart().startsWith("{")) return given;
  const file = given.startsWith("~") ? path.join(homedir(), given.slice(1)) : given;
  if (existsSync(file)) return readFileSync(file, "utf8");
  // A kubeconfig on one line is unusual but possible; everything else is a path.
  if (given.includes(": ")) return given;
  throw new Error(`the provider's kubeconfig names the file ${given}, which does not exist`);
}

const kubeconfigContent = z.object({
  "current-context": text,
  contexts: z.optional(z.array(z.object({ name: z.string(), context: z.object({ cluster: text }) }))),
  clusters: z.optional(z.array(z.object({ name: z.string(), cluster: z.unknown() }))),
});

/**
 * Which changes of the provider's configuration mean another cluster, so that everything in it is made anew: with an
 * unchanged `clusterIdentifier` none; otherwise a changed identifier, an unknown kubeconfig, or another active cluster in
 * it (pulumi-kubernetes, DiffConfig).
 */
export function configurationReplaces(oldConfiguration: PropertyMap, configuration: PropertyMap): string[] {
  const [oldValues, values] = [revealAll(oldConfiguration), revealAll(configuration)];
  const [oldIdentifier, identifier] = [oldValues["clusterIdentifier"], values["clusterIdentifier"]];
  if (identifier !== undefined && identifier === oldIdentifier) return [];
  const replaces = identifier !== undefined && oldIdentifier !== undefined ? ["clusterIdentifier"] : [];
  const selecting = ["kubeconfig", "context", "cluster"];
  const unknown = selecting.find((name) => containsUnknown(values[name]));
  if (unknown !== undefined) return [...replaces, unknown];
  const [oldCluster, cluster] = [activeCluster(oldConfiguration), activeCluster(configuration)];
  if (oldCluster === undefined || cluster === undefined || oldCluster === cluster) return replaces;
  return [...replaces, ...selecting.filter((name) => !sameValue(oldValues[name], values[name]))];
}

/** The entry of the cluster that a configuration leads to, as JSON. */
function activeCluster(properties: PropertyMap): string | undefined {
  try {
    const configuration = parseConfiguration(properties);
    if (configuration.kubeconfig === undefined) return undefined;
    const content = kubeconfigContent.parse(parse(configuration.kubeconfig));
    const context = configuration.context ?? content["current-context"];
    const name =
      configuration.cluster ?? content.contexts?.find((candidate) => candidate.name === context)?.context.cluster;
    const cluster = content.clusters?.find((candidate) => candidate.name === name);
    return cluster && JSON.stringify(cluster.cluster);
  } catch {
    // What can't be read leads nowhere; using it says why.
    return undefined;
  }
}
