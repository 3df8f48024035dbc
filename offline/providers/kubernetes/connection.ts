import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import * as z from "zod/mini";
import type { PropertyMap } from "../properties.ts";
import type { Configuration } from "./configuration.ts";

/** An API server's refusal, with its own words. */
export class ApiError extends Error {
  readonly status: number;
  /** Why, in one word: `NotFound`, `Conflict`, `Invalid`. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** A kind as the API server serves it. */
export interface ServedKind {
  /** Its name in paths, such as `daemonsets`. */
  plural: string;
  namespaced: boolean;
}

export interface ApiRequest {
  method: "GET" | "PATCH" | "POST" | "DELETE";
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal;
}

const reachLimitMilliseconds = 10_000;
const requestLimitMilliseconds = 60_000;

const statusBody = z.object({ message: z.optional(z.string()), reason: z.optional(z.string()) });
const resourceList = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

/** An API server, as the provider's configuration leads to it. */
export class Connection {
  readonly #config: KubeConfig;
  readonly #kinds = new Map<string, Map<string, ServedKind>>();
  #unreachable: Promise<string | undefined> | undefined;
  readonly #problem: string | undefined;

  constructor(configuration: Configuration) {
    this.#config = new KubeConfig();
    let problem: string | undefined;
    try {
      if (configuration.unknown) throw new Error("its kubeconfig is not known yet");
      if (configuration.kubeconfig === undefined) this.#config.loadFromDefault();
      else this.#config.loadFromString(configuration.kubeconfig);
      if (configuration.context !== undefined) this.#config.setCurrentContext(configuration.context);
      if (configuration.cluster !== undefined) {
        const name = this.#config.getCurrentContext();
        this.#config.contexts = this.#config.contexts.map((context) =>
          context.name === name ? { ...context, cluster: configuration.cluster ?? context.cluster } : context,
        );
      }
      if (!this.#config.getCurrentCluster()) {
        problem = `the kubeconfig's context ${JSON.stringify(this.#config.getCurrentContext())} leads to no cluster`;
      }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    this.#problem = problem;
  }

  /** Why the API server can't be used; undefined if it can. Asked once. */
  async unreachable(): Promise<string | undefined> {
    if (this.#problem !== undefined) return this.#problem;
    this.#unreachable ??= this.send({
      method: "GET",
      path: "/version",
      signal: AbortSignal.timeout(reachLimitMilliseconds),
    }).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    return this.#unreachable;
  }

  /** The kubeconfig that leads to this server, as JSON: what the Helm CLI is given. */
  kubeconfig(): string {
    return this.#config.exportConfig();
  }

  /** How a kind is served; undefined when it is not (its CRD may be yet to come). */
  async kind(apiVersion: string, kind: string): Promise<ServedKind | undefined> {
    const known = this.#kinds.get(apiVersion)?.get(kind);
    if (known) return known;
    try {
      const { resources } = resourceList.parse(await this.send({ method: "GET", path: versionPath(apiVersion) }));
      // Those with a slash in their names are parts of resources, such as `pods/log`.
      const kinds = resources.filter(({ name }) => !name.includes("/"));
      this.#kinds.set(
        apiVersion,
        new Map(kinds.map((entry) => [entry.kind, { plural: entry.name, namespaced: entry.namespaced }])),
      );
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
    return this.#kinds.get(apiVersion)?.get(kind);
  }

  /** @throws ApiError for what the server refuses */
  async send(request: ApiRequest): Promise<unknown> {
    const server = this.#config.getCurrentCluster()?.server ?? "";
    const url = new URL(server.replace(/\/+$/, "") + request.path);
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const headers: Record<string, string | number> = { Accept: "application/json" };
    if (body !== undefined) {
      headers["Content-Type"] = request.contentType ?? "application/json";
      headers["Content-Length"] = Buffer.byteLength(body);
    }
    const options: RequestOptions = { method: request.method, headers };
    // Adds what identifies the user.
    await this.#config.applyToHTTPSOptions(options);
    const limit = AbortSignal.timeout(requestLimitMilliseconds);
    options.signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
    const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
      const send = url.protocol === "https:" ? httpsRequest : httpRequest;
      const sent = send(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, answer: Buffer.concat(chunks).toString("utf8") }),
        );
      });
      sent.on("error", reject);
      sent.end(body);
    });
    const content = parsed(answer);
    if (status >= 200 && status < 300) return content;
    const refusal = statusBody.safeParse(content).data;
    throw new ApiError(
      status,
      refusal?.reason ?? "",
      refusal?.message ?? `HTTP status ${status}: ${answer.slice(0, 500)}`,
    );
  }
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}

function versionPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** The path of an object, or without a name that of all of its kind. */
export function objectPath(apiVersion: string, kind: ServedKind, namespace: string, name?: string): string {
  const parts = [
    versionPath(apiVersion),
    ...(kind.namespaced ? ["namespaces", encodeURIComponent(namespace)] : []),
    kind.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
  ];
  return parts.join("/");
}

const connections = new Map<string, Connection>();

/** The connection for a configuration: one for each that the process sees, as what it found out holds for all resources. */
export function connectionFor(configuration: Configuration): Connection {
  const { kubeconfig, unknown, context, cluster } = configuration;
  const key = JSON.stringify([kubeconfig, unknown, context, cluster]);
  const connection = connections.get(key) ?? new Connection(configuration);
  connections.set(key, connection);
  return connection;
}

/** Tells a JSON object from everything else that a server may answer. */
export const objectBody = z.custom<PropertyMap>(
  (value: unknown) => z.record(z.string(), z.unknown()).safeParse(value).success,
);
