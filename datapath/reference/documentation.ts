import { stringify } from "yaml";
import { chartVersion } from "../cilium/chart.ts";
import { datapath as datapathSchema, type Datapath } from "../config/datapath.ts";
import { defaultFeatures } from "../cilium/features.ts";
import type { Finding } from "../findings.ts";
import { helmValues } from "../cilium/helm-values.ts";
import { kernelFloors } from "../machines/kernel.ts";
import { describeNodePlan, planFor } from "../plan/plan.ts";
import { nodesBeforeCilium } from "../plan/preview-plan.ts";
import { rules } from "../rules/index.ts";
import { configKeys } from "./schema.ts";

/** A datapath as people write it, for the page. */
interface Example {
  readonly title: string;
  readonly about: string;
  readonly written: Readonly<Record<string, unknown>>;
}

const examples: readonly Example[] = [
  {
    title: "vxlan",
    about: "The chart's default. The network between the nodes needs to know nothing of pods.",
    written: { mode: "vxlan" },
  },
  { title: "geneve", about: "The same with Geneve's header.", written: { mode: "geneve" } },
  {
    title: "native, direct routes",
    about: "Each node routes to its peers' pods itself. All nodes stand in one subnet.",
    written: { mode: "native" },
  },
  {
    title: "native, a router",
    about: "The network between the nodes has a route to every node's pods; the nodes need none.",
    written: { mode: "native", routes: "router" },
  },
  {
    title: "native, BGP by kube-router",
    about: "kube-router on each node announces the node's pod CIDR and installs what it learns.",
    written: { mode: "native", routes: "bgp" },
  },
  {
    title: "native, BGP by Cilium",
    about:
      "Cilium's control plane announces pod CIDRs and installs nothing (cilium/cilium#31283): the peer has to learn and forward.",
    written: { mode: "native", routes: { kind: "bgp", speaker: "cilium", peer: { address: "192.0.2.1" } } },
  },
  {
    title: "native, Google Cloud",
    about:
      "Alias ranges: the network knows which node has which pods. The lab makes no cloud; it types and renders this.",
    written: { mode: "native", ipv4NativeRoutingCIDR: "10.0.0.0/8", routes: { kind: "router", integration: "gke" } },
  },
  {
    title: "native, AWS ENI",
    about: "Pods have addresses of the nodes' network interfaces.",
    written: { mode: "native", routes: { kind: "router", integration: "eni" } },
  },
  {
    title: "native, Azure IPAM",
    about: "Pods have addresses of the nodes' network interfaces, which Azure translates by itself.",
    written: { mode: "native", masquerade: { ipv4: false }, routes: { kind: "router", integration: "azure" } },
  },
];

/** What the schema doesn't let anybody write, and what this prevents. */
const impossible: readonly (readonly [written: string, spared: string])[] = [
  [
    "`mode: vxlan` or `geneve` with `routes`",
    "The agent ends: `auto-direct-node-routes cannot be used with tunneling` (1.13.4 daemon/cmd/daemon_main.go:1379).",
  ],
  [
    "a `mode` that is no mode, such as `disabled`",
    "The agent ends: `invalid tunnel mode 'native', valid modes = {vxlan, geneve, disabled}` (pkg/option/config.go:2702).",
  ],
  [
    "`mode: native` without a native routing CIDR on the lab's own pool",
    "It is the pool then; without one the agent ends: `native routing cidr must be configured` (pkg/option/config.go:3548).",
  ],
  [
    "a load balancer mode, algorithm or acceleration that 1.13.4 does not have, such as `best-effort`",
    "The agent ends: `Invalid value for --node-port-mode` and the like (daemon/cmd/kube_proxy_replacement.go:91-161).",
  ],
  [
    "a kube-proxy replacement that is no word of 1.13.4, such as `true` or `probe`",
    "The chart refuses `probe`, `true` and the texts `true` and `false`; the boolean false it takes for its default (templates/cilium-configmap.yaml:56).",
  ],
  [
    "Cilium's BGP without a peer",
    "The agent announces to nobody, and no route to any pod would exist (cilium/cilium#31283).",
  ],
];

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(titles), line(titles.map(() => "---")), ...rows.map(line)].join("\n");
}

