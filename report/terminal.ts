import { styleText } from "node:util";
import type { Outcome } from "../datapath/run/comparison.ts";
import { inText, pathName, streamsName } from "../datapath/run/run-words.ts";
import { stillCutOff, type Check, type Run, type Verdict } from "../datapath/run/run.ts";
import {
  agentWarnings,
  datapathTitle,
  failedSamples,
  gigabits,
  kernelsOf,
  labTitle,
  milliseconds,
  none,
  threeDigits,
  verdictSentence,
} from "./format.ts";
import { latencyRows, tcpRows, udpRows } from "./figure-rows.ts";
import { textTable, wrap, type Column } from "./text-table.ts";

/** How text for a terminal is laid out. */
export interface TerminalOptions {
  readonly colour: boolean;
  /** Width of the terminal in characters. */
  readonly columns: number;
  /** Where the run is kept, to be named at the end. */
  readonly file?: string;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const verdictStyle: Readonly<Record<Verdict, Style>> = {
  confirmed: ["bold", "green"],
  contradicted: ["bold", "red"],
  incomplete: ["bold", "yellow"],
};

const painter =
  ({ colour }: TerminalOptions): Paint =>
  (style, text) =>
    colour ? styleText(style, text, { validateStream: false }) : text;

/** A run among others: its verdict, which checks speak against it, and where it is kept. */
export function verdictText(run: Run, options: TerminalOptions): string {
  const paint = painter(options);
  const kept = options.file === undefined ? [] : [paint("dim", `  ${options.file}`)];
  return `${[verdictLine(run, paint), ...kept, ...checkLines(run, options.columns, paint)].join("\n")}\n`;
}

function verdictLine(run: Run, paint: Paint): string {
  return `${paint(verdictStyle[run.verdict], run.verdict.toUpperCase())}  ${datapathTitle(run)}: ${verdictSentence(run)}`;
}

/** A run's outcome for a person at a terminal: verdict, what differs from what was asked for, and the numbers. */
export function summary(run: Run, options: TerminalOptions): string {
  const { columns, file } = options;
  const paint = painter(options);
  const heading = (text: string): string => paint("bold", text);
  const sections = [
    [
      verdictLine(run, paint),
      ...[labTitle(run), machineTitle(run)].flatMap((line) => wrap(line, columns)).map((line) => paint("dim", line)),
    ],
    checkLines(run, columns, paint),
    section(heading("Requested and in effect"), featureLines(run, columns, paint)),
    section(
      heading("What agents logged"),
      agentWarnings(run).flatMap((text) => wrap(text, columns)),
    ),
    section(
      heading(`TCP throughput, Gbit/s`) + paint("dim", `  ${sampling(run)}`),
      throughputLines(run, columns, paint),
    ),
    section(heading("UDP"), udpLines(run, columns)),
    section(heading("Round trip, ms"), latencyLines(run, columns)),
    failedSamples(run).flatMap((text) => wrap(`failed: ${text}`, columns).map((line) => paint("red", line))),
    run.modeChange === undefined
      ? []
      : [
          `Pods could not reach each other for ${Math.round(run.modeChange.outageMilliseconds)} ms while ` +
            `${run.modeChange.from} became ${run.modeChange.to}${stillCutOff(run.modeChange)}.`,
        ],
    file === undefined ? [] : [paint("dim", `Run kept in ${file}`)],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

/** What two datapaths' runs allow to say, for a person at a terminal. */
export function comparisonText(comparison: Outcome, options: TerminalOptions): string {
  const paint = painter(options);
  const bullets = (texts: readonly string[]): string[] =>
    texts.flatMap((text) => wrap(text, options.columns - 2).map((line, at) => `${at === 0 ? "- " : "  "}${line}`));
  if ("refused" in comparison) {
    const title = paint("bold", `${inText(comparison.b)} and ${inText(comparison.a)} are not comparable`);
    return `${[title, ...bullets(comparison.refused)].join("\n")}\n`;
  }
  const { a, b, differences, caveats } = comparison;
  const table: Column[] = [
    { title: "", align: "left" },
    { title: a.label, align: "right" },
    { title: b.label, align: "right" },
  ];
  const rows = differences.map(({ quantity, protocol, path, streams, medians }) => {
    const text = quantity === "throughput" ? gigabits : milliseconds;
    const what = [
      quantity === "throughput" ? `${protocol.toUpperCase()} Gbit/s` : "round trip ms",
      pathName(path),
      ...(streams === undefined ? [] : [streamsName(streams)]),
    ];
    return [what.join(", "), text(medians.a), text(medians.b)];
  });
  // Labels of two runs of one datapath are long: the words name them, the table need not be cut.
  const lines = [
    paint("bold", `${b.label} against ${a.label}`),
    ...bullets(differences.filter(({ path }) => path === "podToPod").map(({ words }) => words)),
    "",
    paint("bold", "Medians"),
    ...textTable(table, rows, options.columns),
    ...(caveats.length === 0 ? [] : ["", ...bullets(caveats)]),
  ];
  return `${lines.join("\n")}\n`;
}

const section = (title: string, lines: readonly string[]): string[] => (lines.length === 0 ? [] : [title, ...lines]);

/** `kernel 6.1.0-18-amd64; 2 × AMD EPYC 7763 64-Core Processor` */
function machineTitle(run: Run): string {
  const { cpuCount, cpuModel } = run.conditions;
  const kernels = kernelsOf(run);
  return `${kernels.includes(", ") ? "kernels" : "kernel"} ${kernels}; ${cpuCount} × ${cpuModel}`;
}

function sampling({ conditions: { settings } }: Run): string {
  return `median of ${settings.samples} × ${threeDigits(settings.durationSeconds).replace(/\.?0+$/, "")} s`;
}

function checkLines({ checks }: Run, columns: number, paint: Paint): string[] {
  const show = ({ node, name, expected, found, ok }: Check): string[] => [
    `${ok === null ? paint("yellow", "?") : paint("red", "✗")} ${paint("bold", node)}: ${name}`,
    ...wrap(`expected: ${expected}`, columns - 4).map((line) => `    ${line}`),
    ...wrap(`found:    ${found}`, columns - 4).map((line) => `    ${line}`),
  ];
  return [...checks.filter(({ ok }) => ok === false), ...checks.filter(({ ok }) => ok === null)].flatMap(show);
}

function featureLines({ features = [] }: Run, columns: number, paint: Paint): string[] {
  if (features.length === 0) return [];
  const rows = features.map(({ name, requested, effective }) => [name, requested, effective ?? "not seen"]);
  const table: Column[] = [
    { title: "", align: "left" },
    { title: "requested", align: "left" },
    { title: "in effect", align: "left" },
  ];
  const [titles = "", ...lines] = textTable(table, rows, columns);
  const isTooWide = [titles, ...lines].some((line) => line.length > columns);
  const body = isTooWide
    ? rows.map(([name = "", requested = "", effective = ""]) =>
        [name, `  requested ${requested}`, `  in effect ${effective}`].join("\n"),
      )
    : lines;
  return [
    ...(isTooWide ? [] : [paint("dim", titles)]),
    ...features.flatMap(({ requested, effective, reason }, index) => {
      const line = body[index] ?? "";
      return [
        requested === effective ? line : paint(effective === undefined ? "yellow" : "red", line),
        ...(reason === undefined ? [] : wrap(reason, columns - 4).map((text) => `    ${text}`)),
      ];
    }),
  ];
}

function throughputLines(run: Run, columns: number, paint: Paint): string[] {
  const table: Column[] = [
    { title: "", align: "left" },
    { title: "median", align: "right" },
    { title: "min – max", align: "right", optional: 2 },
    { title: "95 %", align: "right", optional: 5 },
    { title: "spread", align: "right", optional: 1 },
    { title: "retransmits", align: "right", optional: 3 },
    { title: "CPU % send/receive", align: "right", optional: 4 },
    { title: "failed", align: "right", optional: 6 },
  ];
  const found = tcpRows(run);
  const rows = found.map(({ name, median, range, interval, variation, retransmits, cpu, failed, isRatio }) => [
    name,
    median,
    range,
    // Wider than the others': it stands below the table.
    isRatio ? "" : interval,
    variation,
    retransmits,
    cpu,
    failed === "0" ? "" : failed,
  ]);
  const anyFailed = rows.some((row) => (row[7] ?? "") !== "");
  const shownTable = anyFailed ? table : table.slice(0, 7);
  const [titles = "", ...lines] = textTable(shownTable, rows, columns);
  if (lines.length === 0) return [];
  const intervals = found.flatMap(({ name, interval, isRatio }) =>
    isRatio && interval !== none ? [`${name.replace(", pod ÷ node", "")} ${interval}`] : [],
  );
  return [
    paint("dim", titles),
    ...lines.map((line) => (line.includes("÷") ? paint("bold", line) : line)),
    ...(intervals.length === 0
      ? []
      : wrap(`pod ÷ node, 95 % interval: ${intervals.join(", ")}`, columns).map((line) => paint("dim", line))),
  ];
}

function udpLines(run: Run, columns: number): string[] {
  const table: Column[] = [
    { title: "", align: "left" },
    { title: "asked Gbit/s", align: "right" },
    { title: "received", align: "right" },
    { title: "lost", align: "right" },
    { title: "jitter ms", align: "right", optional: 1 },
    { title: "failed", align: "right", optional: 2 },
  ];
  const rows = udpRows([run]).map(({ name, asked, received, lost, jitter, failed }) => [
    name,
    asked,
    received,
    lost,
    jitter,
    failed === "0" ? "" : failed,
  ]);
  const anyFailed = rows.some((row) => row.at(-1) !== "");
  return rows.length === 0 ? [] : textTable(anyFailed ? table : table.slice(0, -1), rows, columns);
}

function latencyLines(run: Run, columns: number): string[] {
  const table: Column[] = [
    { title: "", align: "left" },
    { title: "median", align: "right" },
    { title: "p90", align: "right", optional: 2 },
    { title: "p99", align: "right", optional: 1 },
    { title: "max", align: "right", optional: 3 },
    { title: "lost", align: "right", optional: 4 },
  ];
  const found = latencyRows(run);
  const isOneKind = found.every(({ load }) => load === "idle");
  const rows = found.map(({ name, load, median, p90, p99, maximum, lost, sent }) => [
    isOneKind ? name : `${name}, ${load}`,
    median,
    p90,
    p99,
    maximum,
    `${lost}/${sent}`,
  ]);
  return rows.length === 0 ? [] : textTable(table, rows, columns);
}
