import type { Outcome } from "../datapath/run/comparison.ts";
import { datapathName, pathName, paths, streamsName } from "../datapath/run/run-words.ts";
import type { Check, Path, Run } from "../datapath/run/run.ts";
import { summarise } from "../datapath/run/statistics.ts";
import { packetDiagram, pathDiagram } from "./diagram.ts";
import { dotPlot, type PlotRow } from "./dot-plot.ts";
import {
  count,
  countChecks,
  datapathTitle,
  gigabits,
  labTitle,
  milliseconds,
  none,
  percent,
  plusMinusGigabits,
  range,
  threeDigits,
  variation,
  verdictSentence,
} from "./format.ts";
import { html, Markup } from "./markup.ts";
import { repeatCommands } from "./repeat.ts";
import { style } from "./style.ts";

/** Every run of one datapath: they share a colour, a diagram and a row in the plots. */
interface Series {
  readonly name: string;
  readonly colour: string;
  readonly runs: readonly [Run, ...Run[]];
}

const colours = ["var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)"];

function seriesOf(runs: readonly Run[]): Series[] {
  const byName = new Map<string, [Run, ...Run[]]>();
  for (const run of runs) {
    const name = datapathName(run);
    const others = byName.get(name);
    if (others === undefined) byName.set(name, [run]);
    else others.push(run);
  }
  return [...byName].map(([name, its], index) => ({
    name,
    colour: colours[index % colours.length] ?? "currentColor",
    runs: its,
  }));
}

/**
 * One self-contained page about runs: no script, no reference to anything outside, readable on a phone and in the dark.
 * @param runs at least one; runs of the same datapath are shown together
 * @param outcomes what may be said of two datapaths each, or why nothing may be
 */
export function reportHtml(runs: readonly [Run, ...Run[]], outcomes: readonly Outcome[] = []): string {
  const series = seriesOf(runs);
  const [first] = runs;
  const title = new Intl.ListFormat("en-GB").format(
    series.map(({ runs: [run] }, index) => (index === 0 ? datapathTitle(run) : inSentence(datapathTitle(run)))),
  );
  const isProven = runs.every(({ verdict }) => verdict === "confirmed");
  const proof = [datapathSection(series), featureSection(series), checkSection(runs)];
  const numbers = [throughputSection(series), latencySection(series)];
  const body = html`<header>
      <h1>${title}</h1>
      <p class="lead">
        ${capitalised(labTitle(first))}. ${first.nodes.length} nodes, kernel ${first.kernel}, ${day(first.time)}.
      </p>
      <ul class="verdicts">
        ${runs.map(verdictItem)}
      </ul>
    </header>
    <main>
      ${comparisonSections(outcomes)} ${glanceSection(series)} ${isProven ? [numbers, proof] : [proof, numbers]}
      ${conditionSection(runs)} ${repeatSection(runs)}
    </main>
    <footer>
      <p>
        Intervals are 95 % confidence intervals by Student&#39;s t: of the mean; of pod divided by node on the
        logarithms, paired by round; of one datapath divided by another on the logarithms, by Welch. Failed samples are
        counted and are in no figure. CPU is iperf3&#39;s own count, in percent of one core.
      </p>
    </footer>`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${html`${title}`.text} – Datapath Lab</title>
<style>${style}</style>
</head>
<body>
${body.text}
</body>
</html>
`;
}

function verdictItem(run: Run): Markup {
  return html`<li>
    <strong class="verdict ${run.verdict}">${run.verdict}</strong>
    <span>${datapathTitle(run)}: ${verdictSentence(run)}</span>
  </li>`;
}

function section(id: string, title: string, content: readonly (Markup | undefined)[]): Markup | undefined {
  const parts = content.filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    ${parts}
  </section>`;
}

interface Heading {
  readonly text: string;
  readonly isNumber?: boolean;
}

type Cell = string | Markup;

