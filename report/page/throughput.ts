import { pathName, paths, streamsName } from "../../datapath/run/run-words.ts";
import type { Run } from "../../datapath/run/run.ts";
import { summarise } from "../../datapath/run/statistics.ts";
import {
  count,
  cpuUse,
  datapathTitle,
  failedSamples,
  gigabits,
  milliseconds,
  none,
  percent,
  plusMinusGigabits,
  range,
  variation,
} from "../format.ts";
import { html, type Markup } from "../markup.ts";
import { streamsOf, type Series } from "../series.ts";
import { drawings, folded, list, numberHeadings, section, table, type Cell } from "./parts.ts";
import { byPath, legend, throughputPlot, udpPlot } from "./plots.ts";

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
      series.flatMap(({ runs }) => runs.map((run) => tcpTable(run, streams, runs.length > 1))),
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

function tcpTable(run: Run, streams: readonly number[], isOneOfMany: boolean): Markup | undefined {
  const rows = streams.flatMap((number): Cell[][] => {
    const key = String(number);
    const measured = paths.flatMap((path) => {
      const figures = run.throughput[path]?.[key];
      if (figures === undefined) return [];
      return [
        [
          `${streamsName(number)}, ${pathName(path)}`,
          gigabits(figures.median),
          range(figures),
          plusMinusGigabits(figures),
          variation(figures),
          count(run.retransmits[path]?.[key]?.median),
          cpuUse(run.cpuPercent?.[path]?.[key]),
          String(figures.failed),
        ],
      ];
    });
    const [ratio, confidence] = [run.ratio[key], run.ratioConfidence?.[key]];
    const interval =
      confidence === undefined ? none : `${confidence.lower.toFixed(2)} – ${confidence.upper.toFixed(2)}`;
    return measured.length === 0 || ratio === undefined
      ? measured
      : [
          ...measured,
          [
            `${streamsName(number)}, pod ÷ node`,
            html`<strong>${ratio.toFixed(2)}</strong>`,
            "",
            html`<strong>${interval}</strong>`,
            ...Array.from({ length: 4 }, () => ""),
          ],
        ];
  });
  if (rows.length === 0) return undefined;
  const which = isOneOfMany ? ` (${run.id})` : "";
  const numbers = [
    "Gbit/s, median",
    "min – max",
    "95 % interval",
    "variation",
    "retransmits",
    "CPU % send/receive",
    "failed",
  ];
  return table(`${datapathTitle(run)}${which}: TCP`, numberHeadings("Path", numbers), rows);
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
  const rows = byPath(series, ({ runs }, path, name): Cell[][] => {
    const figures = runs.flatMap((run) => run.udp?.[path] ?? []);
    const [first] = figures;
    if (first === undefined) return [];
    const all = (of: "bitsPerSecond" | "lossPercent" | "jitterMilliseconds") =>
      summarise(
        figures.flatMap((one) => one[of].samples),
        figures.reduce((sum, one) => sum + one[of].failed, 0),
      );
    const loss = all("lossPercent");
    return [
      [
        name,
        percent(loss.median),
        percent(loss.maximum),
        milliseconds(all("jitterMilliseconds").median),
        gigabits(first.rateBitsPerSecond),
        gigabits(all("bitsPerSecond").median),
        String(loss.failed),
      ],
    ];
  });
  if (rows.length === 0) return undefined;
  const numbers = ["lost, median", "lost, worst", "jitter, ms", "asked, Gbit/s", "received", "failed"];
  return table("UDP at a set rate", numberHeadings("Path", numbers), rows);
}

function failures(series: readonly Series[]): Markup | undefined {
  const texts = series.flatMap(({ name, runs }) => runs.flatMap(failedSamples).map((text) => `${name}, ${text}`));
  return texts.length === 0
    ? undefined
    : html`<h3>Failed samples</h3>
        ${list(texts)}`;
}
