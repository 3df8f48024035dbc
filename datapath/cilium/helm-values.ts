import { chartKeys, chartTypeOf, isBranch, type ChartValue } from "./chart.ts";
import { chartRows, type ChartRow } from "./chart-rows.ts";
import type { Cilium } from "../config/cilium.ts";
import type { Datapath } from "../config/datapath.ts";

/** Values for the chart, nested, keys in alphabetical order at every level. */
export interface HelmValues {
  readonly [key: string]: ChartValue;
}

/** One value of `datapath.values`, read against the chart's paths. */
export interface FreeValue {
  /** As it was written, levels joined by dots. */
  readonly written: string;
  /** The chart's path; absent where the chart has none. */
  readonly path?: string;
  /** Name inside an open object of the chart: `app` in podLabels.app. */
  readonly inside?: string;
  readonly value: ChartValue;
}

/** Reads free-form values, nested or by dotted paths. Whatever is not found in the chart comes back without a path. */
export function freeValues(values: Datapath["values"]): FreeValue[] {
  return Object.entries(values).flatMap(([key, value]) => read(key, value));
}

function read(written: string, value: ChartValue): FreeValue[] {
  if (chartKeys.has(written)) return [{ written, path: written, value }];
  if (isBranch(written) && typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, inner]) => read(`${written}.${key}`, inner));
  }
  const open = openObjectAround(written);
  return open === undefined
    ? [{ written, value }]
    : [{ written, path: open, inside: written.slice(open.length + 1), value }];
}

function openObjectAround(written: string): string | undefined {
  const parts = written.split(".");
  return parts
    .map((_, index) => parts.slice(0, index).join("."))
    .find((path) => chartKeys.get(path)?.types.includes("object") === true);
}

/** What the typed part of a config says at a path of the chart; nothing where the chart's default is to stay. */
function typedValue(row: ChartRow, datapath: Datapath): ChartValue | undefined {
  const value = row.value(datapath);
  if (value === undefined || row.states === true) return value;
  return sameValue(value, chartKeys.get(row.path)?.default) ? undefined : value;
}

const rowsByPath = new Map(chartRows.map((row) => [row.path, row]));

/** The row that decides a path of the chart; nothing where it is free. */
export function rowOf(path: string): ChartRow | undefined {
  return rowsByPath.get(path);
}

/** The value that the chart's templates see at a path, from typed part, free-form values or default, in this order. */
export function chartValue(datapath: Datapath, path: string): ChartValue | undefined {
  const row = rowsByPath.get(path);
  const typed = row === undefined ? undefined : row.value(datapath);
  if (typed !== undefined) return typed;
  const free = row === undefined ? freeValues(datapath.values).findLast((value) => value.path === path) : undefined;
  if (free !== undefined && free.inside === undefined) return free.value;
  return chartKeys.get(path)?.default;
}

/** Whether two values are the same in JSON, whatever the order of their keys. */
export function sameValue(one: ChartValue | undefined, other: ChartValue | undefined): boolean {
  return (
    JSON.stringify(one === undefined ? null : sorted(one)) ===
    JSON.stringify(other === undefined ? null : sorted(other))
  );
}

/**
 * The values of Cilium's 1.13.4 chart that bring a datapath about: those of the typed part that differ from the chart's
 * defaults or state the choice, and the free-form ones. The same datapath always gives the same text.
 */
export function helmValues(datapath: Datapath): HelmValues {
  const tree: Tree = new Map();
  for (const { path, inside, value } of freeValues(datapath.values)) {
    if (path === undefined) continue;
    put(tree, [...path.split("."), ...(inside === undefined ? [] : [inside])], value);
  }
  for (const row of chartRows) {
    const value = typedValue(row, datapath);
    if (value !== undefined) put(tree, row.path.split("."), value);
  }
  return plain(tree);
}

/** The chart's values for a datapath, with how agents are restarted for it. Depends on the config alone. */
export function releaseValues(
  datapath: Datapath,
  { rollOut }: Pick<Cilium, "rollOut">,
  nodeCount?: number,
): HelmValues {
  const values = helmValues(datapath);
  const operators =
    nodeCount === undefined ? datapath.operatorReplicas : Math.min(datapath.operatorReplicas, nodeCount);
  const release: ChartValue = {
    ...values,
    // Two operators never share a node (1.13.4 cilium-operator/deployment.yaml): one too many would stay Pending.
    operator: {
      ...Object.fromEntries(entriesOf(values["operator"]).map(([key, { value }]) => [key, value])),
      replicas: operators,
    },
    // Without it a changed config restarts nobody.
    rollOutCiliumPods: true,
    updateStrategy: {
      rollingUpdate: { maxUnavailable: rollOut === "together" ? "100%" : 1 },
      type: "RollingUpdate",
    },
  };
  return plain(new Map(entriesOf(release)));
}

type Tree = Map<string, Tree | { readonly value: ChartValue }>;

function put(tree: Tree, path: readonly string[], value: ChartValue): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  const found = tree.get(key);
  if (rest.length === 0) {
    // An open object may be said in parts: as a whole, and by the path of something inside it.
    tree.set(key, found instanceof Map ? new Map([...found, ...entriesOf(value)]) : { value });
    return;
  }
  const branch: Tree = found instanceof Map ? found : new Map(entriesOf(found?.value));
  tree.set(key, branch);
  put(branch, rest, value);
}

function entriesOf(value: ChartValue | undefined): [string, { value: ChartValue }][] {
  if (value === undefined || chartTypeOf(value) !== "object") return [];
  return Object.entries(value ?? {}).map(([key, inner]: [string, ChartValue]) => [key, { value: inner }]);
}

function plain(tree: Tree): HelmValues {
  return Object.fromEntries(
    [...tree]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, branch]) => [key, branch instanceof Map ? { ...plain(branch) } : sorted(branch.value)]),
  );
}

function sorted(value: ChartValue): ChartValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
