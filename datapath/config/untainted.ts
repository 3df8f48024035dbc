import { related, type KeyPath } from "./key-path.ts";

/** Thrown by a value that stands in for one that could not be read. */
class TaintedRead extends Error {}

/**
 * Runs a check on a config of which some values are stand-ins for what was mistyped. The check's result counts only when it
 * was reached without looking at any of them; otherwise there is none.
 * @param tainted paths of the stand-ins
 */
export function untainted<Config extends object, Result>(
  config: Config,
  tainted: readonly KeyPath[],
  check: (config: Config) => Result,
): Result | undefined {
  if (tainted.length === 0) return check(config);
  try {
    return check(watched(config, [], tainted));
  } catch (error) {
    if (error instanceof TaintedRead) return undefined;
    throw error;
  }
}

function watched<Value extends object>(value: Value, path: KeyPath, tainted: readonly KeyPath[]): Value {
  const refuse = (key: PropertyKey): void => {
    if (tainted.some((taint) => taint.length <= path.length + 1 && related([...path, key], taint))) {
      throw new TaintedRead();
    }
  };
  return new Proxy(value, {
    get(target, key, receiver): unknown {
      refuse(key);
      const found: unknown = Reflect.get(target, key, receiver);
      return typeof found === "object" && found !== null ? watched(found, [...path, key], tainted) : found;
    },
    ownKeys(target) {
      // Who lists the keys sees which are there: a stand-in among them, or a key that is missing, would show.
      if (tainted.some((taint) => taint.length === path.length + 1 && related(taint, path))) throw new TaintedRead();
      return Reflect.ownKeys(target);
    },
  });
}
