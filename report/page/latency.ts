import { milliseconds } from "../format.ts";
import { html, type Markup } from "../markup.ts";
import type { Series } from "../series.ts";
import { drawings, folded, numberHeadings, section, table } from "./parts.ts";
import { byPath, latencyPlot, legend } from "./plots.ts";

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
  const rows = byPath(series, ({ runs }, path, name) =>
    runs.flatMap((run) =>
      kinds.flatMap(({ of, words }) => {
        const figures = run[of]?.[path];
        if (figures === undefined) return [];
        return [
          [
            `${name}, ${words}`,
            milliseconds(figures.medianMilliseconds),
            milliseconds(figures.p90Milliseconds),
            milliseconds(figures.p99Milliseconds),
            milliseconds(figures.maximumMilliseconds),
            `${figures.sent - figures.received} of ${figures.sent}`,
          ],
        ];
      }),
    ),
  );
  if (rows.length === 0) return undefined;
  const headings = numberHeadings("Path", ["p50", "p90", "p99", "maximum", "lost"]);
  return section("latency", "Latency", [
    plots.length === 0 ? undefined : html`${drawings(plots)}${legend}`,
    ...folded(
      "Percentiles run by run",
      [table("Round-trip times in milliseconds, by ping", headings, rows)],
      series.length > 1,
    ),
  ]);
}
