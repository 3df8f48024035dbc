import type { Run } from "../datapath/run/run.ts";
import { streamsName } from "../datapath/run/run-words.ts";
import { packetDiagram, pathDiagram } from "./diagram.ts";
import { datapathTitle } from "./format.ts";
import { html, Markup } from "./markup.ts";
import { throughputPlot } from "./page/plots.ts";
import { seriesOf, streamsOf } from "./series.ts";
import { drawingStyle } from "./style.ts";

/** A picture for slides and readme files: one SVG file, light and dark. */
export interface Picture {
  readonly name: string;
  readonly svg: string;
}

/** Drawings above each other, each with what it shows. */
type Column = readonly { readonly caption: string; readonly drawing: Markup | undefined }[];

/** The datapaths of runs as found, and their throughput; what can't be drawn is left out. */
export function pictures(runs: readonly Run[]): Picture[] {
  const series = seriesOf(runs);
  const datapaths = series.map(({ runs: [run] }, index): Column => [
    { caption: datapathTitle(run), drawing: pathDiagram(run, `path-${index}`) },
    { caption: "A full packet on the wire", drawing: packetDiagram(run, `packet-${index}`) },
  ]);
  const throughput = streamsOf(series).map((streams): Column => {
    const caption = `TCP, ${streamsName(streams)}`;
    return [{ caption, drawing: throughputPlot(series, streams, caption) }];
  });
  const names = series.map(({ name }) => name).join(", ");
  return [
    { name: "datapaths.svg", picture: picture(`Datapaths as found: ${names}`, datapaths, "") },
    {
      name: "throughput.svg",
      picture: picture(
        `Throughput: ${names}`,
        throughput,
        "A dot is one sample, a bar the median, a dashed line the median of the same runs' bare nodes.",
      ),
    },
  ].flatMap(({ name, picture: svg }) => (svg === undefined ? [] : [{ name, svg }]));
}

const columnWidth = 340;
const gap = 28;
const captionHeight = 30;
const noteHeight = 24;

function picture(title: string, columns: readonly Column[], note: string): string | undefined {
  const drawn = columns
    .map((column) =>
      column.flatMap(({ caption, drawing }) =>
        drawing === undefined ? [] : [{ caption, drawing, height: heightOf(drawing) }],
      ),
    )
    .filter((column) => column.length > 0);
  if (drawn.length === 0) return undefined;
  const rows = Math.max(...drawn.map(({ length }) => length));
  const heights = Array.from({ length: rows }, (_, row) =>
    Math.max(...drawn.map((column) => column[row]?.height ?? 0)),
  );
  const topOf = (row: number): number =>
    gap / 2 + heights.slice(0, row).reduce((sum, height) => sum + height + captionHeight + gap / 2, 0);
  const width = drawn.length * (columnWidth + gap) + gap;
  const height = topOf(rows) + (note === "" ? 0 : noteHeight) + gap / 4;
  const parts = drawn.flatMap((column, index) => {
    const x = gap + index * (columnWidth + gap);
    return column.map(({ caption, drawing, height: own }, row) => {
      const y = topOf(row);
      const placed = drawing.text.replace(
        /^<svg/,
        `<svg x="${x}" y="${(y + captionHeight).toFixed(1)}" width="${columnWidth}" height="${own}"`,
      );
      return html`<text x="${x}" y="${(y + 17).toFixed(1)}" font-size="14" font-weight="600">${caption}</text>
        ${new Markup(placed)}`;
    });
  });
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    role="img"
    aria-labelledby="picture-title"
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    font-family='system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
    fill="currentColor"
  >
    <title id="picture-title">${title}</title>
    <style>
      ${new Markup(drawingStyle.replaceAll(">", "&gt;"))} :root {
        color: var(--text);
      }
      .back {
        fill: var(--surface);
        stroke: var(--rule);
      }
    </style>
    <rect class="back" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" />
    ${parts} ${note === "" ? undefined : html`<text x="${gap}" y="${height - gap / 2}" font-size="12">${note}</text>`}
  </svg>`.text;
}

/** Of a drawing of this project: the last number of its viewBox. */
function heightOf({ text }: Markup): number {
  const height = /viewBox="0 0 \S+ (?<height>[\d.]+)"/.exec(text)?.groups?.["height"];
  if (height === undefined) throw new Error("a drawing without a viewBox");
  return Number(height);
}
