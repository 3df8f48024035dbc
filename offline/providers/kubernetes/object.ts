import { isPropertyMap, isSecret, reveal, revealAll, type PropertyMap } from "../properties.ts";

/** Annotations that tell the plugin what to do with an object. */
export const annotation = {
  autonamed: "pulumi.com/autonamed",
  skipAwait: "pulumi.com/skipAwait",
  patchForce: "pulumi.com/patchForce",
  deletionPropagation: "pulumi.com/deletionPropagationPolicy",
} as const;

/** What an object is, wherever it stands. */
export interface Identity {
  apiVersion: string;
  kind: string;
}

/** @throws Error when the object does not say what it is */
export function identityOf(object: PropertyMap): Identity {
  const [apiVersion, kind] = [reveal(object["apiVersion"] ?? null), reveal(object["kind"] ?? null)];
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    throw new Error("a Kubernetes object needs an apiVersion and a kind");
  }
  return { apiVersion, kind };
}

/** The map under a name, secret or not; empty where there is none. */
export function mapAt(values: PropertyMap, name: string): PropertyMap {
  const found = values[name];
  const value = isSecret(found) ? found["value"] : found;
  return isPropertyMap(value) ? value : {};
}

export function annotationsOf(object: PropertyMap): PropertyMap {
  return revealAll(mapAt(mapAt(object, "metadata"), "annotations"));
}
