/** What Kubernetes notes of an object's writes. */
interface Written {
  readonly creationTimestamp?: Date;
  readonly managedFields?: readonly { readonly time?: Date; readonly fieldsV1?: unknown }[];
}

/**
 * When the data of a ConfigMap was written last, in milliseconds since 1970, to a second; nothing where that is not noted. A creation time alone
 * would miss changes; marks of a release on it are no change of what agents read.
 */
export function dataWrittenAt(metadata: Written | undefined): number | undefined {
  const writes = (metadata?.managedFields ?? []).filter(
    ({ fieldsV1 }) => typeof fieldsV1 === "object" && fieldsV1 !== null && "f:data" in fieldsV1,
  );
  const times = [metadata?.creationTimestamp, ...writes.map(({ time }) => time)].flatMap((time) =>
    time === undefined ? [] : [new Date(time).getTime()],
  );
  return times.length === 0 ? undefined : Math.max(...times);
}
