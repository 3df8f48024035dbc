import * as grpc from "@grpc/grpc-js";
import { Any } from "google-protobuf/google/protobuf/any_pb.js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb.js";
import { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import engineRpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import statusMessages from "@pulumi/pulumi/proto/status_pb.js";
import {
  InitializationFailure,
  type CheckResult,
  type Operation,
  type ProviderDefinition,
  type ResourceHandler,
  type Severity,
} from "./definition.ts";
import { changedProperties, topLevelProperty, type ChangeKind } from "./diff.ts";
import type { PropertyMap } from "./properties.ts";

/** What a provider is served with. `engineAddress` is the `host:port` that the engine passes as the last argument. */
export interface ServeOptions {
  version: string;
  engineAddress: string | undefined;
}

/** The engine accepts messages of this size from plugins (pulumi/pulumi, rpcutil). */
const maxMessageBytes = 400 * 1024 * 1024;

/** How long `stop` waits for commands that were told to end. The engine itself kills a plugin 5 s after its SIGINT. */
const stopLimitMilliseconds = 4_500;

const severities: Record<Severity, engineMessages.LogSeverity> = {
  debug: engineMessages.LogSeverity.DEBUG,
  info: engineMessages.LogSeverity.INFO,
  warning: engineMessages.LogSeverity.WARNING,
  error: engineMessages.LogSeverity.ERROR,
};

const changeKinds: Record<ChangeKind, { inPlace: messages.PropertyDiff.Kind; replace: messages.PropertyDiff.Kind }> = {
  add: { inPlace: messages.PropertyDiff.Kind.ADD, replace: messages.PropertyDiff.Kind.ADD_REPLACE },
  delete: { inPlace: messages.PropertyDiff.Kind.DELETE, replace: messages.PropertyDiff.Kind.DELETE_REPLACE },
  update: { inPlace: messages.PropertyDiff.Kind.UPDATE, replace: messages.PropertyDiff.Kind.UPDATE_REPLACE },
};

/**
 * Serves the provider on a free port of the loopback interface.
 * @returns the port, which the engine expects as the first line on standard output, and `stop`, which tells running
 *   operations to end and waits for them.
 */
export async function serve(
  definition: ProviderDefinition,
  options: ServeOptions,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const provider = new ProviderService(definition, options.version);
  if (options.engineAddress !== undefined) provider.attach(options.engineAddress);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
  server.addService(providerRpc.ResourceProviderService, provider.methods());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, stop: () => provider.stop() };
}

interface OperationRequest {
  getUrn(): string;
  getTimeout?(): number;
  getPreview?(): boolean;
}

class ProviderService {
  readonly #definition: ProviderDefinition;
  readonly #version: string;
  readonly #cancellation = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #engine: engineRpc.EngineClient | undefined;
  #configuration: PropertyMap = {};

  constructor(definition: ProviderDefinition, version: string) {
    this.#definition = definition;
    this.#version = version;
  }

