/** Where a value stands in a config: keys, and indexes of lists. */
export type KeyPath = readonly PropertyKey[];

/** A path as `pulumi config set --path` takes it: `verification.streams[0]`, `datapath.values["a.b"]`. */
export function formatPath(path: KeyPath): string {
  return path
    .map((key, index) => {
      if (typeof key === "number") return `[${key}]`;
      const text = String(key);
      if (!/^[A-Za-z_][\w-]*$/.test(text)) return `[${JSON.stringify(text)}]`;
      return index === 0 ? text : `.${text}`;
    })
    .join("");
}

/** What stands at a path; undefined where nothing does. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    return Object.entries(value).find(([name]) => name === String(key))?.[1];
  }, root);
}

/** A copy without what stands at a path. A list goes as a whole, since its other elements would change places. */
export function without(root: unknown, path: KeyPath): unknown {
  const [key, ...rest] = path;
  if (key === undefined || typeof root !== "object" || root === null || Array.isArray(root)) return undefined;
  return Object.fromEntries(
    Object.entries(root).flatMap(([name, value]: [string, unknown]): [string, unknown][] => {
      if (name !== String(key)) return [[name, value]];
      const kept = without(value, rest);
      return kept === undefined ? [] : [[name, kept]];
    }),
  );
}

/** Whether one of two paths leads to, or through, the other. */
export function related(one: KeyPath, other: KeyPath): boolean {
  return one.slice(0, other.length).every((key, index) => String(key) === String(other[index]));
}
