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
  /** Completes the inputs with defaults and refuses wrong ones. */
  check?(inputs: PropertyMap, operation: Operation): CheckResult;
  /** Whether a change of this top-level input can't be made in place. */
  replacesOn(property: string): boolean;
  create(inputs: PropertyMap, operation: Operation): Promise<CreatedResource>;
  update?(request: UpdateRequest, operation: Operation): Promise<PropertyMap>;
  delete?(request: Omit<UpdateRequest, "inputs">, operation: Operation): Promise<void>;
  /** The state as it is now; without it, refresh keeps what the engine knows. Null when the resource is gone. */
  read?(request: UpdateRequest, operation: Operation): Promise<{ state: PropertyMap; inputs: PropertyMap } | null>;
}

/** A provider: its resource types and functions by their tokens, such as `command:local:Command`. */
export interface ProviderDefinition {
  resources: Record<string, ResourceHandler>;
  functions?: Record<string, (inputs: PropertyMap, operation: Operation) => Promise<PropertyMap>>;
}
