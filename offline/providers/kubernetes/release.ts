import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { parse, parseAllDocuments } from "yaml";
import * as z from "zod/mini";
import { InitializationFailure, type Operation } from "../definition.ts";
import { sameValue } from "../diff.ts";
import {
  containsUnknown,
  isAsset,
  isPropertyMap,
  isSecret,
  reveal,
  revealAll,
  secret,
  unknownValue,
  type PropertyMap,
  type PropertyValue,
} from "../properties.ts";
import { parseConfiguration } from "./configuration.ts";
import { connectionFor, objectBody, type Connection } from "./connection.ts";
import type { Operations } from "./handler.ts";
import { defaultTimeoutSeconds, Helm, HelmError, releaseInputs, type ReleaseInputs, type Revision } from "./helm.ts";

/** Inputs that the official plugin's Check fills in: every simple one of a release (pulumi-kubernetes, Release). */
const defaults: PropertyMap = {
  allowNullValues: false,
  atomic: false,
  chart: "",
  cleanupOnFail: false,
  createNamespace: false,
  dependencyUpdate: false,
  description: "",
  devel: false,
  disableCRDHooks: false,
  disableOpenapiValidation: false,
  disableWebhooks: false,
  forceUpdate: false,
  keyring: "",
  lint: false,
  postrender: "",
  recreatePods: false,
  renderSubchartNotes: false,
  replace: false,
  resetValues: false,
  reuseValues: false,
  skipAwait: false,
  skipCrds: false,
  timeout: 0,
  values: {},
  verify: false,
  version: "",
  waitForJobs: false,
};
const withoutDefault = ["maxHistory", "name", "namespace", "repositoryOpts"];
const repositoryDefaults: PropertyMap = { caFile: "", certFile: "", keyFile: "", password: "", repo: "", username: "" };

/** `kubernetes:helm.sh/v3:Release` by the Helm CLI. */
export const releaseOperations: Operations = {
  async check(given, operation, oldInputs) {
    const configuration = parseConfiguration(operation.configuration);
    const inputs: PropertyMap = { ...defaults };
    for (const name of [...Object.keys(defaults), ...withoutDefault]) {
      const value = given[name] ?? null;
      if (value !== null) inputs[name] = value;
    }
    const own = (name: string): PropertyValue => reveal(inputs[name] ?? null);
    if (given["name"] === undefined && oldInputs["name"] !== undefined) inputs["name"] = oldInputs["name"];
    if (!own("name")) inputs["name"] = `${operation.name}-${randomBytes(4).toString("hex")}`;
    if (!own("namespace")) inputs["namespace"] = configuration.namespace;
    if (given["timeout"] === undefined && own("skipAwait") !== true) inputs["timeout"] = defaultTimeoutSeconds;
    const repository = inputs["repositoryOpts"];
    if (isPropertyMap(repository) && !isSecret(repository)) {
      inputs["repositoryOpts"] = { ...repositoryDefaults, ...repository };
    }
    const files = given["valueYamlFiles"];
    if (Array.isArray(files) && !containsUnknown(files)) inputs["values"] = withFiles(files, inputs["values"] ?? {});

    // The version that a constraint, or none, leads to; a chart can't be loaded for what is not known.
    if (containsUnknown(files)) inputs["values"] = unknownValue;
    if (containsUnknown(inputs)) return { inputs, failures: [] };
    const connection = connectionFor(configuration);
    try {
      const version = await new Helm(connection, operation).chartVersion(releaseOf(inputs));
      inputs["version"] = isSecret(inputs["version"]) ? secret(version) : version;
    } catch (error) {
      if (!(error instanceof HelmError)) throw error;
      const reason = `${error.message}; check the chart name and repository configuration.`;
      return { inputs, failures: [{ property: "chart", reason }] };
    }
    return { inputs, failures: [] };
  },

  async create(inputs, operation) {
    if (operation.preview) return { id: "", outputs: previewOf(inputs) };
    const connection = await reachable("create", operation);
    const release = releaseOf(inputs);
    const helm = new Helm(connection, operation);
    const id = `${release.namespace}/${release.name}`;
    const before = await helm.newestRevision(release);
    try {
      await helm.install(release);
    } catch (error) {
      // What Helm refused to touch is not this resource's; what it made and could not finish is.
      const left = error instanceof HelmError ? await helm.newestRevision(release) : undefined;
      if (!(error instanceof HelmError) || left === undefined || left.number === before?.number) throw error;
      operation.log(
        "warning",
        `Helm release ${JSON.stringify(release.name)} was created but has a failed status. Use the \`helm\` command to ` +
          `investigate the error, correct it, then retry. Reason: ${error.message}`,
      );
      throw new InitializationFailure(
        `Helm release ${JSON.stringify(id)} was created, but failed to initialize completely. Use Helm CLI to investigate: ` +
          failureText(release, error),
        { id, outputs: checkpoint(inputs, left), inputs },
      );
    }
    return { id, outputs: checkpoint(inputs, await presentRevision(helm, release)) };
  },

  async update({ id, state, inputs }, operation) {
    if (operation.preview) return previewOf(inputs);
    const connection = await reachable("update", operation);
    const release = releaseOf(inputs);
    const helm = new Helm(connection, operation);
    const before = await helm.newestRevision(release);
    try {
      await helm.upgrade(release);
    } catch (error) {
      const left = error instanceof HelmError ? await helm.newestRevision(release) : undefined;
      if (!(error instanceof HelmError) || left === undefined || left.number === before?.number) throw error;
      throw new InitializationFailure(
        `Helm release ${JSON.stringify(`${release.namespace}/${release.name}`)} failed to initialize completely. ` +
          `Use Helm CLI to investigate: error running update: ${failureText(release, error)}`,
        // The inputs that failed stay out, so that the next update tries again.
        { id, outputs: checkpoint(inputs, left), inputs: mapAt(state, "__inputs") },
      );
    }
    return checkpoint(inputs, await presentRevision(helm, release));
  },

  async read({ id, state, inputs }, operation) {
    const connection = await reachable("read", operation);
    const [namespace = "", name = ""] = id.split("/");
    const found = await new Helm(connection, operation).newestRevision({ namespace, name });
    if (found === undefined) return null;
    if (Object.keys(state).length === 0) {
      const imported = { ...defaults, name, namespace, chart: found.chart.name, timeout: defaultTimeoutSeconds };
      const now = { ...imported, version: found.chart.version, values: objectBody.parse(found.values) };
      return { state: checkpoint(now, found), inputs: now };
    }
    const now = { ...inputs };
    // Values or chart that someone else gave the release since show as the change that an update takes back.
    const known = revealAll(mapAt(state, "__inputs"));
    const values = objectBody.parse(found.values);
    if (!sameValue(known["values"] ?? {}, values) && !sameValue(reveal(inputs["values"] ?? {}), values)) {
      now["values"] = withSecretsOf(inputs["values"] ?? {}, values);
    }
    if (known["version"] !== found.chart.version) now["version"] = found.chart.version;
    return { state: checkpoint(now, found), inputs: now };
  },

  async delete({ state }, operation) {
    const connection = await reachable("delete", operation);
    const release = releaseOf(state);
    try {
      await new Helm(connection, operation).uninstall(release);
    } catch (error) {
      if (!(error instanceof HelmError) || !/release: not found/.test(error.message)) throw error;
    }
  },
};

