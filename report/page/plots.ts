import type { Path } from "../../datapath/run/run.ts";
import { summarise } from "../../datapath/run/statistics.ts";
import { dotPlot, type PlotRow } from "../dot-plot.ts";
import { threeDigits } from "../format.ts";
import { html, type Markup } from "../markup.ts";
import { tcpSamples, type Series } from "../series.ts";

const nodeColour = "var(--node)";

/** What a row of a plot shows of the samples. */
type SamplesOf = (series: Series, path: Path) => readonly number[];

/**
 * Rows of a datapath: its pods, with the bare nodes' median as a line, the bare nodes of the same runs, and pods on one node
 * where they were measured.
 */
function rowsOf(series: readonly Series[], samplesOf: SamplesOf): PlotRow[] {
  return series.flatMap((one) => {
    const nodes = samplesOf(one, "nodeToNode");
    return [
      ...rowOf(`${one.name} pods`, one.colour, samplesOf(one, "podToPod"), summarise(nodes, 0).median),
      ...rowOf("bare nodes", nodeColour, nodes),
      ...rowOf("same node", one.colour, samplesOf(one, "podToPodSameNode")),
    ];
  });
}

function rowOf(label: string, colour: string, samples: readonly number[], baseline?: number): PlotRow[] {
  const { median } = summarise(samples, 0);
  if (median === undefined) return [];
  return [{ label, colour, samples, median, ...(baseline === undefined ? {} : { baseline }) }];
}

function describeRows(rows: readonly PlotRow[], text: (value: number) => string): string {
  return rows
    .map(({ label, samples, median = NaN }) => {
      const { minimum = NaN, maximum = NaN } = summarise(samples, 0);
      return `${label}: median ${text(median)}, ${samples.length} samples from ${text(minimum)} to ${text(maximum)}`;
    })
    .join("; ");
}

/** TCP throughput with one number of streams; nothing where it was not measured. */
export function throughputPlot(series: readonly Series[], streams: number, title: string): Markup | undefined {
  const rows = rowsOf(series, ({ runs }, path) => tcpSamples(runs, path, streams).map((value) => value / 1e9));
  if (rows.length === 0) return undefined;
  return dotPlot(rows, {
    id: `throughput-${streams}`,
    title: `${title}: throughput in Gbit/s`,
    description: describeRows(rows, threeDigits),
    axis: "Gbit/s",
    text: threeDigits,
  });
}

/** What UDP lost, or what of it arrived, sample by sample; nothing where it was not measured. */
export function udpPlot(
  series: readonly Series[],
  of: "lossPercent" | "bitsPerSecond",
  title: string,
): Markup | undefined {
  const size = of === "lossPercent" ? 1 : 1e9;
  const rows = rowsOf(series, ({ runs }, path) =>
    runs.flatMap(({ udp }) => (udp?.[path]?.[of].samples ?? []).map((value) => value / size)),
  );
  if (rows.length === 0) return undefined;
  const unit = of === "lossPercent" ? "%" : "Gbit/s";
  return dotPlot(rows, {
    id: `udp-${of}`,
    title: `${title}, ${unit}`,
    description: describeRows(rows, threeDigits),
    axis: unit,
    text: threeDigits,
  });
}

/** Round trips, idle or under load; nothing where they were not measured. */
export function latencyPlot(
  series: readonly Series[],
  of: "latency" | "latencyUnderLoad",
  title: string,
): Markup | undefined {
  const rows = rowsOf(series, ({ runs }, path) => runs.flatMap((run) => run[of]?.[path]?.milliseconds ?? []));
  if (rows.length === 0) return undefined;
  const text = (value: number): string => value.toFixed(3);
  return dotPlot(rows, {
    id: `plot-${of}`,
    title: `${title} in milliseconds`,
    description: describeRows(rows, text),
    axis: "ms",
    text,
  });
}

/** What the marks of a plot are. */
export const legend = html`<p class="legend">
  <span
    ><svg viewBox="0 0 16 12" aria-hidden="true"><circle cx="8" cy="6" r="4" /></svg> one sample</span
  >
  <span
    ><svg viewBox="0 0 16 12" aria-hidden="true"><path d="M8 0V12" stroke-width="3" /></svg> median, with its value at
    the right</span
  >
  <span
    ><svg viewBox="0 0 16 12" aria-hidden="true"><path class="baseline" d="M8 0V12" /></svg> median of the same
    runs&#39; bare nodes</span
  >
</p>`;
