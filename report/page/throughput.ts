import { streamsName } from "../../datapath/run/run-words.ts";
import type { Run } from "../../datapath/run/run.ts";
import { datapathTitle, failedSamples } from "../format.ts";
import { tcpHeadings, tcpRows, udpCells, udpHeadings, udpRows } from "../figure-rows.ts";
import { html, type Markup } from "../markup.ts";
import { streamsOf, type Series } from "../series.ts";
import { drawings, folded, list, numberHeadings, section, table, type Cell } from "./parts.ts";
import { legend, throughputPlot, udpPlot } from "./plots.ts";

/** TCP as plots and tables, UDP, and what failed. */
export function throughputSection(series: readonly Series[]): Markup | undefined {
  const streams = streamsOf(series);
  const plots = streams.flatMap((number) => {
    const caption = `TCP, ${streamsName(number)}`;
    const drawing = throughputPlot(series, number, caption);
    return drawing === undefined ? [] : [{ caption, drawing }];
  });
  return section("throughput", "Throughput", [
    plots.length === 0 ? html`<p>${whyNothing(series)}</p>` : html`${drawings(plots)}${legend}`,
    ...folded(
      "TCP run by run: spread, intervals, retransmits, CPU",
      series.flatMap(({ runs }) => runs.map((run) => tcpTable(run, runs.length > 1))),
      series.length > 1,
    ),
    ...udpParts(series),
    failures(series),
  ]);
}

function whyNothing(series: readonly Series[]): string {
  const runs = series.flatMap((one) => one.runs);
  if (runs.some(({ samples }) => samples.some(({ protocol }) => protocol === "tcp"))) {
    return "No TCP sample succeeded: what failed stands below, with the reason.";
  }
  return runs.some(({ verdict }) => verdict === "contradicted")
    ? "Nothing was measured: this is not the datapath that was asked for."
    : "No TCP throughput was measured.";
}

function tcpTable(run: Run, isOneOfMany: boolean): Markup | undefined {
  const rows = tcpRows(run).map((row): Cell[] => {
    const strong = (cell: string): Cell => (row.isRatio ? html`<strong>${cell}</strong>` : cell);
    return [
      row.name,
      strong(row.median),
      row.range,
      strong(row.interval),
      row.variation,
      row.retransmits,
      row.cpu,
      row.failed,
    ];
  });
  if (rows.length === 0) return undefined;
  const which = isOneOfMany ? ` (${run.id})` : "";
  return table(`${datapathTitle(run)}${which}: TCP`, numberHeadings("Path", tcpHeadings), rows);
}

/** Every sample as a dot, and the table. */
function udpParts(series: readonly Series[]): (Markup | undefined)[] {
  const plots = (
    [
      { of: "lossPercent", caption: "UDP lost" },
      { of: "bitsPerSecond", caption: "UDP received" },
    ] as const
  ).flatMap(({ of, caption }) => {
    const drawing = udpPlot(series, of, caption);
    return drawing === undefined ? [] : [{ caption, drawing }];
  });
  return plots.length === 0 ? [] : [html`<h3>UDP at a set rate</h3>`, drawings(plots), udpTable(series)];
}

function udpTable(series: readonly Series[]): Markup | undefined {
  const rows = series.flatMap((one) => udpRows(one.runs).map((row) => [`${one.name}, ${row.name}`, ...udpCells(row)]));
  return rows.length === 0 ? undefined : table("UDP at a set rate", numberHeadings("Path", udpHeadings), rows);
}

function failures(series: readonly Series[]): Markup | undefined {
  const texts = series.flatMap(({ name, runs }) => runs.flatMap(failedSamples).map((text) => `${name}, ${text}`));
  return texts.length === 0
    ? undefined
    : html`<h3>Failed samples</h3>
        ${list(texts)}`;
}
