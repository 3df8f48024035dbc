import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { InitializationFailure, type Operation } from "../definition.ts";
import { sameValue } from "../diff.ts";
import {
  containsUnknown,
  isPropertyMap,
  isSecret,
  reveal,
  revealAll,
  secret,
  unknownValue,
  type PropertyMap,
  type PropertyValue,
} from "../properties.ts";
import { parseConfiguration, type Configuration } from "./configuration.ts";
import { ApiError, connectionFor, objectBody, objectPath, type Connection, type ServedKind } from "./connection.ts";
import { annotation, annotationsOf, identityOf, mapAt, type Identity } from "./object.ts";
import type { Operations } from "./handler.ts";
import { readinessOf } from "./readiness.ts";

/** As the official plugin: an operation waits this long unless the resource's custom timeouts say otherwise. */
const waitLimitMilliseconds = 10 * 60 * 1000;
const pollMilliseconds = 300;
/** Objects are sent in any order: a namespace or a CRD that is made at the same time may come a moment later. */
const attempts = 6;

/** What the state holds of a resource beside the object itself. */
const ownProperties = ["__inputs", "__initialApiVersion", "__fieldManager"];

/** An object of any kind that an API server serves, by its `apiVersion` and `kind`. */
export const objectOperations: Operations = {
  async check(given, operation, oldInputs) {
    const configuration = parseConfiguration(operation.configuration);
    const inputs = { ...given };
    const { apiVersion, kind } = inputs;
    if (containsUnknown(inputs["metadata"]) && !isPropertyMap(inputs["metadata"])) return { inputs, failures: [] };
    const metadata = { ...mapAt(inputs, "metadata") };
    if (metadata["name"] === undefined && metadata["generateName"] === undefined) {
      const old = mapAt(oldInputs, "metadata");
      const adopted = annotationsOf(oldInputs)[annotation.autonamed] === "true" ? old["name"] : undefined;
      metadata["name"] = adopted ?? `${operation.name}-${randomBytes(4).toString("hex")}`;
      metadata["annotations"] = { ...mapAt(metadata, "annotations"), [annotation.autonamed]: "true" };
    }
    if (metadata["namespace"] === undefined && typeof apiVersion === "string" && typeof kind === "string") {
      if (await isNamespaced(connectionFor(configuration), apiVersion, kind))
        metadata["namespace"] = configuration.namespace;
    }
    return { inputs: { ...inputs, metadata }, failures: [] };
  },

  async create(inputs, operation) {
    const fieldManager = `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
    const { live, id } = await applied(inputs, fieldManager, operation);
    if (live === undefined) return { id: "", outputs: inputs };
    return { id, outputs: checkpoint(inputs, live, fieldManager) };
  },

  async update({ state, inputs }, operation) {
    const known = state["__fieldManager"];
    const fieldManager = typeof known === "string" ? known : `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
    const { live } = await applied(inputs, fieldManager, operation);
    return live === undefined ? { ...state, ...inputs } : checkpoint(inputs, live, fieldManager);
  },

  async read({ id, state, inputs }, operation) {
    const configuration = parseConfiguration(operation.configuration);
    const connection = connectionFor(configuration);
    const unreachable = await connection.unreachable();
    if (unreachable !== undefined) {
      operation.log("warning", `configured Kubernetes cluster is unreachable: ${unreachable}`);
      if (configuration.deleteUnreachable) return null;
      if (configuration.skipUpdateUnreachable) return { state, inputs };
      throw new Error(
        "failed to read resource state due to unreachable API server. If the cluster was deleted, you can remove this " +
          'resource from Pulumi state by rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"',
      );
    }
    const imported = Object.keys(state).length === 0;
    const { apiVersion, kind } = identityOf(imported ? identityFromUrn(operation.urn) : state);
    const [namespace, name] = splitId(id, configuration);
    const live = await liveObject(connection, { apiVersion, kind, namespace, name }, operation);
    if (live === undefined) return null;
    const manager = state["__fieldManager"];
    const fieldManager = typeof manager === "string" ? manager : `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
    const now = imported ? inputsFromLive(live) : drifted(inputs, state, live);
    return { state: checkpoint(now, live, fieldManager), inputs: now };
  },

  async delete({ id, state }, operation) {
    const configuration = parseConfiguration(operation.configuration);
    const connection = connectionFor(configuration);
    const unreachable = await connection.unreachable();
    if (unreachable !== undefined) {
      operation.log("warning", `configured Kubernetes cluster is unreachable: ${unreachable}`);
      if (configuration.deleteUnreachable) return;
      throw new Error(
        "configured Kubernetes cluster is unreachable. If the cluster was deleted, you can remove this resource from Pulumi " +
          'state by rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"',
      );
    }
    const { apiVersion, kind } = identityOf(state);
    const [namespace, name] = splitId(id, configuration);
    const served = await connection.kind(apiVersion, kind);
    // Without its kind, which may have gone with its CRD, nothing of it can be left.
    if (served === undefined) return;
    const annotations = annotationsOf(state);
    const path = objectPath(apiVersion, served, namespace, name);
    const propagation = annotations[annotation.deletionPropagation];
    const propagationPolicy =
      propagation === "orphan" ? "Orphan" : propagation === "background" ? "Background" : "Foreground";
    const asked = await connection
      .send({ method: "DELETE", path, body: { propagationPolicy }, signal: operation.signal })
      .catch(unlessGone);
    if (asked === undefined || annotations[annotation.skipAwait] === "true") return;
    const uid = mapAt(state, "metadata")["uid"];
    await poll(operation, `${kind} ${id} to be gone`, async () => {
      const live = await liveObject(connection, { apiVersion, kind, namespace, name }, operation);
      if (live === undefined || (uid !== undefined && mapAt(live, "metadata")["uid"] !== uid)) return { done: true };
      const finalizers = mapAt(live, "metadata")["finalizers"];
      return { done: false, waiting: finalizers ? `finalizers ${JSON.stringify(finalizers)}` : "it is still there" };
    });
  },
};

interface ObjectName extends Identity {
  namespace: string;
  name: string;
}

// --- Sending and waiting ---------------------------------------------------------------------------------------------

/**
 * Applies the inputs on the server's side and waits until the object is ready.
 * @returns no object where a preview can't ask: with unknown inputs, without a cluster, for a kind or in a namespace that
 *   is yet to come
 */
async function applied(
  inputs: PropertyMap,
  fieldManager: string,
  operation: Operation,
): Promise<{ id: string; live?: PropertyMap }> {
  const configuration = parseConfiguration(operation.configuration);
  const connection = connectionFor(configuration);
  if (operation.preview && (containsUnknown(inputs) || !configuration.serverSideApply)) return { id: "" };
  const unreachable = await connection.unreachable();
  if (unreachable !== undefined) {
    if (operation.preview) return { id: "" };
    throw new Error(`configured Kubernetes cluster is unreachable: ${unreachable}`);
  }
  const body = toKubernetes(revealAll(inputs));
  const { apiVersion, kind } = identityOf(body);
  const annotations = annotationsOf(body);
  const metadata = mapAt(body, "metadata");
  const namespace = typeof metadata["namespace"] === "string" ? metadata["namespace"] : configuration.namespace;

  for (let attempt = 1; ; attempt += 1) {
    const served = await connection.kind(apiVersion, kind);
    try {
      if (served === undefined) {
        if (operation.preview) return { id: "" };
        throw new ApiError(
          404,
          "NotFound",
          `the API server has no kind ${kind} in ${apiVersion}; is its CRD installed?`,
        );
      }
      const live = objectBody.parse(await sendObject(connection, served, namespace, body, fieldManager, operation));
      const name = nameOf(live);
      const id = served.namespaced ? `${namespace}/${name}` : name;
      if (operation.preview) return { id, live: previewOf(live) };
      if (annotations[annotation.skipAwait] === "true") return { id, live };
      const awaited = { apiVersion, kind, namespace, name };
      return { id, live: await untilReady(connection, awaited, { id, inputs, live, fieldManager }, operation) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (operation.preview && error.status === 404) return { id: "" };
      // Immutable fields of an object that is about to be replaced.
      if (operation.preview && error.reason === "Invalid" && error.message.includes("immutable")) return { id: "" };
      if (error.status !== 404 || attempt >= attempts) {
        const hint =
          error.reason === "Conflict"
            ? `. Another field manager owns these fields; the annotation ${annotation.patchForce}: "true" takes them over.`
            : "";
        throw new Error(`${kind} ${namespace}/${nameOf(body)}: ${error.message}${hint}`, {
          cause: error,
        });
      }
      operation.log("info", `Retry #${attempt}; creation failed: ${error.message}`, { ephemeral: true });
      await delay(250 * 2 ** attempt, undefined, { signal: operation.signal });
    }
  }
}

