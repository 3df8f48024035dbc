import { z } from "zod";
import { chartKeys, chartTypeOf, chartVersion, isBranch, otherVersions, type ChartType } from "../cilium/chart.ts";
import { chartRows } from "../cilium/chart-rows.ts";
import { formatPath } from "../config/key-path.ts";
import { nearest } from "../config/nearest.ts";
import type { Datapath } from "../config/datapath.ts";
import { chartValue, freeValues, rowOf, sameValue, type FreeValue } from "../cilium/helm-values.ts";
import type { Rule, Violation } from "./rule.ts";

const articles: Readonly<Record<ChartType, string>> = {
  array: "a list",
  boolean: "true or false",
  number: "a number",
  object: "an object",
  string: "text",
};

function keyOf({ written }: FreeValue): string {
  return formatPath(["datapath", "values", ...written.split(".")]);
}

function unknownPath(value: FreeValue): Violation {
  return {
    key: keyOf(value),
    message: `The ${chartVersion} chart has no value ${value.written}: Helm would ignore it silently.`,
    wayOut: insteadOf(value.written),
  };
}

function insteadOf(written: string): string {
  const known = otherVersions.get(written);
  if (known !== undefined) return known;
  if (isBranch(written)) return `Write one of the values inside it, such as ${firstInside(written)}.`;
  const path = nearest(written, [...chartKeys.keys()]) ?? sameLastName(written);
  if (path === undefined) return `See the chart's values: helm show values cilium --version ${chartVersion}.`;
  const row = rowOf(path);
  return row === undefined ? `The nearest value is ${path}.` : `The nearest value is ${path}, which ${row.key} says.`;
}

function firstInside(branch: string): string {
  return [...chartKeys.keys()].find((path) => path.startsWith(`${branch}.`)) ?? branch;
}

/** A value whose last name is the same, for those who left out, or made up, where it stands. */
function sameLastName(written: string): string | undefined {
  const last = written.slice(written.lastIndexOf(".") + 1).toLowerCase();
  const paths = [...chartKeys.keys()].filter((path) => path.toLowerCase().split(".").includes(last));
  return paths.length === 1 ? paths[0] : undefined;
}

function wrongType(value: FreeValue): Violation[] {
  const types = chartKeys.get(value.path ?? "")?.types;
  const found = chartTypeOf(value.value);
  if (types === undefined || found === undefined || value.inside !== undefined || types.includes(found)) return [];
  const expected = types.map((type) => articles[type]).join(" or ");
  return [
    {
      key: keyOf(value),
      message: `${value.written} takes ${expected}, and this is ${found === "boolean" ? JSON.stringify(value.value) : articles[found]}.`,
      wayOut: `Write ${expected}.`,
    },
  ];
}

function contradiction(value: FreeValue, datapath: Datapath): Violation[] {
  const row = value.path === undefined ? undefined : rowOf(value.path);
  if (row === undefined) return [];
  const said = chartValue(datapath, row.path);
  if (value.inside === undefined && sameValue(said, value.value)) return [];
  const stands = said === undefined || said === null ? "the chart's default" : JSON.stringify(said);
  return [
    {
      key: keyOf(value),
      message: `${value.written} is decided by ${row.key}, which makes it ${stands}; here it says ${JSON.stringify(value.value)}.`,
      wayOut: `Leave it out, and say it with ${row.key}.`,
    },
  ];
}

const rowsByOption = new Map(
  chartRows.flatMap((row) => (row.option === undefined ? [] : [[row.option, row] as const])),
);

/** Options of later agents that people write into extraConfig; 1.13.4 ignores options that it does not know. */
const laterOptions: ReadonlyMap<string, string> = new Map([
  ["routing-mode", "datapath.mode"],
  ["tunnel-protocol", "datapath.mode"],
  ["enable-ipv4-big-tcp", "datapath.ipv6.bigTCP, for IPv6"],
]);

