import { stillCutOff, type Run } from "../../datapath/run/run.ts";
import { gigabits, labTitle, none } from "../format.ts";
import { html, type Markup } from "../markup.ts";
import { repeatCommands } from "../repeat.ts";
import { day, section } from "./parts.ts";

/** What the numbers depend on. */
export function conditionSection(runs: readonly [Run, ...Run[]]): Markup | undefined {
  const [first] = runs;
  const { conditions, nodes, versions } = first;
  const facts: readonly (readonly [string, readonly string[]])[] = [
    ["Lab", [labTitle(first)]],
    ["Processor", [`${conditions.cpuCount} × ${conditions.cpuModel}`]],
    ["Kernel", [[...new Set(nodes.map(({ kernel }) => kernel ?? first.kernel))].join(", ")]],
    ["Versions", [words(versions)]],
    ["Nodes", nodes.map(({ name, address, podCidr }) => `${name} ${address}, pods ${podCidr}`)],
    ["Samples", [sampling(first)]],
    ...Object.entries(conditions.nicDrivers ?? {}).map(([node, driver]): readonly [string, string[]] => [
      `NIC driver, ${node}`,
      [driver],
    ]),
    ...offloads(first).map(([names, text]): readonly [string, string[]] => [`Offloads, ${names}`, [text]]),
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
    ["Runs", runs.map(({ id, time, elapsedSeconds }) => `${id}: ${day(time)}, ${Math.round(elapsedSeconds)} s`)],
  ];
  return section("conditions", "Conditions", [
    html`<dl>
      ${facts.map(
        ([name, values]) =>
          html`<div>
            <dt>${name}</dt>
            ${values.map((value) => html`<dd>${value === "" ? none : value}</dd>`)}
          </div>`,
      )}
    </dl>`,
  ]);
}

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
