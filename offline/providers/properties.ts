/** A property value as the engine sends it: JSON, in which objects with a signature key stand for secrets and assets. */
export type PropertyValue = null | boolean | number | string | PropertyValue[] | PropertyMap;

/** Named property values: a resource's inputs, its outputs or a part of them. */
export interface PropertyMap {
  [name: string]: PropertyValue;
}

/** An object that stands for a secret. */
export interface SecretValue extends PropertyMap {
  value: PropertyValue;
}

/** The key under which an object says what it stands for (pulumi/pulumi, sdk/go/common/resource/sig). */
export const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
export const assetSignature = "c44067f5952c0a294b673a41bacd8c17";
export const archiveSignature = "0def7320c3a5731c473e5ecbe6d01bc7";

/** What stands in for a value that is not known at preview. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Tells objects (also those that stand for a secret or an asset) from every other value. */
export function isPropertyMap(value: PropertyValue | undefined): value is PropertyMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Marks a value as secret; a value that is one already is returned as it is. */
export function secret(value: PropertyValue): PropertyValue {
  return isSecret(value) ? value : { [signatureKey]: secretSignature, value };
}

/** Whether the value itself (not merely a part of it) is a secret. */
export function isSecret(value: PropertyValue | undefined): value is SecretValue {
  return isPropertyMap(value) && value[signatureKey] === secretSignature;
}

/** Whether the value is an asset or an archive. */
export function isAsset(value: PropertyValue | undefined): value is PropertyMap {
  return isPropertyMap(value) && (value[signatureKey] === assetSignature || value[signatureKey] === archiveSignature);
}

/** The value with every secret in it, at any depth, replaced by what it holds. */
export function reveal(value: PropertyValue): PropertyValue {
  if (Array.isArray(value)) return value.map(reveal);
  if (!isPropertyMap(value)) return value;
  if (isSecret(value)) return reveal(value.value);
  return revealAll(value);
}

/** As {@link reveal}, for named values. */
export function revealAll(values: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, reveal(value)]));
}

/** Whether the value or any part of it is unknown (only at preview). */
export function containsUnknown(value: PropertyValue | undefined): boolean {
  if (value === unknownValue) return true;
  if (Array.isArray(value)) return value.some(containsUnknown);
  return isPropertyMap(value) && Object.values(value).some(containsUnknown);
}
