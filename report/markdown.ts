import type { Outcome } from "../datapath/run/comparison.ts";
import { inText } from "../datapath/run/run-words.ts";
import type { Run } from "../datapath/run/run.ts";
import { agentWarnings, datapathTitle, failedSamples, kernelsOf, labTitle, none } from "./format.ts";
import { latencyHeadings, latencyRows, tcpHeadings, tcpRows, udpCells, udpHeadings, udpRows } from "./figure-rows.ts";
import { glanceRows } from "./glance.ts";
import { offloads } from "./page/conditions.ts";
import { repeatCommands } from "./repeat.ts";
import { seriesOf, verdictLines, type Series } from "./series.ts";

/**
 * Runs as GitHub-flavoured Markdown for a pull request: verdicts, what may be said, medians beside each other, what is not as it
 * should be; everything else behind a line to open.
 */
export function reportMarkdown(runs: readonly [Run, ...Run[]], outcomes: readonly Outcome[] = []): string {
  const series = seriesOf(runs);
  const numbers = runs.flatMap((run) => [figures(run), latency(run)]);
  const blocks = [
    "## Datapath Lab",
    verdictLines(runs)
      .map(({ verdict, sentence }) => `- **${verdict}** ${text(sentence)}`)
      .join("\n"),
    ...outcomes.map(comparisonBlock),
    series.length > 1 ? glance(series) : undefined,
    ...runs.map(faults),
    failures(series),
    features(series),
    ...(runs.length > 1 ? [folded("Run by run", numbers)] : numbers),
    conditions(series),
    `\`\`\`sh\n${repeatCommands(runs).join("\n")}\n\`\`\``,
  ];
  return `${blocks.filter((block) => block !== undefined).join("\n\n")}\n`;
}