/** A table that scrolls sideways by itself where it is wider than the page; the first cell of a row names it. */
function table(caption: string, headings: readonly Heading[], rows: readonly (readonly Cell[])[]): Markup {
  const alignment = (index: number): Markup | undefined =>
    headings[index]?.isNumber === true ? html` class="number"` : undefined;
  return html`<div class="scroll" role="group" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${headings.map(({ text }, index) => html`<th scope="col" ${alignment(index)}>${text}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([name = "", ...cells]) =>
            html`<tr>
              <th scope="row">${name}</th>
              ${cells.map((cell, index) => html`<td${alignment(index + 1)}>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function list(texts: readonly string[]): Markup {
  return html`<ul>
    ${texts.map((text) => html`<li>${text}</li>`)}
  </ul>`;
}

/** Every datapath's medians in one small table: what a reader looks for first where there are several. */
function glanceSection(series: readonly Series[]): Markup | undefined {
  if (series.length < 2) return undefined;
  const medianOf = (values: readonly number[]): number | undefined => summarise(values, 0).median;
  const tcp = (path: Path, streams: number): GlanceRow => ({
    name: `TCP, ${streamsName(streams)}, ${pathName(path)}, Gbit/s`,
    cells: series.map(({ runs }) => gigabits(medianOf(tcpSamples(runs, path, streams)))),
  });
  const ratio = (streams: number): GlanceRow => ({
    name: `TCP, ${streamsName(streams)}, pod ÷ node`,
    cells: series.map(({ runs }) => {
      const [pods, nodes] = (["podToPod", "nodeToNode"] as const).map((path) =>
        medianOf(tcpSamples(runs, path, streams)),
      );
      return pods === undefined || nodes === undefined || nodes === 0 ? none : (pods / nodes).toFixed(2);
    }),
  });
  const streams = streamsOf(series);
  const rows: GlanceRow[] = [
    ...streams.flatMap((number) => [tcp("podToPod", number), tcp("nodeToNode", number), ratio(number)]),
    ...streams.slice(0, 1).map((number) => tcp("podToPodSameNode", number)),
    {
      name: "UDP lost, pod to pod",
      cells: series.map(({ runs }) =>
        percent(medianOf(runs.flatMap(({ udp }) => udp?.podToPod?.lossPercent.samples ?? []))),
      ),
    },
    ...(["latency", "latencyUnderLoad"] as const).map((kind) => ({
      name: `Round trip, pod to pod, ${kind === "latency" ? "idle" : "under load"}, ms`,
      cells: series.map(({ runs }) =>
        milliseconds(medianOf(runs.flatMap((run) => run[kind]?.podToPod.milliseconds ?? []))),
      ),
    })),
  ];
  const measured = rows.filter(({ cells }) => cells.some((cell) => cell !== none));
  if (measured.length === 0) return undefined;
  const headings = [{ text: "Median" }, ...series.map(({ name }) => ({ text: name, isNumber: true }))];
  return section("glance", "At a glance", [
    table(
      `Medians of ${series.length} datapaths`,
      headings,
      measured.map(({ name, cells }) => [name, ...cells]),
    ),
  ]);
}

interface GlanceRow {
  readonly name: string;
  readonly cells: readonly string[];
}

/** Numbers of parallel TCP streams that were measured, in ascending order. */
function streamsOf(series: readonly Series[]): number[] {
  const all = series.flatMap(({ runs }) => runs.flatMap((run) => Object.keys(run.throughput.podToPod).map(Number)));
  return [...new Set(all)].sort((a, b) => a - b);
}

/** Tables of single runs, behind one line where a table of all of them stands above. */
function folded(
  title: string,
  tables: readonly (Markup | undefined)[],
  isFolded: boolean,
): readonly (Markup | undefined)[] {
  const shown = tables.filter((one) => one !== undefined);
  if (!isFolded || shown.length === 0) return shown;
  return [
    html`<details>
      <summary>${title}</summary>
      ${shown}
    </details>`,
  ];
}

function comparisonSections(outcomes: readonly Outcome[]): (Markup | undefined)[] {
  const numbered = (id: string, index: number): string => (index === 0 ? id : `${id}-${index + 1}`);
  return outcomes.map((outcome, index) => {
    // What has to be known of several comparisons is said once, with the last of them.
    const later = outcomes.slice(index + 1).flatMap((other) => ("refused" in other ? [] : other.caveats));
    return comparisonSection(outcome, numbered("comparison", index), outcomes.length, later);
  });
}

function comparisonSection(
  comparison: Outcome,
  id: string,
  count: number,
  saidLater: readonly string[],
): Markup | undefined {
  if ("refused" in comparison) {
    return section(id, count === 1 ? "Not comparable" : `Not comparable: ${comparison.b} and ${comparison.a}`, [
      html`<p>These runs are shown beside each other, but no difference between them means anything:</p>`,
      list(comparison.refused),
    ]);
  }
  const { a, b, differences, caveats } = comparison;
  const [headline, ...others] = differences.filter(({ path }) => path === "podToPod");
  return section(id, count === 1 ? "What the numbers allow to say" : `${capitalised(b.label)} against ${a.label}`, [
    headline === undefined ? undefined : html`<p class="headline">${sentence(headline.words)}</p>`,
    others.length === 0 ? undefined : list(others.map(({ words }) => sentence(words))),
    ...caveats.filter((caveat) => !saidLater.includes(caveat)).map((caveat) => html`<p class="note">${caveat}</p>`),
  ]);
}

function sentence(words: string): string {
  return `${capitalised(words)}.`;
}

function capitalised(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

/** A title as it stands within a sentence: `native routing`, but still `VXLAN`. */
function inSentence(title: string): string {
  return title.startsWith("Native") ? `n${title.slice(1)}` : title;
}

const nodeColour = "var(--node)";

function tcpSamples(runs: readonly Run[], path: Path, streams: number): number[] {
  return runs.flatMap((run) => run.throughput[path]?.[String(streams)]?.samples ?? []);
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

const legend = html`<p class="legend">
  <span
    ><svg viewBox="0 0 16 12" aria-hidden="true"><circle cx="8" cy="6" r="4" /></svg> one sample</span
  >
  <span
    ><svg viewBox="0 0 16 12" aria-hidden="true"><path d="M8 0V12" stroke-width="3" /></svg> median</span
  >
  <span
    ><svg viewBox="0 0 16 12" aria-hidden="true"><path class="baseline" d="M8 0V12" /></svg> the same run&#39;s bare
    nodes, median</span
  >
</p>`;

function throughputSection(series: readonly Series[]): Markup | undefined {
  const streams = streamsOf(series);
  const plots = streams.map((number) => {
    const rows = series.flatMap(({ name, colour, runs }) => {
      const scaled = (path: Path): number[] => tcpSamples(runs, path, number).map((value) => value / 1e9);
      const nodes = scaled("nodeToNode");
      return [
        ...rowOf(`${name} pods`, colour, scaled("podToPod"), summarise(nodes, 0).median),
        ...rowOf("nodes", nodeColour, nodes),
      ];
    });
    if (rows.length === 0) return undefined;
    const title = `TCP, ${streamsName(number)}`;
    return html`<figure>
      <figcaption>${title}</figcaption>
      ${dotPlot(rows, {
        id: `throughput-${number}`,
        title: `${title}: throughput in Gbit/s`,
        description: describeRows(rows, threeDigits),
        axis: "Gbit/s",
      })}
    </figure>`;
  });
  const shown = plots.filter((plot) => plot !== undefined);
  return section("throughput", "Throughput", [
    shown.length === 0
      ? html`<p>Nothing was measured: this is not the datapath that was asked for.</p>`
      : html`<div class="grid">${shown}</div>
          ${legend}`,
    ...folded(
      "TCP run by run: spread, intervals, retransmits, CPU",
      series.flatMap(({ runs }) => runs.map((run) => throughputTable(run, streams, runs.length > 1))),
      series.length > 1,
    ),
    udpTable(series),
    failures(series),
  ]);
}

function throughputTable(run: Run, streams: readonly number[], isOneOfMany: boolean): Markup | undefined {
  const rows = streams.flatMap((number): Cell[][] => {
    const key = String(number);
    const measured = paths.flatMap((path) => {
      const figures = run.throughput[path]?.[key];
      if (figures === undefined) return [];
      const cpu = run.cpuPercent?.[path]?.[key];
      return [
        [
          `${streamsName(number)}, ${pathName(path)}`,
          gigabits(figures.median),
          range(figures),
          plusMinusGigabits(figures),
          variation(figures),
          count(run.retransmits[path]?.[key]?.median),
          `${cpu?.sender.median?.toFixed(0) ?? none} / ${cpu?.receiver.median?.toFixed(0) ?? none}`,
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
    "CPU % send / receive",
    "failed",
  ];
  return table(
    `${datapathTitle(run)}${which}: TCP`,
    [{ text: "Path" }, ...numbers.map((text) => ({ text, isNumber: true }))],
    rows,
  );
}

function udpTable(series: readonly Series[]): Markup | undefined {
  const rows = series.flatMap(({ name, runs }) =>
    paths.flatMap((path) => {
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
          `${name}, ${pathName(path)}`,
          gigabits(first.rateBitsPerSecond),
          gigabits(all("bitsPerSecond").median),
          percent(loss.median),
          percent(loss.maximum),
          milliseconds(all("jitterMilliseconds").median),
          String(loss.failed),
        ],
      ];
    }),
  );
  if (rows.length === 0) return undefined;
  const numbers = ["asked, Gbit/s", "received", "lost, median", "lost, worst", "jitter, ms", "failed"];
  return table("UDP at a set rate", [{ text: "Path" }, ...numbers.map((text) => ({ text, isNumber: true }))], rows);
}

function failures(series: readonly Series[]): Markup | undefined {
  const texts = series.flatMap(({ name, runs }) =>
    runs.flatMap(({ samples }) =>
      samples.flatMap(({ result, path, protocol, streams, round }) =>
        result.outcome === "failed"
          ? [
              `${name}, round ${round}, ${protocol.toUpperCase()}, ${pathName(path)}, ${streamsName(streams)}: ${result.reason}`,
            ]
          : [],
      ),
    ),
  );
  return texts.length === 0
    ? undefined
    : html`<h3>Failed samples</h3>
        ${list(texts)}`;
}

function latencySection(series: readonly Series[]): Markup | undefined {
  const kinds = [
    { of: "latency", title: "Round trip, idle" },
    { of: "latencyUnderLoad", title: "Round trip, under load" },
  ] as const;
  const plots = kinds.flatMap(({ of, title }) => {
    const rows = series.flatMap(({ name, colour, runs }) => {
      const samples = (path: Path): number[] => runs.flatMap((run) => run[of]?.[path]?.milliseconds ?? []);
      const nodes = samples("nodeToNode");
      return [
        ...rowOf(`${name} pods`, colour, samples("podToPod"), summarise(nodes, 0).median),
        ...rowOf("nodes", nodeColour, nodes),
      ];
    });
    if (rows.length === 0) return [];
    return [
      html`<figure>
        <figcaption>${title}</figcaption>
        ${dotPlot(rows, {
          id: `plot-${of}`,
          title: `${title} in milliseconds`,
          description: describeRows(rows, (value) => value.toFixed(3)),
          axis: "ms",
        })}
      </figure>`,
    ];
  });
  const rows = series.flatMap(({ name, runs }) =>
    runs.flatMap((run) =>
      kinds.flatMap(({ of, title }) =>
        paths.flatMap((path) => {
          const figures = run[of]?.[path];
          if (figures === undefined) return [];
          return [
            [
              `${name}, ${pathName(path)}, ${title.replace("Round trip, ", "")}`,
              milliseconds(figures.medianMilliseconds),
              milliseconds(figures.p90Milliseconds),
              milliseconds(figures.p99Milliseconds),
              milliseconds(figures.maximumMilliseconds),
              `${figures.sent - figures.received} of ${figures.sent}`,
            ],
          ];
        }),
      ),
    ),
  );
  if (rows.length === 0) return undefined;
  const numbers = ["p50", "p90", "p99", "maximum", "lost"];
  return section("latency", "Latency", [
    plots.length === 0
      ? undefined
      : html`<div class="grid">${plots}</div>
          ${legend}`,
    ...folded(
      "Percentiles run by run",
      [
        table(
          "Round-trip times in milliseconds, by ping",
          [{ text: "Path" }, ...numbers.map((text) => ({ text, isNumber: true }))],
          rows,
        ),
      ],
      series.length > 1,
    ),
  ]);
}

function datapathSection(series: readonly Series[]): Markup | undefined {
  const figure = (title: string, drawing: Markup | undefined): Markup[] =>
    drawing === undefined
      ? []
      : [
          html`<figure>
            <figcaption>${title}</figcaption>
            ${drawing}
          </figure>`,
        ];
  const ways = series.flatMap(({ runs: [run] }, index) =>
    figure(datapathTitle(run), pathDiagram(run, `path-${index}`)),
  );
  const packets = series.flatMap(({ runs: [run] }, index) =>
    figure(`${datapathTitle(run)}: on the wire`, packetDiagram(run, `packet-${index}`)),
  );
  // Ways beside ways and packets beside packets, so that datapaths compare at a glance; a single one's beside each other.
  const grids = series.length === 1 ? [[...ways, ...packets]] : [ways, packets];
  return section("datapaths", "The datapath as found", [
    ...grids.map((figures) =>
      figures.length === 0
        ? undefined
        : html`<div class="${figures.length % 3 === 0 ? "grid of-three" : "grid"}">${figures}</div>`,
    ),
  ]);
}

function featureSection(series: readonly Series[]): Markup | undefined {
  const rows = series.flatMap(({ runs: [run] }) =>
    (run.features ?? []).map(({ name, requested, effective, reason }): Cell[] => [
      series.length === 1 ? name : `${datapathName(run)}: ${name}`,
      requested,
      effective ?? none,
      effective === undefined
        ? html`<span class="unknown">not seen</span>${reason === undefined ? "" : `: ${reason}`}`
        : effective === requested
          ? html`<span class="held">as asked</span>`
          : html`<span class="failed">differs</span>${reason === undefined ? "" : `: ${reason}`}`,
    ]),
  );
  return section("features", "Requested and in effect", [
    rows.length === 0
      ? undefined
      : table(
          "Features of the datapath",
          ["Feature", "Requested", "In effect", ""].map((text) => ({ text: text === "" ? "Outcome" : text })),
          rows,
        ),
  ]);
}

const outcome = (ok: Check["ok"]): Markup =>
  ok === true
    ? html`<span class="held">holds</span>`
    : ok === false
      ? html`<span class="failed">fails</span>`
      : html`<span class="unknown">not judged</span>`;

function checkSection(runs: readonly Run[]): Markup | undefined {
  const headings = ["Node", "Check", "Expected", "Found", "Outcome"].map((text) => ({ text }));
  const row = ({ node, name, expected, found, ok }: Check): Cell[] => [node, name, expected, found, outcome(ok)];
  return section(
    "checks",
    "Checks",
    runs.map((run) => {
      const { all, held } = countChecks(run);
      const failed = run.checks.filter(({ ok }) => ok === false);
      const unknown = run.checks.filter(({ ok }) => ok === null);
      const open =
        failed.length + unknown.length > 0
          ? table(`${run.id}: what does not hold`, headings, [...failed, ...unknown].map(row))
          : undefined;
      return html`<h3>${datapathTitle(run)}: ${held} of ${all} hold</h3>
        ${open}
        <details>
          <summary>The ${held} checks that hold (${run.id})</summary>
          ${table(`${run.id}: what holds`, headings, run.checks.filter(({ ok }) => ok === true).map(row))}
        </details>`;
    }),
  );
}

function conditionSection(runs: readonly [Run, ...Run[]]): Markup | undefined {
  const [first] = runs;
  const { conditions, nodes, versions } = first;
  const { settings } = conditions;
  const facts: readonly (readonly [string, string])[] = [
    ["Lab", labTitle(first)],
    ["Processor", `${conditions.cpuCount} × ${conditions.cpuModel}`],
    ["Kernel", [...new Set(nodes.map(({ kernel }) => kernel ?? first.kernel))].join(", ")],
    [
      "Versions",
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ],
    ["Nodes", nodes.map(({ name, address, podCidr }) => `${name} ${address} (pods ${podCidr})`).join(", ")],
    [
      "Samples",
      `${settings.samples} rounds of ${settings.durationSeconds} s at ${settings.streams.join(" and ")} TCP streams, pod and node interleaved` +
        (settings.warmUpSeconds === undefined ? "" : `, after ${settings.warmUpSeconds} s of warm-up`) +
        (settings.udpRateBitsPerSecond === undefined
          ? ""
          : `; UDP at ${gigabits(settings.udpRateBitsPerSecond)} Gbit/s`),
    ],
    ...Object.entries(conditions.nicDrivers ?? {}).map(([node, driver]): readonly [string, string] => [
      `NIC driver, ${node}`,
      driver,
    ]),
    ...Object.entries(conditions.offloads).map(([node, offloads]): readonly [string, string] => [
      `Offloads, ${node}`,
      Object.entries(offloads)
        .map(([name, value]) => `${name} ${value}`)
        .join(", "),
    ]),
    ...runs.flatMap(({ modeChange }): (readonly [string, string])[] =>
      modeChange === undefined
        ? []
        : [
            [
              `Change, ${modeChange.from} to ${modeChange.to}`,
              `pods cut off for ${Math.round(modeChange.outageMilliseconds)} ms`,
            ],
          ],
    ),
    [
      "Runs",
      runs.map(({ id, time, elapsedSeconds }) => `${id} (${day(time)}, ${Math.round(elapsedSeconds)} s)`).join(", "),
    ],
  ];
  return section("conditions", "Conditions", [
    html`<dl>
      ${facts.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value === "" ? none : value}</dd>
          </div>`,
      )}
    </dl>`,
  ]);
}

function repeatSection(runs: readonly Run[]): Markup | undefined {
  return section("repeat", "How to repeat it", [
    html`<pre tabindex="0" role="group" aria-label="Commands"><code>${repeatCommands(runs).join("\n")}</code></pre>`,
  ]);
}

/** `2026-11-23 09:00 UTC` */
function day(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}
