import { isAsset, isPropertyMap, isSecret, type PropertyMap, type PropertyValue } from "./properties.ts";

/** How a property changed between the last update's inputs and this one's. */
export type ChangeKind = "add" | "delete" | "update";

/** One changed property: its path as the engine writes it (`environment.PATH`, `triggers[0]`), and how it changed. */
export interface PropertyChange {
  path: string;
  kind: ChangeKind;
}

/** The name of the top-level property that a path leads into. */
export function topLevelProperty(path: string): string {
  return /^[^.[]*/.exec(path)?.[0] ?? path;
}

/**
 * The properties in which the inputs differ, in order of their names. Null and absent are the same; becoming secret is a
 * change; assets are compared by their hash, as the engine does. Names that begin with two underscores belong to the engine
 * and are left out, and so is `version` unless the resource type has such an input (pulumi-go-provider, infer.diff).
 */
export function changedProperties(
  oldInputs: PropertyMap,
  newInputs: PropertyMap,
  { hasVersion = false } = {},
): PropertyChange[] {
  const own = (inputs: PropertyMap): PropertyMap =>
    Object.fromEntries(
      Object.entries(inputs).filter(([name]) => (hasVersion || name !== "version") && !name.startsWith("__")),
    );
  return changesOfMaps("", own(oldInputs), own(newInputs));
}

/** Whether two values are the same in the sense of {@link changedProperties}. */
export function sameValue(left: PropertyValue | undefined, right: PropertyValue | undefined): boolean {
  return changesOf("", left ?? null, right ?? null).length === 0;
}

function changesOfMaps(path: string, oldValues: PropertyMap, newValues: PropertyMap): PropertyChange[] {
  const names = [...new Set([...Object.keys(oldValues), ...Object.keys(newValues)])].sort();
  return names.flatMap((name) => changesOf(pathOfKey(path, name), oldValues[name] ?? null, newValues[name] ?? null));
}

function changesOf(path: string, oldValue: PropertyValue, newValue: PropertyValue): PropertyChange[] {
  if (oldValue === newValue) return [];
  if (oldValue === null) return [{ path, kind: "add" }];
  if (newValue === null) return [{ path, kind: "delete" }];
  if (Array.isArray(oldValue) && Array.isArray(newValue)) {
    const length = Math.max(oldValue.length, newValue.length);
    return Array.from({ length }, (_, index) => index).flatMap((index) =>
      changesOf(`${path}[${index}]`, oldValue[index] ?? null, newValue[index] ?? null),
    );
  }
  if (isSecret(oldValue) && isSecret(newValue)) {
    return changesOf(path, oldValue.value, newValue.value);
  }
  if (isAsset(oldValue) && isAsset(newValue) && oldValue["hash"] && newValue["hash"]) {
    return oldValue["hash"] === newValue["hash"] ? [] : [{ path, kind: "update" }];
  }
  if (isPropertyMap(oldValue) && isPropertyMap(newValue) && !isSecret(oldValue) && !isSecret(newValue)) {
    return changesOfMaps(path, oldValue, newValue);
  }
  return [{ path, kind: "update" }];
}

function pathOfKey(path: string, name: string): string {
  if (!/^[^.[\]"]+$/.test(name)) return `${path}["${name.replaceAll('"', '\\"')}"]`;
  return path === "" ? name : `${path}.${name}`;
}
