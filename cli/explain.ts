import { stringify } from "yaml";
import { chartVersion } from "../datapath/cilium/chart.ts";
import { checkLabConfig, type LabConfig } from "../datapath/config/index.ts";
import { defaultFeatures, features, type PlannedFeature } from "../datapath/cilium/features.ts";
import { formatFindings, type Finding } from "../datapath/findings.ts";
import { releaseValues } from "../datapath/cilium/helm-values.ts";
import { kernelOfMachines } from "../datapath/machines/kernel.ts";
import { nodeCount, runsCilium } from "../datapath/machines/machine-facts.ts";
import { datapathTitle, describeNodePlan, type NodePlan } from "../datapath/plan/plan.ts";
import { previewPlan } from "../datapath/plan/preview-plan.ts";
import { textTable, type Column } from "../report/text-table.ts";

export interface ExplainOptions {
  /** The lab config as it was read, unchecked. */
  readonly config: unknown;
  /**
   * JSON for programs: datapath, findings, features, helmValues and plan. Where there are errors the last three are null, and
   * so is the datapath where it could not be read.
   */
  readonly json: boolean;
  /** Project in whose name stack config spells its keys. */
  readonly project?: string;
}

export interface Explanation {
  /** Ends in a newline. */
  readonly text: string;
  /** 1 where the config has errors. */
  readonly exitCode: 0 | 1;
}

/** Says what a lab config asks for, what of it will be in effect and why not, its Helm values and its plan. Makes nothing. */
export function explain({ config: raw, json, project = "datapath-lab" }: ExplainOptions): Explanation {
  const { config, shaped, findings } = checkLabConfig(raw);
  const exitCode = config === undefined ? 1 : 0;
  if (json) return { text: `${JSON.stringify(asJson(config, shaped, findings), undefined, 2)}\n`, exitCode };
  const sections =
    config === undefined
      ? [formatFindings(findings, project), "Nothing would be created."]
      : [
          `${datapathTitle(config.datapath)}, on machines of kind ${config.machines.kind}`,
          ...(findings.length === 0 ? [] : [formatFindings(findings, project)]),
          featuresSection(config),
          valuesSection(config),
          ...planSections(previewPlan(config)),
        ];
  return { text: `${sections.join("\n\n")}\n`, exitCode };
}

function asJson(
  config: LabConfig | undefined,
  shaped: LabConfig | undefined,
  findings: readonly Finding[],
): Record<string, unknown> {
  if (config === undefined) {
    return { datapath: shaped?.datapath ?? null, findings, features: null, helmValues: null, plan: null };
  }
  return {
    datapath: config.datapath,
    findings,
    features: features(config),
    helmValues: valuesOf(config),
    plan: previewPlan(config),
  };
}

/** What the release is given, not only what the datapath asks for. */
function valuesOf({ datapath, cilium, machines }: LabConfig): ReturnType<typeof releaseValues> {
  return releaseValues(datapath, cilium, nodeCount(machines));
}

function left(title: string): Column {
  return { title, align: "left" };
}

/** Wide enough for any table: a terminal breaks long lines, and a pipe keeps them. */
const unlimited = Number.POSITIVE_INFINITY;

function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  return textTable(columns, rows, unlimited)
    .map((line) => `  ${line}`)
    .join("\n");
}

function featuresSection(config: LabConfig): string {
  const defaults = new Map(defaultFeatures().map(({ name, requested }) => [name, requested]));
  const kernel = kernelOfMachines(config.machines);
  const rows = features(config).map(({ name, requested, effective, reason = "" }: PlannedFeature) => [
    name,
    defaults.get(name) ?? "",
    requested,
    effective,
    reason,
  ]);
  return [
    "Features",
    table([left("feature"), left("chart's default"), left("requested"), left("in effect"), left("why")], rows),
    ...(!runsCilium(config.machines)
      ? []
      : kernel === undefined
        ? ["  Kernels are checked on the machines, before Cilium is installed."]
        : [`  The machines' image has kernel ${kernel}; running machines are asked again before Cilium is installed.`]),
  ].join("\n");
}

function valuesSection(config: LabConfig): string {
  const note = !runsCilium(config.machines)
    ? ", of no use in the embedded lab"
    : config.cilium.manage
      ? ""
      : ", which the lab does not apply (cilium.manage: false)";
  const lines = stringify(valuesOf(config), { lineWidth: 0 }).trimEnd().split("\n");
  return [`Helm values for Cilium ${chartVersion}${note}`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function planSections(plan: readonly NodePlan[]): string[] {
  const described = plan.map((node) => ({ node: node.node, ...describeNodePlan(node) }));
  const links = described.flatMap(({ node, links: all }) =>
    Object.entries(all).map(([name, link], index) => [index === 0 ? node : "", name, link]),
  );
  const routes = described.flatMap(({ node, routes: all }) =>
    Object.entries(all).map(([destination, route], index) => [index === 0 ? node : "", destination, route]),
  );
  const packets = described.map(({ node, pathMtuBytes, wire, masquerade, routerRoute }) => [
    node,
    `${pathMtuBytes} bytes`,
    wire,
    masquerade,
    routerRoute,
  ]);
  return [
    ["Plan: links", table([left("node"), left("link"), left("state")], links)].join("\n"),
    ["Plan: routes to the other nodes' pods", table([left("node"), left("destination"), left("route")], routes)].join(
      "\n",
    ),
    [
      "Plan: packets between pods on different nodes",
      table(
        [left("node"), left("path MTU"), left("on the wire"), left("masqueraded"), left("router's route")],
        packets,
      ),
    ].join("\n"),
  ];
}
