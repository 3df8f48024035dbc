import { randomBytes } from "node:crypto";
import { sameValue } from "../diff.ts";
import { containsUnknown, isPropertyMap, isSecret, secret, unknownValue, type PropertyMap } from "../properties.ts";
import { hostDefaults } from "./inputs.ts";

/** An id as the official plugin makes it: the resource's name and eight hexadecimal digits. */
export function uniqueId(name: string): string {
  return name + randomBytes(4).toString("hex");
}

/** A resource's inputs as its state holds them, beside what it printed. */
export function inputsOf(state: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(state).filter(([name]) => name !== "stdout" && name !== "stderr"));
}

/** The resource at the preview of its creation: what will be printed is not known. */
export function previewOfCreate(inputs: PropertyMap): PropertyMap {
  return { ...inputs, stdout: unknownValue, stderr: unknownValue };
}

/**
 * The resource at the preview of an update: what will be printed is not known if an input is unknown or differs from the
 * one in the state. An input that the state lacks does not count (pulumi-go-provider v1.3.0, markComputed).
 */
export function previewOfUpdate(inputs: PropertyMap, state: PropertyMap): PropertyMap {
  const runs = Object.entries(inputs).some(([name, value]) => {
    const old = state[name];
    return containsUnknown(value) || (old !== undefined && !sameValue(old, value));
  });
  const removed = Object.keys(inputsOf(state)).some((name) => !(name in inputs));
  const old = { stdout: state["stdout"] ?? "", stderr: state["stderr"] ?? "" };
  return { ...inputs, ...(runs || removed ? { stdout: unknownValue, stderr: unknownValue } : old) };
}

/**
 * The inputs with the defaults of the connection and of its proxy filled in, and the connection marked as secret: it holds
 * keys and passwords.
 */
export function withConnectionDefaults(inputs: PropertyMap): PropertyMap {
  const given = inputs["connection"];
  const connection = isSecret(given) ? given.value : given;
  if (!isPropertyMap(connection)) return inputs;
  const proxy = connection["proxy"];
  const complete: PropertyMap = { ...hostDefaults, ...connection };
  if (isPropertyMap(proxy) && !isSecret(proxy)) complete["proxy"] = { ...hostDefaults, ...proxy };
  return { ...inputs, connection: secret(complete) };
}
