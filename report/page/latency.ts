import { latencyHeadings, latencyRows } from "../figure-rows.ts";
import { html, type Markup } from "../markup.ts";
import type { Series } from "../series.ts";
import { drawings, folded, numberHeadings, section, table } from "./parts.ts";
import { latencyPlot, legend } from "./plots.ts";

const kinds = [
  { of: "latency", words: "idle" },
  { of: "latencyUnderLoad", words: "under load" },
] as const;

/** Round trips, idle and under load: every one as a dot, and percentiles run by run. */
export function latencySection(series: readonly Series[]): Markup | undefined {
  const plots = kinds.flatMap(({ of, words }) => {
    const caption = `Round trip, ${words}`;
    const drawing = latencyPlot(series, of, caption);
    return drawing === undefined ? [] : [{ caption, drawing }];
  });
  const rows = series.flatMap(({ name, runs }) =>
    runs
      .flatMap(latencyRows)
      .map((row) => [
        `${name}, ${row.name}, ${row.load}`,
        row.median,
        row.p90,
        row.p99,
        row.maximum,
        `${row.lost} of ${row.sent}`,
      ]),
  );
  if (rows.length === 0) return undefined;
  const headings = numberHeadings("Path", latencyHeadings);
  return section("latency", "Latency", [
    plots.length === 0 ? undefined : html`${drawings(plots)}${legend}`,
    ...folded(
      "Percentiles run by run",
      [table("Round-trip times in milliseconds, by ping", headings, rows)],
      series.length > 1,
    ),
  ]);
}
