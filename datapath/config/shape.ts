import { z } from "zod";
import type { Finding } from "../findings.ts";
import { fieldIssueParams } from "./fields.ts";
import { formatPath, valueAt, without, type KeyPath } from "./key-path.ts";
import { nearest } from "./nearest.ts";
import { otherNames } from "./other-names.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;
type Issue = z.core.$ZodIssue;

/** A config read as far as its shape allows. */
export interface Shaped<Config> {
  /** Absent only where not even the defaults make a config. */
  readonly config?: Config;
  readonly findings: readonly Finding[];
  /** Paths that were left out of `config`, so that defaults stand in there. */
  readonly tainted: readonly KeyPath[];
}

/**
 * Parses a value, and where its shape is wrong says all that is, each with its key, the nearest key that exists and what may
 * stand there. What is wrong is then left out, for the rules to look at the rest.
 */
export function readShape<Schema extends z.ZodType>(schema: Schema, raw: unknown): Shaped<z.infer<Schema>> {
  const findings: Finding[] = [];
  const tainted: KeyPath[] = [];
  let rest = raw;
  // Each round leaves out one more key or section of a finite value; the first says all there is to say to a person.
  for (;;) {
    const parsed = schema.safeParse(rest, { reportInput: true });
    if (parsed.success) return { config: parsed.data, findings, tainted };
    for (const issue of parsed.error.issues) {
      const paths = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      for (const path of paths) {
        const known = tainted.some((taint) => taint.every((key, index) => key === path[index]));
        const shape = jsonSchema(schema);
        if (!known) findings.push(describe(issue, path, shape, rest));
        if (issue.code === "unrecognized_keys") tainted.push(...meantPaths(path, shape, rest));
        const lost = standing(rest, path);
        tainted.push(lost);
        rest = lost.length === 0 ? {} : without(rest, lost);
      }
    }
    if (rest === undefined || (isEmptyObject(rest) && !schema.safeParse({}).success)) return { findings, tainted };
  }
}

const jsonSchemas = new WeakMap<z.ZodType, JsonSchema>();

/** What people write, as JSON Schema: the form in which a schema can be searched for keys and descriptions. */
function jsonSchema(schema: z.ZodType): JsonSchema {
  const known = jsonSchemas.get(schema) ?? z.toJSONSchema(schema, { io: "input" });
  jsonSchemas.set(schema, known);
  return known;
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** The longest part of a path that leads to something: a missing key blames what it is missing from; a list is one value. */
function standing(root: unknown, path: KeyPath): KeyPath {
  const index = path.findIndex((key) => typeof key === "number");
  let found = index === -1 ? path : path.slice(0, index);
  while (found.length > 0 && valueAt(root, found) === undefined) found = found.slice(0, -1);
  return found;
}

/** Keys that an unknown one may have been meant for, none of which can be judged then. */
function meantPaths(path: KeyPath, shape: JsonSchema, root: unknown): KeyPath[] {
  const meant = nearest(String(path.at(-1)), knownKeys(path.slice(0, -1), shape, root));
  return meant === undefined ? [] : [[...path.slice(0, -1), meant]];
}

function describe(issue: Issue, path: KeyPath, shape: JsonSchema, root: unknown): Finding {
  const finding = (message: string, wayOut: string): Finding => ({
    id: "shape",
    severity: "error",
    key: formatPath(path),
    message,
    wayOut,
  });
  const input = show(issue.input);
  const description = shapesAt(path, shape, root).find((found) => found.description !== undefined)?.description;
  const meaning = description === undefined ? "" : ` (${description.replace(/\.$/, "")})`;
  switch (issue.code) {
    case "unrecognized_keys":
      return finding("There is no such key.", unknownKeyWayOut(path, shape, root));
    case "invalid_type":
      return issue.input === undefined
        ? finding("This key is missing.", `Write ${typeWords[issue.expected] ?? issue.expected}${meaning}.`)
        : finding(
            `${input} is not ${typeWords[issue.expected] ?? issue.expected}.`,
            `Write ${typeWords[issue.expected] ?? issue.expected}${meaning}.`,
          );
    case "invalid_value":
      return choice(issue.input, issue.values.map(String), finding);
    case "invalid_union":
      return "options" in issue
        ? choice(valueAt(issue.input, path.slice(-1)), issue.options.map(String), finding)
        : finding(`${input} can't stand here.`, `Check its type${meaning}.`);
    case "too_small":
      return finding(`${input} is too small.`, `Write at least ${String(issue.minimum)}${meaning}.`);
    case "too_big":
      return finding(`${input} is too large.`, `Write at most ${String(issue.maximum)}${meaning}.`);
    case "custom": {
      const params = fieldIssueParams.safeParse(issue.params);
      return finding(issue.message, params.success ? params.data.wayOut : `Correct it${meaning}.`);
    }
    case "invalid_format":
    case "not_multiple_of":
    case "invalid_key":
    case "invalid_element":
      return finding(`${input}: ${issue.message}.`, `Correct it${meaning}.`);
  }
}

function choice(
  input: unknown,
  options: readonly string[],
  finding: (message: string, wayOut: string) => Finding,
): Finding {
  const meant = typeof input === "string" ? nearest(input, options) : undefined;
  const list = `Write ${options.length === 1 ? "" : "one of "}${options.join(", ")}.`;
  return finding(
    input === undefined ? "This key is missing." : `${show(input)} is not one of ${options.join(", ")}.`,
    meant === undefined ? list : `Did you mean ${meant}? ${list}`,
  );
}

const typeWords: Readonly<Partial<Record<string, string>>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a map of keys",
  record: "a map of keys",
  array: "a list",
};