/** Text that Markdown takes as text. */
function text(value: string): string {
  return value.replaceAll(/[\\`*_{}[\]<>|#]/g, (character) => `\\${character}`).replaceAll("\n", " ");
}

function table(headings: readonly string[], rows: readonly (readonly string[])[], others: "numbers" | "words"): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = headings.map((_, index) => (index === 0 || others === "words" ? "---" : "---:"));
  return [line(headings), line(rule), ...rows.map((row) => line(row.map(text)))].join("\n");
}

function folded(title: string, blocks: readonly (string | undefined)[]): string | undefined {
  const shown = blocks.filter((block) => block !== undefined);
  if (shown.length === 0) return undefined;
  return [`<details>\n<summary>${title}</summary>`, ...shown, "</details>"].join("\n\n");
}

function comparisonBlock(comparison: Outcome): string {
  if ("refused" in comparison) {
    const [a, b] = [inText(comparison.a), inText(comparison.b)];
    return `${text(b)} and ${text(a)} are not comparable:\n${comparison.refused.map((reason) => `- ${text(reason)}`).join("\n")}`;
  }
  const { differences, caveats } = comparison;
  const [headline, ...others] = differences.filter(({ path }) => path === "podToPod");
  return [
    ...(headline === undefined ? [] : [`**${text(headline.words)}**`, ""]),
    ...others.map(({ words }) => `- ${text(words)}`),
    ...(caveats.length === 0 ? [] : ["", ...caveats.map((caveat) => `> ${text(caveat)}`)]),
  ].join("\n");
}

function glance(series: readonly Series[]): string | undefined {
  const rows = glanceRows(series);
  if (rows.length === 0) return undefined;
  return table(
    ["Median", ...series.map(({ name }) => text(name))],
    rows.map(({ name, cells }) => [name, ...cells]),
    "numbers",
  );
}

function faults({ checks }: Run): string | undefined {
  const wrong = checks
    .filter(({ ok }) => ok !== true)
    .toSorted((a, b) => Number(a.ok === null) - Number(b.ok === null));
  if (wrong.length === 0) return undefined;
  return table(
    ["Node", "Check", "Expected", "Found", "Outcome"],
    wrong.map(({ node, name, expected, found, ok }) => [
      node,
      name,
      expected,
      found,
      ok === null ? "not judged" : "fails",
    ]),
    "words",
  );
}

function failures(series: readonly Series[]): string | undefined {
  const texts = series.flatMap(({ name, runs }) =>
    runs.flatMap(failedSamples).map((one) => `- ${text(name)}, ${text(one)}`),
  );
  return texts.length === 0 ? undefined : ["Failed samples, in none of the figures:", ...texts].join("\n");
}

/** What differs from what was asked for stands open, the whole table does not. */
function features(series: readonly Series[]): string | undefined {
  const all = series.flatMap(({ name: datapath, runs: [run] }) =>
    (run.features ?? []).map((feature) => ({ ...feature, name: `${datapath}: ${feature.name}` })),
  );
  const rows = (some: typeof all): string[][] =>
    some.map(({ name, requested, effective, reason }) => {
      const note = requested === effective || effective === undefined ? "" : " ⚠";
      return [name, requested, `${effective ?? "not seen"}${note}${reason === undefined ? "" : ` (${reason})`}`];
    });
  const headings = ["Feature", "Requested", "In effect"];
  const differing = all.filter(({ requested, effective }) => requested !== effective);
  if (all.length === 0) return undefined;
  const warnings = series.flatMap(({ name: datapath, runs }) =>
    [...new Set(runs.flatMap(agentWarnings))].map((one) => `${datapath}, ${one}`),
  );
  return [
    ...(differing.length === 0 ? [] : [table(headings, rows(differing), "words")]),
    ...(warnings.length === 0 ? [] : [["What agents logged:", ...warnings.map((one) => `- ${text(one)}`)].join("\n")]),
    folded("Requested and in effect, feature by feature", [table(headings, rows(all), "words")]),
  ].join("\n\n");
}

function figures(run: Run): string | undefined {
  const title = `${datapathTitle(run)}, ${run.id}`;
  const tcp = tcpRows(run).map((row) => [
    row.name,
    row.median,
    row.range,
    row.interval,
    row.variation,
    row.retransmits,
    row.cpu,
    row.failed,
  ]);
  const udp = udpRows([run]).map((row) => [row.name, ...udpCells(row)]);
  const tables = [
    { about: "TCP", headings: tcpHeadings, rows: tcp },
    { about: "UDP", headings: udpHeadings, rows: udp },
  ].filter(({ rows }) => rows.length > 0);
  if (tables.length === 0) return undefined;
  return tables
    .map(({ about, headings, rows }) => table([text(`${title}, ${about}`), ...headings], rows, "numbers"))
    .join("\n\n");
}

function latency(run: Run): string | undefined {
  const rows = latencyRows(run).map((row) => [
    `${row.name}, ${row.load}`,
    row.median,
    row.p90,
    row.p99,
    row.maximum,
    `${row.lost} of ${row.sent}`,
  ]);
  if (rows.length === 0) return undefined;
  return table([text(`${datapathTitle(run)}, round trip in ms`), ...latencyHeadings], rows, "numbers");
}

/** Said once where every run has the same, else datapath by datapath. */
function conditions(series: readonly Series[]): string {
  const of = (run: Run): string => {
    const { cpuCount, cpuModel, settings } = run.conditions;
    return [
      `${text(labTitle(run))}; ${run.nodes.length} nodes, kernel ${text(kernelsOf(run))}, ${cpuCount} × ${text(cpuModel)};`,
      `${settings.samples} rounds of ${settings.durationSeconds} s.`,
      ...offloads(run).map(([nodes, words]) => `Offloads of ${text(nodes)}: ${text(words === "" ? none : words)}.`),
    ].join(" ");
  };
  const each = series.map(({ name, runs }) => ({ name, said: [...new Set(runs.map(of))] }));
  const all = new Set(each.flatMap(({ said }) => said));
  const [first] = series;
  const began = first === undefined ? "" : ` Measured ${first.runs[0].time.slice(0, 16).replace("T", " ")} UTC.`;
  return [
    ...(all.size === 1 ? all : each.flatMap(({ name, said }) => said.map((one) => `${text(name)}: ${one}`))),
    `Intervals are 95 % confidence intervals. CPU is iperf3's own, in percent of one core.${began}`,
  ].join("\n\n");
}