function yamlBlock(value: unknown): string {
  return `\`\`\`yaml\n${stringify(value, { lineWidth: 0 })}\`\`\``;
}

function exampleSection({ title, about, written }: Example, project: string): string {
  const datapath = datapathSchema.parse(written);
  return [
    `### ${title}`,
    about,
    yamlBlock({ [`${project}:datapath`]: written }),
    `Values for the chart:`,
    yamlBlock(helmValues(datapath)),
    `What must then hold on node-1:`,
    planTable(datapath),
  ].join("\n\n");
}

function planTable(datapath: Datapath): string {
  const nodes = nodesBeforeCilium([
    { name: "node-1", address: "192.0.2.11" },
    { name: "node-2", address: "192.0.2.12" },
  ]);
  const [plan] = planFor(datapath, nodes, { carrier: "cilium", underlayMtuBytes: 1500 });
  if (plan === undefined) return "";
  const { links, routes, pathMtuBytes, wire } = describeNodePlan(plan);
  return table(
    ["what", "must be"],
    [
      ...Object.entries(links).map(([link, state]) => [`link ${code(link)}`, state]),
      ...Object.entries(routes).map(([destination, route]) => [`route to the ${destination}`, code(route)]),
      ["path MTU, on a network of 1500 bytes", `${pathMtuBytes} bytes`],
      ["on the wire", wire],
    ],
  );
}

function rulesTable(severity: Finding["severity"]): string {
  return table(
    ["rule", "key", "when", "what happens", "way out", "source"],
    rules
      .filter((rule) => rule.severity === severity)
      .map(({ id, key, when, message, wayOut, source }) => [code(id), code(key), when, message, wayOut, source]),
  );
}

/** `docs/datapaths.md`: modes, defaults, keys, rules and kernel floors, from the tables that the program itself runs on. */
export function datapathsPage(project: string): string {
  return `${[
    "<!-- Generated by cli/generate.ts from datapath/: change the tables there. -->",
    "# Datapaths",
    `Everything that Cilium ${chartVersion} can be asked for, what follows from it, and what is refused. \`npm run lab -- explain\` says the same of one config.`,
    "## Modes",
    ...examples.map((example) => exampleSection(example, project)),
    "## Defaults",
    "What everybody has who chooses nothing.",
    table(
      ["feature", "default"],
      defaultFeatures().map(({ name, requested }) => [name, requested]),
    ),
    "## Keys",
    `All keys below \`${project}:datapath\`. A key of one word may be written in short where its type names words: \`routes: router\` for \`routes: {kind: router}\`.`,
    table(
      ["key", "type", "default", "what it is"],
      configKeys("datapath").map(({ key, type, default: value, description }) => [
        code(key.slice("datapath.".length)),
        type,
        code(value),
        description,
      ]),
    ),
    "## What can't be written",
    table(["what", "what this prevents"], impossible),
    "## Errors",
    "Found at preview, all of them at once; nothing is created. The agent would end and start again for ever behind a green Helm release, Helm would refuse, or nothing could work.",
    rulesTable("error"),
    "## Warnings",
    "Found at preview. The agent would be Ready and do something else than it was asked for. With `strict: true` they are errors.",
    rulesTable("warning"),
    "## Kernels",
    "Checked on the machines before Cilium is installed, and at preview where the machines' image is known. The agent looks for what it needs rather than for versions: a kernel of a distribution that took it back passes there, and is a warning here.",
    table(
      ["feature", "needs", "below that", "severity", "source"],
      kernelFloors.map(({ feature, needs, below, severity, source }) => [feature, needs, below, severity, source]),
    ),
  ].join("\n\n")}\n`;
}
