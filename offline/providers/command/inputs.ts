import * as z from "zod/mini";
import type { CheckFailure } from "../definition.ts";
import { containsUnknown, reveal, unknownValue, type PropertyMap } from "../properties.ts";

const loggings = ["stdout", "stderr", "stdoutAndStderr", "none"] as const;

/** Inputs that `local.Command` and `remote.Command` share (@pulumi/command 1.2.1). */
const commandInputs = {
  create: z.optional(z.string()),
  update: z.optional(z.string()),
  delete: z.optional(z.string()),
  triggers: z.optional(z.array(z.unknown())),
  stdin: z.optional(z.string()),
  logging: z.optional(z.enum(loggings)),
  environment: z.optional(z.record(z.string(), z.string())),
  addPreviousOutputInEnv: z.optional(z.boolean()),
};

export const localCommandInputs = z.strictObject({
  ...commandInputs,
  dir: z.optional(z.string()),
  interpreter: z.optional(z.array(z.string())),
  assetPaths: z.optional(z.array(z.string())),
  archivePaths: z.optional(z.array(z.string())),
});

/** What a connection and its proxy are completed with; the last one is in seconds, 0 for no limit. */
export const hostDefaults = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };

const host = {
  host: z.string(),
  port: z.number(),
  user: z.string(),
  password: z.optional(z.string()),
  privateKey: z.optional(z.string()),
  privateKeyPassword: z.optional(z.string()),
  agentSocketPath: z.optional(z.string()),
  dialErrorLimit: z.number(),
  perDialTimeout: z.number(),
  hostKey: z.optional(z.string()),
};

const connectionInputs = z.strictObject({ ...host, proxy: z.optional(z.strictObject(host)) });

export const remoteCommandInputs = z.strictObject({ ...commandInputs, connection: connectionInputs });

export const copyToRemoteInputs = z.strictObject({
  connection: connectionInputs,
  triggers: z.optional(z.array(z.unknown())),
  source: z.record(z.string(), z.unknown()),
  remotePath: z.string(),
});

export type LocalCommandInputs = z.infer<typeof localCommandInputs>;
export type Connection = z.infer<typeof connectionInputs>;
export type RemoteCommandInputs = z.infer<typeof remoteCommandInputs>;
export type CopyToRemoteInputs = z.infer<typeof copyToRemoteInputs>;

/**
 * What is wrong with the inputs. Unknown values (at preview) are taken as right, and no message repeats a value: a
 * connection holds private keys.
 */
export function inputFailures(schema: z.ZodMiniType, inputs: PropertyMap): CheckFailure[] {
  const parsed = z.safeParse(schema, reveal(inputs));
  if (parsed.success) return [];
  return parsed.error.issues.flatMap((issue) => {
    const property = issue.path.map(String).join(".");
    if (valueAt(inputs, issue.path) === unknownValue) return [];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        property: property === "" ? key : `${property}.${key}`,
        reason: `unrecognized field ${JSON.stringify(key)}`,
      }));
    }
    if (issue.code === "invalid_value") {
      return [{ property, reason: `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}` }];
    }
    const missing = valueAt(inputs, issue.path) === undefined;
    const expected = issue.code === "invalid_type" ? issue.expected : "another value";
    return [{ property, reason: missing ? `missing required field (${expected})` : `must be a ${expected}` }];
  });
}

/** The inputs as typed values, secrets revealed. @throws Error when they were never checked. */
export function parseInputs<Schema extends z.ZodMiniType>(schema: Schema, inputs: PropertyMap): z.output<Schema> {
  const plain = Object.fromEntries(
    Object.entries(inputs).flatMap(([name, value]) =>
      value === null || name.startsWith("__") ? [] : [[name, reveal(value)] as const],
    ),
  );
  const parsed = z.safeParse(schema, plain);
  if (parsed.success) return parsed.data;
  const [first] = inputFailures(schema, inputs);
  throw new Error(`invalid inputs: ${first ? `${first.property}: ${first.reason}` : "unknown values"}`);
}

function valueAt(inputs: PropertyMap, path: readonly PropertyKey[]): unknown {
  let value: unknown = reveal(inputs);
  for (const key of path) {
    if (containsUnknownOnly(value)) return unknownValue;
    value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  }
  return value;
}

function containsUnknownOnly(value: unknown): boolean {
  return value === unknownValue || (typeof value === "string" && containsUnknown(value));
}