async function sendObject(
  connection: Connection,
  served: ServedKind,
  namespace: string,
  body: PropertyMap,
  fieldManager: string,
  operation: Operation,
): Promise<unknown> {
  const { apiVersion } = identityOf(body);
  const { name } = mapAt(body, "metadata");
  const dryRun: Record<string, string> = operation.preview ? { dryRun: "All" } : {};
  const { signal } = operation;
  // A name that the server is to make can't be applied to.
  if (typeof name !== "string") {
    return connection.send({
      method: "POST",
      path: objectPath(apiVersion, served, namespace),
      query: { fieldManager, ...dryRun },
      body,
      signal,
    });
  }
  // A preview is no place to fight for fields: the object may be about to be replaced.
  const force = { force: String(operation.preview || annotationsOf(body)[annotation.patchForce] === "true") };
  return connection.send({
    method: "PATCH",
    path: objectPath(apiVersion, served, namespace, name),
    query: { fieldManager, ...force, ...dryRun },
    // JSON is YAML too.
    contentType: "application/apply-patch+yaml",
    body,
    signal,
  });
}

async function untilReady(
  connection: Connection,
  object: ObjectName,
  made: { id: string; inputs: PropertyMap; live: PropertyMap; fieldManager: string },
  operation: Operation,
): Promise<PropertyMap> {
  let live = made.live;
  try {
    await poll(operation, `${object.kind} ${made.id} to be ready`, async () => {
      const found = await liveObject(connection, object, operation);
      if (found === undefined) throw new Error(`${object.kind} ${made.id} was deleted while it was waited for`);
      live = found;
      const readiness = readinessOf(object.apiVersion, object.kind, found);
      if (readiness.ready) return { done: true };
      if (readiness.failed) throw new Error(`${object.kind} ${made.id} failed: ${readiness.waiting}`);
      return { done: false, waiting: readiness.waiting };
    });
    return live;
  } catch (error) {
    const outputs = checkpoint(made.inputs, live, made.fieldManager);
    const reason = error instanceof Error ? error.message : String(error);
    throw new InitializationFailure(`the resource was created, but is not ready: ${reason}`, {
      id: made.id,
      outputs,
      inputs: made.inputs,
    });
  }
}

