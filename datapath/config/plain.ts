import { formatPath, type KeyPath } from "./key-path.ts";
import type { Finding } from "../findings.ts";

/** Deepest nesting that a config may have; more is a mistake, and would exhaust the stack of what reads it. */
const deepest = 32;

/** A value as JSON knows it, and what in it was none. */
export interface Plain {
  readonly value: unknown;
  readonly findings: readonly Finding[];
}

/**
 * Copies a config down to what JSON and YAML can say. YAML anchors can tie a value into a ring, and programs can hand in
 * functions: such parts are left out, with a finding each. Keys that would reach an object's prototype are left out too.
 */
export function plainValue(raw: unknown, path: KeyPath = []): Plain {
  const wrong = (message: string, wayOut: string): Plain => ({
    value: undefined,
    findings: [{ id: "shape", severity: "error", key: formatPath(path), message, wayOut }],
  });
  switch (typeof raw) {
    case "string":
    case "boolean":
    case "undefined":
      return { value: raw, findings: [] };
    case "number":
      return Number.isFinite(raw) ? { value: raw, findings: [] } : wrong("No finite number.", "Write a number.");
    case "bigint":
    case "symbol":
    case "function":
      return wrong(`A ${typeof raw} is nothing that config can hold.`, "Write what JSON or YAML can say.");
    case "object":
      break;
  }
  if (raw === null) return { value: null, findings: [] };
  if (path.length >= deepest) {
    return wrong(`Nested more than ${deepest} deep.`, "Check for a YAML anchor that holds an alias of itself.");
  }
  try {
    const parts = Object.entries(raw).flatMap(([key, value]: [string, unknown]) =>
      key === "__proto__" ? [] : [{ key, ...plainValue(value, [...path, Array.isArray(raw) ? Number(key) : key]) }],
    );
    const findings = parts.flatMap((part) => part.findings);
    return Array.isArray(raw)
      ? { value: parts.map(({ value }) => value), findings }
      : { value: Object.fromEntries(parts.map(({ key, value }) => [key, value])), findings };
  } catch {
    return wrong("Can't be read.", "Write what JSON or YAML can say.");
  }
}