function unknownKeyWayOut(path: KeyPath, shape: JsonSchema, root: unknown): string {
  const word = String(path.at(-1));
  const parent = path.slice(0, -1);
  const siblings = knownKeys(parent, shape, root);
  const other = otherNames.get(word);
  if (other !== undefined) return other;
  const meant = nearest(word, siblings);
  if (meant !== undefined) return `Did you mean ${formatPath([...parent, meant])}?`;
  const owners = ownersOf(word, parent, shape, root);
  if (owners.length > 0) return `Leave it out: it belongs to ${owners.join(" and ")}.`;
  const elsewhere = knownPaths(shape).find((known) => known.at(-1) === word);
  if (elsewhere !== undefined) return `Did you mean ${formatPath(elsewhere)}?`;
  return `Keys ${parent.length === 0 ? "at the top" : `in ${formatPath(parent)}`}: ${siblings.join(", ")}.`;
}

/** The other branches of a union that have a key: `mode: vxlan` for a tunnel's key in native mode. */
function ownersOf(key: string, parent: KeyPath, shape: JsonSchema, root: unknown): string[] {
  const chosen = valueAt(root, parent);
  return shapesAt(parent, shape, without(root, parent)).flatMap(({ properties = {} }) =>
    Object.hasOwn(properties, key)
      ? Object.entries(properties).flatMap(([name, property]) =>
          typeof property === "boolean" || property.const === undefined || property.const === valueAt(chosen, [name])
            ? []
            : [`${name}: ${String(property.const)}`],
        )
      : [],
  );
}

function knownKeys(path: KeyPath, shape: JsonSchema, root: unknown): string[] {
  return [...new Set(shapesAt(path, shape, root).flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

/** The parts of a schema that speak of a path: several where a union's branches all fit the value. */
function shapesAt(path: KeyPath, shape: JsonSchema, value: unknown): JsonSchema[] {
  const here = branches(shape, value);
  const [key, ...rest] = path;
  if (key === undefined) return here;
  return here.flatMap(({ properties }) => {
    const inner = Object.hasOwn(properties ?? {}, key) ? properties?.[String(key)] : undefined;
    return inner === undefined || typeof inner === "boolean" ? [] : shapesAt(rest, inner, valueAt(value, [key]));
  });
}

/** A schema, or the branches of its union that a value's discriminators allow; all of them where they allow none. */
function branches(shape: JsonSchema, value: unknown): JsonSchema[] {
  const union = shape.oneOf ?? shape.anyOf;
  if (union === undefined) return [shape];
  const all = union.flatMap((branch) => (typeof branch === "boolean" ? [] : branches(branch, value)));
  const fitting = all.filter(({ properties = {} }) =>
    Object.entries(properties).every(
      ([key, property]) =>
        typeof property === "boolean" ||
        property.const === undefined ||
        property.const === (typeof value === "string" ? value : valueAt(value, [key])),
    ),
  );
  return fitting.length === 0 ? all : fitting;
}

const pathsOf = new WeakMap<JsonSchema, string[][]>();

function knownPaths(shape: JsonSchema): string[][] {
  const known = pathsOf.get(shape) ?? allPaths(shape);
  pathsOf.set(shape, known);
  return known;
}

function allPaths(shape: JsonSchema, path: readonly string[] = []): string[][] {
  return branches(shape, undefined).flatMap(({ properties = {} }) =>
    Object.entries(properties).flatMap(([key, inner]) =>
      typeof inner === "boolean" ? [] : [[...path, key], ...allPaths(inner, [...path, key])],
    ),
  );
}

/** A value as a person wrote it, cut short. */
function show(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