  attach(engineAddress: string): void {
    this.#engine = new engineRpc.EngineClient(engineAddress, grpc.credentials.createInsecure(), {
      "grpc.max_send_message_length": maxMessageBytes,
    });
  }

  async stop(): Promise<void> {
    this.#cancellation.abort(new Error("canceled"));
    const limit = new Promise((resolve) => setTimeout(resolve, stopLimitMilliseconds).unref());
    await Promise.race([Promise.allSettled(this.#running), limit]);
  }

  methods(): grpc.UntypedServiceImplementation {
    return {
      handshake: this.#unary(() => {
        const response = new messages.ProviderHandshakeResponse();
        response.setAcceptSecrets(true);
        return response;
      }),
      getPluginInfo: this.#unary(() => new pluginMessages.PluginInfo().setVersion(this.#version)),
      attach: this.#unary((request: pluginMessages.PluginAttach) => {
        this.attach(request.getAddress());
        return new Empty();
      }),
      cancel: this.#unary(() => {
        this.#cancellation.abort(new Error("canceled"));
        return new Empty();
      }),
      checkConfig: this.#unary((request: messages.CheckRequest) =>
        new messages.CheckResponse().setInputs(request.getNews()),
      ),
      diffConfig: this.#unary((request: messages.DiffRequest) => {
        const oldConfiguration = fromStruct(request.getOldInputs() ?? request.getOlds());
        const configuration = fromStruct(request.getNews());
        const replaces = this.#definition.configurationReplaces?.(oldConfiguration, configuration) ?? [];
        return diffResponse(request, configuration, { replacesOn: (property) => replaces.includes(property) });
      }),
      configure: this.#unary((request: messages.ConfigureRequest) => {
        this.#configuration = fromStruct(request.getArgs());
        return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
      }),
      check: this.#operationMethod(async (request: messages.CheckRequest, operation) => {
        const inputs = fromStruct(request.getNews());
        const handler = this.#handler(request.getUrn());
        const oldInputs = fromStruct(request.getOlds());
        const result: CheckResult = (await handler.check?.(inputs, operation, oldInputs)) ?? { inputs, failures: [] };
        const failures = result.failures.map(({ property, reason }) =>
          new messages.CheckFailure().setProperty(property).setReason(reason),
        );
        return new messages.CheckResponse().setInputs(toStruct(result.inputs)).setFailuresList(failures);
      }),
      diff: this.#unary((request: messages.DiffRequest) => {
        const handler = this.#handler(request.getUrn());
        return diffResponse(request, this.#configuration, {
          replacesOn: (...change) => handler.update === undefined || handler.replacesOn(...change),
          ...(handler.hasVersion && { hasVersion: true }),
          ...(handler.deletesBeforeReplace && { deletesBeforeReplace: handler.deletesBeforeReplace }),
        });
      }),
      create: this.#operationMethod(async (request: messages.CreateRequest, operation) => {
        const handler = this.#handler(request.getUrn());
        const created = await handler.create(fromStruct(request.getProperties()), operation);
        return new messages.CreateResponse()
          .setId(operation.preview ? "" : created.id)
          .setProperties(toStruct(created.outputs));
      }),
      update: this.#operationMethod(async (request: messages.UpdateRequest, operation) => {
        const handler = this.#handler(request.getUrn());
        if (!handler.update) throw new Error(`${typeOfUrn(request.getUrn())} can't be updated, only replaced`);
        const state = fromStruct(request.getOlds());
        const inputs = withIgnored(fromStruct(request.getNews()), state, request.getIgnorechangesList());
        const outputs = await handler.update({ id: request.getId(), state, inputs }, operation);
        return new messages.UpdateResponse().setProperties(toStruct(outputs));
      }),
      delete: this.#operationMethod(async (request: messages.DeleteRequest, operation) => {
        const handler = this.#handler(request.getUrn());
        await handler.delete?.({ id: request.getId(), state: fromStruct(request.getProperties()) }, operation);
        return new Empty();
      }),
      read: this.#operationMethod(async (request: messages.ReadRequest, operation) => {
        const handler = this.#handler(request.getUrn());
        const state = fromStruct(request.getProperties());
        const inputs = fromStruct(request.getInputs());
        const read = handler.read
          ? await handler.read({ id: request.getId(), state, inputs }, operation)
          : { state, inputs };
        // An answer without an id tells the engine that the resource no longer exists.
        if (read === null) return new messages.ReadResponse();
        return new messages.ReadResponse()
          .setId(request.getId())
          .setProperties(toStruct(read.state))
          .setInputs(toStruct(read.inputs));
      }),
      invoke: this.#unary(async (request: messages.InvokeRequest) => {
        const invoked = this.#definition.functions?.[request.getTok()];
        if (!invoked) throw new Error(`the stand-in provider has no function ${request.getTok()}`);
        const result = await invoked(fromStruct(request.getArgs()), this.#operation({ getUrn: () => "" }));
        return new messages.InvokeResponse().setReturn(toStruct(result));
      }),
    };
  }

  #handler(urn: string): ResourceHandler {
    const type = typeOfUrn(urn);
    const handler = this.#definition.resources[type] ?? this.#definition.otherResource?.(type);
    if (handler) return handler;
    throw new Error(
      `the stand-in provider has no resource type ${type}; it offers ${Object.keys(this.#definition.resources).join(", ")}. ` +
        "Everything else needs the official plugin.",
    );
  }

  #operation(request: OperationRequest): Operation {
    const urn = request.getUrn();
    const timeoutSeconds = request.getTimeout?.() ?? 0;
    const signals = [this.#cancellation.signal];
    if (timeoutSeconds > 0) signals.push(AbortSignal.timeout(timeoutSeconds * 1000));
    return {
      urn,
      name: urn.split("::").slice(3).join("::"),
      preview: request.getPreview?.() ?? false,
      signal: AbortSignal.any(signals),
      configuration: this.#configuration,
      log: () => undefined,
    };
  }

  /** Answers only when every line that the operation logged has reached the engine, in order. */
  #operationMethod<Request extends OperationRequest, Response>(
    operate: (request: Request, operation: Operation) => Promise<Response>,
  ): grpc.handleUnaryCall<Request, Response> {
    return this.#unary(async (request: Request) => {
      let logged = Promise.resolve();
      const operation: Operation = {
        ...this.#operation(request),
        log: (severity, message, options) => {
          logged = logged.then(() => this.#log(request.getUrn(), severity, message, options?.ephemeral ?? false));
        },
      };
      try {
        return await operate(request, operation);
      } finally {
        await logged;
      }
    });
  }

  async #log(urn: string, severity: Severity, message: string, ephemeral: boolean): Promise<void> {
    const engine = this.#engine;
    if (!engine) return;
    const request = new engineMessages.LogRequest()
      .setUrn(urn)
      .setSeverity(severities[severity])
      .setMessage(message)
      .setEphemeral(ephemeral);
    // A line that can't be shown (the engine is going down) is no reason to fail the operation.
    await new Promise<void>((resolve) => engine.log(request, () => resolve()));
  }

  #unary<Request, Response>(
    handle: (request: Request) => Response | Promise<Response>,
  ): grpc.handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const answered = (async () => handle(call.request))().then(
        (response) => callback(null, response),
        (error: unknown) =>
          callback({
            code: grpc.status.UNKNOWN,
            details: error instanceof Error ? error.message : String(error),
            ...(error instanceof InitializationFailure && { metadata: initializationDetails(error) }),
          }),
      );
      this.#running.add(answered);
      void answered.finally(() => this.#running.delete(answered));
    };
  }
}