async function poll(
  operation: Operation,
  what: string,
  ask: () => Promise<{ done: true } | { done: false; waiting: string }>,
): Promise<void> {
  const limit = AbortSignal.any([operation.signal, AbortSignal.timeout(waitLimitMilliseconds)]);
  let shown = "";
  for (;;) {
    const answer = await ask();
    if (answer.done) return;
    if (answer.waiting !== shown) operation.log("info", answer.waiting, { ephemeral: true });
    shown = answer.waiting;
    try {
      await delay(pollMilliseconds, undefined, { signal: limit });
    } catch {
      throw new Error(`timed out or was canceled while waiting for ${what}: ${shown}`);
    }
  }
}

async function liveObject(
  connection: Connection,
  { apiVersion, kind, namespace, name }: ObjectName,
  { signal }: Operation,
): Promise<PropertyMap | undefined> {
  const served = await connection.kind(apiVersion, kind);
  if (served === undefined) return undefined;
  const path = objectPath(apiVersion, served, namespace, name);
  const found = await connection.send({ method: "GET", path, signal }).catch(unlessGone);
  return found === undefined ? undefined : objectBody.parse(found);
}

function unlessGone(error: unknown): undefined {
  if (error instanceof ApiError && error.status === 404) return undefined;
  throw error;
}

async function isNamespaced(connection: Connection, apiVersion: string, kind: string): Promise<boolean> {
  if ((await connection.unreachable()) === undefined) {
    const served = await connection.kind(apiVersion, kind);
    if (served !== undefined) return served.namespaced;
  }
  return !/^(Namespace|Node|PersistentVolume|CustomResourceDefinition|PriorityClass|StorageClass|IngressClass|RuntimeClass)$|^Cluster|Configuration$/.test(
    kind,
  );
}

// --- State -----------------------------------------------------------------------------------------------------------

