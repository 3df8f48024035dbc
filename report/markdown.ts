import type { Outcome } from "../datapath/run/comparison.ts";
import { pathName, paths, streamsName } from "../datapath/run/run-words.ts";
import type { Run } from "../datapath/run/run.ts";
import {
  count,
  datapathTitle,
  gigabits,
  labTitle,
  milliseconds,
  none,
  percent,
  range,
  ratioWithInterval,
  variation,
  verdictSentence,
} from "./format.ts";
import { repeatCommands } from "./repeat.ts";

/** Runs as GitHub-flavoured Markdown, short enough for a pull request: verdicts, what may be said, figures, conditions. */
export function reportMarkdown(runs: readonly [Run, ...Run[]], outcomes: readonly Outcome[] = []): string {
  const [first] = runs;
  const { cpuCount, cpuModel, settings } = first.conditions;
  const blocks = [
    "## Datapath Lab",
    runs.map((run) => `- **${run.verdict}** ${text(datapathTitle(run))}: ${text(verdictSentence(run))}`).join("\n"),
    ...outcomes.map(comparisonBlock),
    ...runs.flatMap((run) => [faults(run), features(run), figures(run), latency(run)]),
    [
      `${text(labTitle(first))}; ${first.nodes.length} nodes, kernel ${text(first.kernel)}, ${cpuCount} × ${text(cpuModel)};`,
      `${settings.samples} rounds of ${settings.durationSeconds} s; ${first.time.slice(0, 16).replace("T", " ")} UTC.`,
      "Intervals are 95 % confidence intervals.",
    ].join(" "),
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

function comparisonBlock(comparison: Outcome): string {
  if ("refused" in comparison) {
    return `${text(comparison.b)} and ${text(comparison.a)} are not comparable:\n${comparison.refused.map((reason) => `- ${text(reason)}`).join("\n")}`;
  }
  const { differences, caveats } = comparison;
  const [headline, ...others] = differences.filter(({ path }) => path === "podToPod");
  return [
    ...(headline === undefined ? [] : [`**${text(headline.words)}**`, ""]),
    ...others.map(({ words }) => `- ${text(words)}`),
    ...(caveats.length === 0 ? [] : ["", ...caveats.map((caveat) => `> ${text(caveat)}`)]),
  ].join("\n");
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

function features(run: Run): string | undefined {
  const { features: all = [] } = run;
  if (all.length === 0) return undefined;
  return table(
    [text(datapathTitle(run)), "Requested", "In effect"],
    all.map(({ name, requested, effective, reason }) => {
      const note = requested === effective ? "" : effective === undefined ? "" : " ⚠";
      return [name, requested, `${effective ?? "not seen"}${note}${reason === undefined ? "" : ` (${reason})`}`];
    }),
    "words",
  );
}

function figures(run: Run): string | undefined {
  const streams = [...new Set(paths.flatMap((path) => Object.keys(run.throughput[path] ?? {})))];
  const rows = streams.flatMap((number) => [
    ...paths.flatMap((path) => {
      const one = run.throughput[path]?.[number];
      return one === undefined
        ? []
        : [
            [
              `${streamsName(Number(number))}, ${pathName(path)}`,
              gigabits(one.median),
              range(one),
              variation(one),
              count(run.retransmits[path]?.[number]?.median),
              String(one.failed),
            ],
          ];
    }),
    [
      `${streamsName(Number(number))}, pod ÷ node`,
      ratioWithInterval(run.ratio[number], run.ratioConfidence?.[number]),
      "",
      "",
      "",
      "",
    ],
  ]);
  const udp = paths.flatMap((path) => {
    const one = run.udp?.[path];
    return one === undefined
      ? []
      : [
          [
            `UDP at ${gigabits(one.rateBitsPerSecond)} Gbit/s, ${pathName(path)}, ${percent(one.lossPercent.median)} lost`,
            gigabits(one.bitsPerSecond.median),
            range(one.bitsPerSecond),
            variation(one.bitsPerSecond),
            none,
            String(one.bitsPerSecond.failed),
          ],
        ];
  });
  if (rows.length + udp.length === 0) return undefined;
  return table(
    [text(datapathTitle(run)), "Gbit/s, median", "min – max", "variation", "retransmits", "failed"],
    [...rows, ...udp],
    "numbers",
  );
}

function latency(run: Run): string | undefined {
  const rows = (["latency", "latencyUnderLoad"] as const).flatMap((kind) =>
    paths.flatMap((path) => {
      const one = run[kind]?.[path];
      return one === undefined
        ? []
        : [
            [
              `${pathName(path)}, ${kind === "latency" ? "idle" : "under load"}`,
              milliseconds(one.medianMilliseconds),
              milliseconds(one.p90Milliseconds),
              milliseconds(one.p99Milliseconds),
              `${one.sent - one.received} of ${one.sent}`,
            ],
          ];
    }),
  );
  if (rows.length === 0) return undefined;
  return table([`${text(datapathTitle(run))}, round trip in ms`, "p50", "p90", "p99", "lost"], rows, "numbers");
}
