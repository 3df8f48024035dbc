import * as Plot from "@observablehq/plot";
import { DOMParser } from "linkedom";
import { z } from "zod";
import { html, Markup } from "./markup.ts";

/** One row of a plot: every sample a dot, the median a bar. */
export interface PlotRow {
  readonly label: string;
  readonly samples: readonly number[];
  readonly median?: number;
  /** A CSS colour, also `var(--name)`. */
  readonly colour: string;
  /** Drawn as a dashed line across the row: the bare nodes' median. */
  readonly baseline?: number;
}

const width = 340;
const rowHeight = 30;
const margins = { top: 6, bottom: 40 };
// Text is drawn at 12 px; a character of it is never wider than this.
const characterWidth = 7.3;

// The library's types name the browser's DOM, which this program does not have: what is used of it is parsed.
const element = z.object({ outerHTML: z.string() });

/**
 * Draws rows of samples as an SVG of 340 units' width, readable at a phone's size; colours follow the page's. The axis spans
 * the samples; its label says where it does not start at zero.
 * @param id unique in the page
 */
export function dotPlot(
  rows: readonly PlotRow[],
  about: {
    readonly id: string;
    readonly title: string;
    readonly description: string;
    readonly axis: string;
    /** A value as it is written. */
    readonly text: (value: number) => string;
  },
): Markup {
  const document: unknown = new DOMParser().parseFromString("<!doctype html><html><body></body></html>", "text/html");
  const at = rows.map((row, index) => ({ ...row, index }));
  const dots = at.flatMap(({ samples, index, colour }) =>
    // The golden ratio spreads samples over the row's height without a pattern that could be read as one.
    samples.map((value, order) => ({ value, y: index + (((order * 0.618) % 1) - 0.5) * 0.5, colour })),
  );
  const values = [...dots.map(({ value }) => value), ...at.flatMap(({ baseline }) => baseline ?? [])];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((high - low) * 0.06, high * 0.01);
  // From zero where the samples lie far apart anyway: less than that would crowd them at the axis's end.
  const start = low <= high * 0.4 ? 0 : low - room;
  // Nothing but zeros has a scale all the same.
  const end = high === 0 ? 1 : high + room;
  const medians = rows.map(({ median }) => (median === undefined ? "" : about.text(median)));
  const longest = (texts: readonly string[]): number => Math.max(...texts.map(({ length }) => length)) * characterWidth;
  const isMany = Math.max(0, ...rows.map(({ samples }) => samples.length)) > 30;
  const drawing: unknown = Plot.plot({
    document,
    width,
    height: margins.top + margins.bottom + rows.length * rowHeight,
    marginTop: margins.top,
    marginRight: longest(medians) + 12,
    marginBottom: margins.bottom,
    marginLeft: longest(rows.map(({ label }) => label)) + 12,
    style: { fontSize: "12px", overflow: "visible" },
    x: {
      domain: [start, end],
      label: start === 0 ? about.axis : `${about.axis} (axis does not start at 0)`,
      labelAnchor: "center",
      labelArrow: "none",
      ticks: 4,
      grid: true,
    },
    y: { domain: [rows.length - 0.5, -0.5], axis: null },
    marks: [
      Plot.axisY({
        ticks: at.map(({ index }) => index),
        tickFormat: (index: number) => rows[index]?.label ?? "",
        tickSize: 0,
        label: null,
      }),
      Plot.ruleX(
        at.filter(({ baseline }) => baseline !== undefined),
        {
          x: "baseline",
          y1: ({ index }: { index: number }) => index - 0.5,
          y2: ({ index }: { index: number }) => index + 0.5,
          stroke: "var(--node)",
          strokeWidth: 2,
          strokeDasharray: "4 3",
        },
      ),
      Plot.dot(dots, {
        x: "value",
        y: "y",
        r: isMany ? 1.8 : 3.5,
        fill: "colour",
        fillOpacity: isMany ? 0.45 : 0.7,
        stroke: "none",
      }),
      Plot.ruleX(
        at.filter(({ median }) => median !== undefined),
        {
          x: "median",
          y1: ({ index }: { index: number }) => index - 0.38,
          y2: ({ index }: { index: number }) => index + 0.38,
          stroke: "colour",
          strokeWidth: 3,
        },
      ),
      Plot.text(at, {
        y: "index",
        frameAnchor: "right",
        dx: 6,
        textAnchor: "start",
        fontWeight: 600,
        fill: "colour",
        text: ({ index }: { index: number }) => medians[index] ?? "",
      }),
    ],
    color: { type: "identity" },
  });
  // The svg element is written anew: with a title, and without the labels of parts that role="img" hides.
  const inner = element
    .parse(drawing)
    .outerHTML.replace(/^<svg[^>]*>/, "")
    .replace(/<\/svg>$/, "")
    .replace(/<style>[\s\S]*?<\/style>/, "")
    .replaceAll(/ aria-(?:label|hidden)="[^"]*"/g, "");
  const height = margins.top + margins.bottom + rows.length * rowHeight;
  return html`<svg
    class="plot"
    role="img"
    aria-labelledby="${about.id}-title ${about.id}-desc"
    viewBox="0 0 ${width} ${height}"
    text-anchor="middle"
    font-size="12"
    fill="currentColor"
  >
    <title id="${about.id}-title">${about.title}</title>
    <desc id="${about.id}-desc">${about.description}</desc>
    ${new Markup(inner)}
  </svg>`;
}