function extraOption({ path, inside, value }: FreeValue): [string, FreeValue["value"]][] {
  if (path !== "extraConfig") return [];
  if (inside !== undefined) return [[inside, value]];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

/** Options in arguments (`--tunnel=disabled`) and in the environment (CILIUM_TUNNEL), which win over cilium-config. */
const argumentSchema = z.string().transform((text) => /^--([a-z0-9-]+)/.exec(text)?.[1]);
const environmentSchema = z
  .looseObject({ name: z.string() })
  .transform(({ name }) => /^CILIUM_(\w+)$/.exec(name)?.[1]?.toLowerCase().replaceAll("_", "-"));

function passedOptions({ path, value }: FreeValue): string[] {
  if ((path !== "extraArgs" && path !== "extraEnv") || !Array.isArray(value)) return [];
  const schema = path === "extraArgs" ? argumentSchema : environmentSchema;
  return value.flatMap((item) => schema.safeParse(item).data ?? []);
}

function passedOption(free: FreeValue): Violation[] {
  return passedOptions(free).flatMap((option): Violation[] => {
    const row = rowsByOption.get(option);
    return row === undefined
      ? []
      : [
          {
            key: keyOf(free),
            message: `${free.written} hands the agent ${option}, which ${row.key} decides and cilium-config holds: the agent would take this one.`,
            wayOut: `Leave it out, and say it with ${row.key}.`,
          },
        ];
  });
}

function bypassingOptions(free: FreeValue): Violation[] {
  return extraOption(free).flatMap(([option]): Violation[] => {
    const key = formatPath(["datapath", "values", "extraConfig", option]);
    const row = rowsByOption.get(option);
    if (row !== undefined) {
      return [
        {
          key,
          message: `The agent's option ${option} is decided by ${row.key}: cilium-config would hold it twice.`,
          wayOut: `Leave it out, and say it with ${row.key}.`,
        },
      ];
    }
    const later = laterOptions.get(option);
    return later === undefined
      ? []
      : [
          {
            key,
            message: `The ${chartVersion} agent has no option ${option} and ignores it silently.`,
            wayOut: `Leave it out, and say it with ${later}.`,
          },
        ];
  });
}

/** Values of a release that follow from how its roll-out is to go (`releaseValues`). */
const rollOutPaths: ReadonlySet<string> = new Set(["rollOutCiliumPods", "updateStrategy"]);

/** What free-form chart values may not say. */
export const valueRules: readonly Rule[] = [
  {
    id: "values-unknown-path",
    severity: "error",
    key: "datapath.values",
    when: "values names a path that the chart does not have",
    message: "Helm ignores values that the chart does not know, silently.",
    wayOut: "Write the path that the message names.",
    source: "chart 1.13.4, values.yaml and templates; it has no values.schema.json",
    violations: ({ datapath }) =>
      freeValues(datapath.values)
        .filter(({ path }) => path === undefined)
        .map(unknownPath),
  },
  {
    id: "values-wrong-type",
    severity: "error",
    key: "datapath.values",
    when: "values has something of another type than the chart's",
    message: "The chart takes another type there.",
    wayOut: "Write the type that the message names.",
    source: "chart 1.13.4, values.yaml",
    violations: ({ datapath }) => freeValues(datapath.values).flatMap(wrongType),
  },
  {
    id: "values-contradiction",
    severity: "error",
    key: "datapath.values",
    when: "values says otherwise what a key of the datapath decides",
    message: "A key of the datapath decides this value.",
    wayOut: "Leave it out of values, and say it with the key that the message names.",
    source: "chart 1.13.4, templates/cilium-configmap.yaml",
    violations: ({ datapath }) => freeValues(datapath.values).flatMap((value) => contradiction(value, datapath)),
  },
  {
    id: "values-roll-out",
    severity: "error",
    key: "datapath.values",
    when: "values says how agents are restarted",
    message: "cilium.rollOut decides how agents are restarted.",
    wayOut: "Leave it out, and say it with cilium.rollOut.",
    source: "docs/decisions/0010-agents-all-at-once.md",
    violations: ({ datapath }) =>
      freeValues(datapath.values)
        .filter(({ path }) => path !== undefined && rollOutPaths.has(path))
        .map((value) => ({
          key: keyOf(value),
          message: `${value.written} is decided by cilium.rollOut.`,
          wayOut: "Leave it out, and say it with cilium.rollOut.",
        })),
  },
  {
    id: "values-twice",
    severity: "error",
    key: "datapath.values",
    when: "values has a path twice, nested and with dots",
    message: "Only one of them can count.",
    wayOut: "Leave one of them out.",
    source: "docs/datapaths.md",
    violations: ({ datapath }) => {
      const written = freeValues(datapath.values);
      return written
        .filter((one, index) => written.findIndex((other) => other.written === one.written) !== index)
        .map((value) => ({ key: keyOf(value), message: `${value.written} stands there twice: only one can count.` }));
    },
  },
  {
    id: "values-extra-config",
    severity: "error",
    key: "datapath.values.extraConfig",
    when: "extraConfig hands the agent an option that a key of the datapath decides, or that only later agents have",
    message: "The option is decided elsewhere, or unknown to this agent.",
    wayOut: "Leave it out, and say it with the key that the message names.",
    source: "1.13.4 pkg/option/config.go:3878, templates/cilium-configmap.yaml",
    violations: ({ datapath }) => freeValues(datapath.values).flatMap(bypassingOptions),
  },
  {
    id: "values-extra-arguments",
    severity: "error",
    key: "datapath.values.extraArgs",
    when: "extraArgs or extraEnv hands the agent an option that a key of the datapath decides",
    message: "The agent takes arguments and its environment over cilium-config.",
    wayOut: "Leave it out, and say it with the key that the message names.",
    source: "viper, which 1.13.4 reads its options with: flags before environment before configuration",
    violations: ({ datapath }) => freeValues(datapath.values).flatMap(passedOption),
  },
];