/** `kubernetes:apps/v1:DaemonSet` in a URN is kind DaemonSet of apps/v1; the group `core` has no name in the API. */
function identityFromUrn(urn: string): PropertyMap {
  const [, version = "", kind = ""] = (urn.split("::")[2] ?? "").split("$").at(-1)?.split(":") ?? [];
  return { apiVersion: version.replace(/^core\//, ""), kind };
}

function nameOf(object: PropertyMap): string {
  const { name } = mapAt(object, "metadata");
  return typeof name === "string" ? name : "";
}

function splitId(id: string, configuration: Configuration): [namespace: string, name: string] {
  const [first = "", second] = id.split("/");
  return second === undefined ? [configuration.namespace, first] : [first, second];
}

/** The state of a resource: the object as it lives, in which stays secret what was secret in the inputs. */
function checkpoint(inputs: PropertyMap, live: PropertyMap, fieldManager: string): PropertyMap {
  const outputs = mapOf(withSecretsOf(inputs, fromKubernetes(live)));
  // The server keeps `stringData` as `data`.
  if (live["kind"] === "Secret" && outputs["data"] !== undefined) outputs["data"] = secret(outputs["data"]);
  return {
    ...outputs,
    __inputs: inputs,
    __initialApiVersion: identityOf(inputs).apiVersion,
    __fieldManager: fieldManager,
  };
}

function withSecretsOf(inputs: PropertyValue, outputs: PropertyValue): PropertyValue {
  if (isSecret(inputs)) return secret(outputs);
  if (Array.isArray(inputs) && Array.isArray(outputs)) {
    return outputs.map((output, index) => withSecretsOf(inputs[index] ?? null, output));
  }
  if (!isPropertyMap(inputs) || !isPropertyMap(outputs)) return outputs;
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, withSecretsOf(inputs[name] ?? null, output)]),
  );
}

/** What a dry run answers, without what only the real object will have. */
function previewOf(live: PropertyMap): PropertyMap {
  const metadata = { ...mapAt(live, "metadata") };
  for (const name of ["uid", "creationTimestamp", "resourceVersion", "managedFields"]) {
    if (name in metadata) metadata[name] = unknownValue;
  }
  return { ...live, metadata, ...("status" in live && { status: unknownValue }) };
}

/** The inputs with the values that someone else changed in the cluster since the state was written. */
function drifted(inputs: PropertyMap, state: PropertyMap, live: PropertyMap): PropertyMap {
  const known = Object.fromEntries(Object.entries(revealAll(state)).filter(([name]) => !ownProperties.includes(name)));
  return mapOf(driftedValue(inputs, known, fromKubernetes(live)));
}

function driftedValue(
  input: PropertyValue,
  known: PropertyValue | undefined,
  live: PropertyValue | undefined,
): PropertyValue {
  if (isSecret(input)) return secret(driftedValue(reveal(input), known, live));
  if (Array.isArray(input) && Array.isArray(known) && Array.isArray(live) && known.length === live.length) {
    return input.map((item, index) => driftedValue(item, known[index], live[index]));
  }
  if (isPropertyMap(input) && isPropertyMap(known) && isPropertyMap(live)) {
    return Object.fromEntries(
      Object.entries(input).flatMap(([name, item]) => {
        // What vanished from the cluster is an input that is not there.
        if (known[name] !== undefined && live[name] === undefined) return [];
        return [[name, driftedValue(item, known[name], live[name])]];
      }),
    );
  }
  return known === undefined || live === undefined || sameValue(known, live) ? input : live;
}

function inputsFromLive(live: PropertyMap): PropertyMap {
  const served = ["uid", "creationTimestamp", "resourceVersion", "managedFields", "generation", "selfLink"];
  const metadata = Object.entries(mapAt(live, "metadata")).filter(([name]) => !served.includes(name));
  const rest = Object.entries(live).filter(([name]) => name !== "status");
  return mapOf(fromKubernetes({ ...Object.fromEntries(rest), metadata: Object.fromEntries(metadata) }));
}

function mapOf(value: PropertyValue): PropertyMap {
  return isPropertyMap(value) ? value : {};
}

/** The SDKs write `x-kubernetes-…` keys of schemas with underscores. */
function toKubernetes(values: PropertyMap): PropertyMap {
  return mapOf(withKeys(values, (key) => (key.startsWith("x_kubernetes_") ? key.replaceAll("_", "-") : key)));
}

function fromKubernetes(values: PropertyMap): PropertyValue {
  return withKeys(values, (key) => (key.startsWith("x-kubernetes-") ? key.replaceAll("-", "_") : key));
}

function withKeys(value: PropertyValue, rename: (key: string) => string): PropertyValue {
  if (Array.isArray(value)) return value.map((item) => withKeys(item, rename));
  if (!isPropertyMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [rename(key), withKeys(item, rename)]));
}
