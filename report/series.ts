import { datapathName, inText } from "../datapath/run/run-words.ts";
import type { Path, Run } from "../datapath/run/run.ts";
import { datapathTitle, verdictSentence } from "./format.ts";

/** Every run of one datapath: they share a colour, a diagram and a row in the plots. */
export interface Series {
  /** As it is written in a text: `VXLAN`. */
  readonly name: string;
  /** A CSS colour, the same for a datapath in every report. */
  readonly colour: string;
  readonly runs: readonly [Run, ...Run[]];
}

const colourOrder = ["vxlan", "native", "native:router", "geneve", "native:bgp"];

/** Runs by their datapath, in the order in which each comes first. */
export function seriesOf(runs: readonly Run[]): Series[] {
  const byName = new Map<string, [Run, ...Run[]]>();
  for (const run of runs) {
    const name = datapathName(run);
    const others = byName.get(name);
    if (others === undefined) byName.set(name, [run]);
    else others.push(run);
  }
  return [...byName].map(([name, its]) => ({
    name: inText(name),
    colour: `var(--series-${Math.max(0, colourOrder.indexOf(name)) + 1})`,
    runs: its,
  }));
}

/** Numbers of parallel TCP streams that were measured, in ascending order. */
export function streamsOf(series: readonly Series[]): number[] {
  const all = series.flatMap(({ runs }) => runs.flatMap((run) => Object.keys(run.throughput.podToPod).map(Number)));
  return [...new Set(all)].sort((a, b) => a - b);
}

/** Every TCP sample of a path and number of streams, in bits per second. */
export function tcpSamples(runs: readonly Run[], path: Path, streams: number): number[] {
  return runs.flatMap((run) => run.throughput[path]?.[String(streams)]?.samples ?? []);
}

/** A verdict and the sentence behind it; of runs that say the same, one line that counts them. */
export interface VerdictLine {
  readonly verdict: Run["verdict"];
  readonly sentence: string;
}

export function verdictLines(runs: readonly Run[]): VerdictLine[] {
  const counted = new Map<string, { run: Run; times: number }>();
  for (const run of runs) {
    const key = `${run.verdict} ${datapathTitle(run)}: ${verdictSentence(run)}`;
    const seen = counted.get(key);
    if (seen === undefined) counted.set(key, { run, times: 1 });
    else seen.times += 1;
  }
  return [...counted.values()].map(({ run, times }) => ({
    verdict: run.verdict,
    sentence: `${datapathTitle(run)}: ${verdictSentence(run)}${times === 1 ? "" : `, in each of ${times} runs`}`,
  }));
}