function diffResponse(
  request: messages.DiffRequest,
  configuration: PropertyMap,
  {
    replacesOn,
    deletesBeforeReplace,
    hasVersion = false,
  }: Pick<ResourceHandler, "replacesOn" | "deletesBeforeReplace" | "hasVersion">,
): messages.DiffResponse {
  const state = fromStruct(request.getOlds());
  const inputs = withIgnored(fromStruct(request.getNews()), state, request.getIgnorechangesList());
  const oldInputs = fromStruct(request.getOldInputs() ?? request.getOlds());
  const changes = changedProperties(oldInputs, inputs, { hasVersion });
  const response = new messages.DiffResponse().setHasdetaileddiff(true);
  response.setChanges(
    changes.length > 0 ? messages.DiffResponse.DiffChanges.DIFF_SOME : messages.DiffResponse.DiffChanges.DIFF_NONE,
  );
  const replaced = new Set<string>();
  for (const { path, kind } of changes) {
    const property = topLevelProperty(path);
    const replaces = replacesOn(property, path, inputs, configuration);
    if (replaces) replaced.add(property);
    const detail = new messages.PropertyDiff();
    detail.setKind(replaces ? changeKinds[kind].replace : changeKinds[kind].inPlace);
    detail.setInputdiff(true);
    response.getDetaileddiffMap().set(path, detail);
  }
  response.setDeletebeforereplace(replaced.size > 0 && (deletesBeforeReplace?.(oldInputs, inputs) ?? false));
  // The details go by path, these two by the properties' names: the progress display shows no other.
  const changed = new Set(changes.map(({ path }) => topLevelProperty(path)));
  return response.setDiffsList([...changed]).setReplacesList([...replaced]);
}

/** The error's details as gRPC carries them, where the engine looks for what is there of the resource. */
function initializationDetails(failure: InitializationFailure): grpc.Metadata {
  const detail = new messages.ErrorResourceInitFailed()
    .setId(failure.id)
    .setProperties(toStruct(failure.outputs))
    .setInputs(toStruct(failure.inputs))
    .setReasonsList([failure.message]);
  const details = new Any();
  details.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new statusMessages.Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(failure.message);
  status.addDetails(details);
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return metadata;
}

function withIgnored(inputs: PropertyMap, state: PropertyMap, ignored: string[]): PropertyMap {
  const kept = ignored.flatMap((name) => {
    const value = state[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...inputs, ...Object.fromEntries(kept) };
}

/** The type token in a URN: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`. */
function typeOfUrn(urn: string): string {
  const qualified = urn.split("::")[2] ?? "";
  return qualified.slice(qualified.lastIndexOf("$") + 1);
}

function fromStruct(struct: Struct | undefined): PropertyMap {
  return struct ? struct.toJavaScript() : {};
}

function toStruct(values: PropertyMap): Struct {
  return Struct.fromJavaScript(values);
}
