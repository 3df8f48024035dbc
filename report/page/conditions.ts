import { stillCutOff, type Run } from "../../datapath/run/run.ts";
import { gigabits, kernelsOf, labTitle, none } from "../format.ts";
import { html, type Markup } from "../markup.ts";
import { repeatCommands } from "../repeat.ts";
import type { Series } from "../series.ts";
import { day, section } from "./parts.ts";

/** What the numbers depend on; what is not the same in every run is told side by side. */
export function conditionSection(series: readonly Series[]): Markup | undefined {
  const runs = series.flatMap((one) => one.runs);
  const facts: readonly (readonly [string, readonly string[]])[] = [
    ["Lab", sideBySide(series, (run) => [labTitle(run)])],
    ["Cluster", sideBySide(series, ({ lab }) => (lab.cluster === undefined ? [] : [lab.cluster]))],
    ["Processor", sideBySide(series, ({ conditions }) => [`${conditions.cpuCount} × ${conditions.cpuModel}`])],
    ["Kernel", sideBySide(series, (run) => [kernelsOf(run)])],
    ["Versions", sideBySide(series, ({ versions }) => [words(versions)])],
    ["Nodes", sideBySide(series, ({ nodes }) => nodes.map(nodeWords))],
    [
      "Nodes left out",
      sideBySide(series, ({ omittedNodes = [] }) => omittedNodes.map(({ name, reason }) => `${name}: ${reason}`)),
    ],
    ["Samples", sideBySide(series, (run) => [sampling(run)])],
    ["NIC drivers", sideBySide(series, ({ conditions }) => Object.entries(conditions.nicDrivers ?? {}).map(named))],
    ["Offloads", sideBySide(series, (run) => offloads(run).map(named))],
    ...runs.flatMap(({ modeChange }): (readonly [string, string[]])[] =>
      modeChange === undefined
        ? []
        : [
            [
              `Change, ${modeChange.from} to ${modeChange.to}`,
              [`pods cut off for ${Math.round(modeChange.outageMilliseconds)} ms${stillCutOff(modeChange)}`],
            ],
          ],
    ),
    [
      "Runs",
      series.flatMap(({ name, runs: its }) =>
        its.map(({ id, time, elapsedSeconds }) => `${name}: ${id}, ${day(time)}, ${Math.round(elapsedSeconds)} s`),
      ),
    ],
  ];
  return section("conditions", "Conditions", [
    html`<dl>
      ${facts
        .filter(([, values]) => values.length > 0)
        .map(
          ([name, values]) =>
            html`<div>
              <dt>${name}</dt>
              ${values.map((value) => html`<dd>${value === "" ? none : value}</dd>`)}
            </div>`,
        )}
    </dl>`,
  ]);
}

/** The lines of every run where they agree, else each datapath's, or each run's, with its name in front. */
function sideBySide(series: readonly Series[], of: (run: Run) => readonly string[]): readonly string[] {
  const distinct = (runs: readonly Run[]): readonly Run[] =>
    runs.filter((run, index) => runs.findIndex((other) => of(other).join("\n") === of(run).join("\n")) === index);
  const [first, ...others] = distinct(series.flatMap(({ runs }) => runs));
  if (first === undefined) return [];
  if (others.length === 0) return of(first);
  return series.flatMap(({ name, runs }) => {
    const its = distinct(runs);
    return its.flatMap((run) => of(run).map((line) => `${its.length === 1 ? name : run.id}: ${line}`));
  });
}

function nodeWords({ name, address, podCidr, device }: Run["nodes"][number]): string {
  return `${name} ${address}${device === undefined ? "" : ` on ${device}`}, pods ${podCidr}`;
}

const named = ([name, text]: readonly [string, string]): string => `${name}: ${text === "" ? none : text}`;

/** `5 rounds of 2 s at 1 and 4 TCP streams, …` */
function sampling({ conditions: { settings } }: Run): string {
  const { samples, durationSeconds, streams, warmUpSeconds, udpRateBitsPerSecond } = settings;
  return (
    `${samples} rounds of ${durationSeconds} s at ${streams.join(" and ")} TCP streams, pod and node interleaved` +
    (warmUpSeconds === undefined ? "" : `, after ${warmUpSeconds} s of warm-up`) +
    (udpRateBitsPerSecond === undefined ? "" : `; UDP at ${gigabits(udpRateBitsPerSecond)} Gbit/s`)
  );
}

/** Offload settings with the nodes whose NIC has them. */
export function offloads({ conditions }: Run): [names: string, settings: string][] {
  const nodesWith = new Map<string, string[]>();
  for (const [node, settings] of Object.entries(conditions.offloads)) {
    const text = words(settings);
    nodesWith.set(text, [...(nodesWith.get(text) ?? []), node]);
  }
  return [...nodesWith].map(([text, nodes]) => [nodes.join(" and "), text]);
}

function words(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** The commands that measure the same again. */
export function repeatSection(runs: readonly Run[]): Markup | undefined {
  return section("repeat", "How to repeat it", [
    html`<pre tabindex="0" role="group" aria-label="Commands"><code>${repeatCommands(runs).join("\n")}</code></pre>`,
  ]);
}