async function reachable(action: string, operation: Operation): Promise<Connection> {
  const connection = connectionFor(parseConfiguration(operation.configuration));
  const reason = await connection.unreachable();
  if (reason === undefined) return connection;
  throw new Error(`can't ${action} Helm Release with unreachable cluster: ${reason}`);
}

function releaseOf(inputs: PropertyMap): ReleaseInputs {
  return releaseInputs.parse(revealAll(inputs));
}

async function presentRevision(helm: Helm, release: ReleaseInputs): Promise<Revision> {
  const found = await helm.newestRevision(release);
  if (found) return found;
  throw new Error(`Helm reports success, but there is no release ${release.namespace}/${release.name}`);
}

function failureText(release: ReleaseInputs, error: Error): string {
  return (
    "failed to become available within allocated timeout. Error: " +
    `Helm Release ${release.namespace}/${release.name}: ${error.message}`
  );
}

/** The state of a release: its inputs, and what Helm says of it. */
function checkpoint(inputs: PropertyMap, revision: Revision): PropertyMap {
  return {
    ...inputs,
    resourceNames: resourceNames(revision.manifest),
    status: {
      appVersion: revision.chart.appVersion,
      chart: revision.chart.name,
      name: reveal(inputs["name"] ?? ""),
      namespace: reveal(inputs["namespace"] ?? ""),
      revision: revision.number,
      status: revision.status,
      version: revision.chart.version,
    },
    __inputs: secret(inputs),
  };
}

function previewOf(inputs: PropertyMap): PropertyMap {
  return { ...inputs, resourceNames: unknownValue, status: unknownValue };
}

const manifestObject = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.optional(z.string()) }),
});

/**
 * The objects in a manifest: `NAMESPACE/NAME`, or the name alone where the manifest says no namespace, under keys such as
 * `ConfigMap/v1` and `DaemonSet.apps/apps/v1`.
 */
function resourceNames(manifest: string): PropertyMap {
  const names: Record<string, string[]> = {};
  for (const document of parseAllDocuments(manifest)) {
    const object = manifestObject.safeParse(document.toJS()).data;
    if (object === undefined) continue;
    const { name, namespace } = object.metadata;
    const [group, version] = object.apiVersion.split("/");
    const key = `${version === undefined ? object.kind : `${object.kind}.${group ?? ""}`}/${object.apiVersion}`;
    names[key] = [...(names[key] ?? []), namespace === undefined ? name : `${namespace}/${name}`].sort();
  }
  return names;
}

function mapAt(values: PropertyMap, name: string): PropertyMap {
  const found = values[name];
  const value = isSecret(found) ? found["value"] : found;
  return isPropertyMap(value) ? value : {};
}

function withSecretsOf(marked: PropertyValue, values: PropertyValue): PropertyValue {
  if (isSecret(marked)) return secret(values);
  if (Array.isArray(marked) && Array.isArray(values)) {
    return values.map((value, index) => withSecretsOf(marked[index] ?? null, value));
  }
  if (!isPropertyMap(marked) || !isPropertyMap(values)) return values;
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, withSecretsOf(marked[name] ?? null, value)]),
  );
}

/** Values of files, the later over the earlier, and over all of them the values given directly. */
function withFiles(files: PropertyValue[], values: PropertyValue): PropertyValue {
  const fromFiles = files.map((given): PropertyValue => {
    const asset = reveal(given);
    if (!isAsset(asset))
      throw new Error("valueYamlFiles takes assets: new pulumi.asset.FileAsset(…) or StringAsset(…)");
    const { text: held, path } = asset;
    const text = typeof held === "string" ? held : typeof path === "string" ? readFileSync(path, "utf8") : "";
    const content = objectBody.parse(parse(text) ?? {});
    return isSecret(given) ? secret(content) : content;
  });
  return [...fromFiles, values].reduce(merged, {});
}

function merged(base: PropertyValue, over: PropertyValue): PropertyValue {
  if (isSecret(base) || isSecret(over) || !isPropertyMap(base) || !isPropertyMap(over)) return over;
  const result = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const below = result[name];
    result[name] = below === undefined ? value : merged(below, value);
  }
  return result;
}
