import { z } from "zod";
import { kubeconfigKey } from "../config/existing-cluster.ts";
import { bareWords } from "../config/fields.ts";
import { labConfig } from "../config/lab.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The lab config as JSON Schema (draft 2020-12), in the form that people write: bare words and absent keys included. */
function labConfigSchema(): JsonSchema {
  return z.toJSONSchema(labConfig, {
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      const bare = zodSchema instanceof z.ZodType ? bareWords.get(zodSchema) : undefined;
      if (bare === undefined) return;
      const { oneOf = [], ...rest } = jsonSchema;
      const options = oneOf.filter((option) => typeof option === "object");
      const { assumed } = bare;
      if (assumed !== undefined) for (const option of options) leaveOut(option, assumed);
      Object.assign(jsonSchema, {
        ...rest,
        oneOf: [{ enum: options.flatMap((option) => wordsOf(option, bare.key)) }, ...options],
      });
    },
  });
}

/** Takes a key off the required ones of the variant that is meant without it. */
function leaveOut(schema: JsonSchema, assumed: { readonly key: string; readonly word: string }): void {
  for (const option of schema.oneOf ?? []) if (typeof option === "object") leaveOut(option, assumed);
  const own = schema.properties?.[assumed.key];
  if (typeof own !== "object" || own.const !== assumed.word) return;
  schema.required = (schema.required ?? []).filter((key) => key !== assumed.key);
}

/** A secret as `pulumi config set --secret` leaves it. */
const secretText: JsonSchema = {
  description: "Kubeconfig of an existing cluster: pulumi config set --secret kubeconfig <FILE",
  type: "object",
  properties: { secure: { type: "string" } },
  required: ["secure"],
};

/** The words that a union's key takes, through unions inside it. */
function wordsOf(option: JsonSchema, key: string): z.core.JSONSchema.BaseSchema["const"][] {
  const own = option.properties?.[key];
  const word = typeof own === "object" ? own.const : undefined;
  const inner = (option.oneOf ?? []).flatMap((part) => (typeof part === "object" ? wordsOf(part, key) : []));
  return [...new Set([...(word === undefined ? [] : [word]), ...inner])];
}

/**
 * The shape of a Pulumi.STACK.yaml of this project, for editors: completion, descriptions and errors while typing.
 * @param project the project's name, in front of each key
 */
export function stackConfigSchema(project: string): JsonSchema {
  const { properties = {}, $defs = {} } = labConfigSchema();
  const keys = Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      `${project}:${key}`,
      typeof schema === "object" ? orText(schema) : schema,
    ]),
  );
  const secret = `${project}:${kubeconfigKey}`;
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Datapath Lab stack",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties: { ...keys, [secret]: secretText },
        // Keys of providers may stand there too; of this project's, only those above.
        propertyNames: { anyOf: [{ enum: [...Object.keys(keys), secret] }, { not: { pattern: `^${project}:` } }] },
      },
    },
    $defs,
  };
}

/** `pulumi config set` keeps a whole key as text: a boolean is also its word. */
function orText(schema: JsonSchema): JsonSchema {
  return schema.type === "boolean" ? { anyOf: [schema, { enum: ["true", "false"] }] } : schema;
}

/** One entry of `config:` in Pulumi.yaml. */
export interface ProjectConfigEntry {
  readonly type: "string" | "integer" | "boolean" | "array" | "object";
  readonly description: string;
  readonly default: unknown;
}

const entry = z.object({
  type: z.enum(["string", "integer", "boolean", "array", "object"]).default("object"),
  description: z.string(),
  default: z.unknown(),
});

/** The `config:` block of Pulumi.yaml: type, description and default of every top-level key. */
export function projectConfig(): Record<string, ProjectConfigEntry> {
  const whole: Readonly<Record<string, unknown>> = labConfig.parse({});
  return Object.fromEntries(
    Object.entries(labConfigSchema().properties ?? {}).map(([key, schema]) => {
      const { type, description, default: short } = entry.parse(schema);
      // An empty default would tell a reader nothing.
      return [key, { type, description, default: isEmpty(short) ? whole[key] : short }];
    }),
  );
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** One key of the config, as a table names it. */
export interface ConfigKey {
  readonly key: string;
  readonly type: string;
  readonly default: string;
  readonly description: string;
}

/** Every key below a section, those of all its variants, each once. */
export function configKeys(section: string): ConfigKey[] {
  const root = labConfigSchema().properties?.[section];
  const found = new Map<string, Found>();
  if (typeof root === "object") collect(root, section, found);
  return keysOf(found);
}

/** The sections of a config, and what each is about. */
export function topLevelKeys(): { readonly key: string; readonly description: string }[] {
  return Object.entries(labConfigSchema().properties ?? {}).map(([key, schema]) => ({
    key,
    description: entry.parse(schema).description,
  }));
}

/** The kinds of a section that is a union, each with the words that tell it and its keys; none of any other section. */
export function sectionVariants(
  section: string,
): { readonly words: readonly string[]; readonly keys: readonly ConfigKey[] }[] {
  const root = labConfigSchema().properties?.[section];
  if (typeof root !== "object") return [];
  return (root.oneOf ?? []).flatMap((option) => {
    if (typeof option !== "object") return [];
    const found = new Map<string, Found>();
    collect(option, section, found);
    const words = Object.entries(option.properties ?? {}).flatMap(([key, own]) =>
      typeof own === "object" && own.const !== undefined ? [`${key}: ${String(own.const)}`] : [],
    );
    return [{ words, keys: keysOf(found) }];
  });
}

function keysOf(found: ReadonlyMap<string, Found>): ConfigKey[] {
  return [...found].map(([key, { types, default: value, descriptions }]) => ({
    key,
    type: [...types].join(" | "),
    default: value,
    description: [...descriptions].join(" "),
  }));
}

interface Found {
  readonly types: Set<string>;
  readonly default: string;
  readonly descriptions: Set<string>;
}

function collect(schema: JsonSchema, path: string, found: Map<string, Found>): void {
  for (const option of schema.oneOf ?? []) if (typeof option === "object") collect(option, path, found);
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    if (typeof inner !== "object") continue;
    const key = `${path}.${name}`;
    const value = inner.default === undefined || inner.properties !== undefined ? "" : JSON.stringify(inner.default);
    const known = found.get(key) ?? { types: new Set(), default: value, descriptions: new Set() };
    found.set(key, known);
    for (const type of typesOf(inner)) known.types.add(type);
    const { description } = inner;
    if (description !== undefined) {
      known.descriptions.add(inner.const === undefined ? description : `${String(inner.const)}: ${description}`);
    }
    collect(inner, key, found);
    const { items } = inner;
    if (typeof items === "object" && !Array.isArray(items)) collect(items, `${key}[]`, found);
  }
}

function typesOf({ type, enum: words, const: word, oneOf, anyOf }: JsonSchema): string[] {
  if (words !== undefined) return words.map(String);
  if (word !== undefined) return [String(word)];
  const union = oneOf ?? anyOf;
  if (union !== undefined) return union.flatMap((option) => (typeof option === "object" ? typesOf(option) : []));
  return [type ?? "any"].flat();
}
