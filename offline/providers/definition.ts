import type { PropertyMap } from "./properties.ts";

export type Severity = "debug" | "info" | "warning" | "error";

/** What the engine tells about the operation under way, and the way to talk back. */
export interface Operation {
  urn: string;
  /** The resource's name in the program. */
  name: string;
  /** Only a preview: nothing may be done to the world. */
  preview: boolean;
  /** Aborted when the user cancels, when the engine is gone, or when the resource's custom timeout is over. */
  signal: AbortSignal;
  /** The provider's own configuration, as the program gave it. */
  configuration: PropertyMap;
  /** Shows a line beside the resource. `ephemeral` lines are progress: they show in the status column and are not kept. */
  log(severity: Severity, message: string, options?: { ephemeral?: boolean }): void;
}

/** An input that the provider refuses, with the path of the property. */
export interface CheckFailure {
  property: string;
  reason: string;
}

export interface CheckResult {
  inputs: PropertyMap;
  failures: CheckFailure[];
}

/** A resource as it stands after an operation. Values that are not known at preview are `unknownValue`. */
export interface CreatedResource {
  id: string;
  outputs: PropertyMap;
}

export interface UpdateRequest {
  id: string;
  state: PropertyMap;
  inputs: PropertyMap;
}

/**
 * One resource type. Inputs and outputs are as the engine sends them, secrets marked: what is passed through stays
 * secret. An operation fails by throwing an error whose message is for the user.
 */
export interface ResourceHandler {
  /** Completes the inputs with defaults and refuses wrong ones. `oldInputs` are those of the last update; empty before it. */
  check?(inputs: PropertyMap, operation: Operation, oldInputs: PropertyMap): CheckResult | Promise<CheckResult>;
  /** Whether a change in this top-level input, at this path in it, can't be made in place under this configuration. */
  replacesOn(property: string, path: string, inputs: PropertyMap, configuration?: PropertyMap): boolean;
  /** The type has an input `version` of its own, which otherwise belongs to the engine. */
  hasVersion?: boolean;
  /** Whether a replacement must wait until the old resource is deleted; not, without it. */
  deletesBeforeReplace?: (oldInputs: PropertyMap, inputs: PropertyMap) => boolean;
  create(inputs: PropertyMap, operation: Operation): Promise<CreatedResource>;
  update?(request: UpdateRequest, operation: Operation): Promise<PropertyMap>;
  delete?(request: Omit<UpdateRequest, "inputs">, operation: Operation): Promise<void>;
  /** The state as it is now; without it, refresh keeps what the engine knows. Null when the resource is gone. */
  read?(request: UpdateRequest, operation: Operation): Promise<{ state: PropertyMap; inputs: PropertyMap } | null>;
}

/**
 * Thrown by `create`, `update` or `read` when the resource is there but not as it should be: the engine keeps it in the
 * state, reports the reasons, and the next update goes on from there.
 */
export class InitializationFailure extends Error {
  readonly id: string;
  readonly outputs: PropertyMap;
  readonly inputs: PropertyMap;

  constructor(message: string, resource: { id: string; outputs: PropertyMap; inputs: PropertyMap }) {
    super(message);
    this.id = resource.id;
    this.outputs = resource.outputs;
    this.inputs = resource.inputs;
  }
}

/** A provider: its resource types and functions by their tokens, such as `command:local:Command`. */
export interface ProviderDefinition {
  resources: Record<string, ResourceHandler>;
  /** For types that are too many to list: the handler of one that is not in `resources`. */
  otherResource?(type: string): ResourceHandler | undefined;
  /** The configuration's keys whose changes replace the provider and with it all of its resources; none, without it. */
  configurationReplaces?(oldConfiguration: PropertyMap, configuration: PropertyMap): string[];
  functions?: Record<string, (inputs: PropertyMap, operation: Operation) => Promise<PropertyMap>>;
}
