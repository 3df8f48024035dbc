import { pathName, streamsName } from "../datapath/run/run-words.ts";
import type { Path } from "../datapath/run/run.ts";
import { factorOfPairs, ratiosByRound, summarise } from "../datapath/run/statistics.ts";
import { count, gigabits, milliseconds, none, percent } from "./format.ts";
import { streamsOf, tcpSamples, type Series } from "./series.ts";

/** One quantity, and its median for each datapath. */
export interface GlanceRow {
  readonly name: string;
  readonly cells: readonly string[];
}

/** Every datapath's medians beside each other: what a reader looks for first where there are several. */
export function glanceRows(series: readonly Series[]): GlanceRow[] {
  const medianOf = (values: readonly number[]): number | undefined => summarise(values, 0).median;
  const each = (name: string, cell: (runs: Series["runs"]) => string): GlanceRow => ({
    name,
    cells: series.map(({ runs }) => cell(runs)),
  });
  const tcp = (path: Path, streams: number): GlanceRow =>
    each(`TCP, ${streamsName(streams)}, ${pathName(path)}, Gbit/s`, (runs) =>
      gigabits(medianOf(tcpSamples(runs, path, streams))),
    );
  const beside = (streams: number): GlanceRow[] => {
    const key = String(streams);
    return [
      each(`TCP, ${streamsName(streams)}, pod ÷ node`, (runs) => {
        const ratio = factorOfPairs(runs.flatMap((run) => ratiosByRound(run.samples, streams)));
        return ratio === undefined ? none : ratio.factor.toFixed(2);
      }),
      each(`TCP, ${streamsName(streams)}, retransmits, pod to pod`, (runs) =>
        count(medianOf(runs.flatMap(({ retransmits }) => retransmits.podToPod[key]?.samples ?? []))),
      ),
      each(`TCP, ${streamsName(streams)}, CPU % of sending/receiving pod`, (runs) => {
        const [sender, receiver] = (["sender", "receiver"] as const).map((end) =>
          medianOf(runs.flatMap(({ cpuPercent }) => cpuPercent?.podToPod[key]?.[end].samples ?? [])),
        );
        return sender === undefined || receiver === undefined ? none : `${sender.toFixed(0)}/${receiver.toFixed(0)}`;
      }),
    ];
  };
  const streams = streamsOf(series);
  const rows = [
    ...streams.flatMap((number) => [tcp("podToPod", number), tcp("nodeToNode", number), ...beside(number)]),
    ...streams.slice(0, 1).map((number) => tcp("podToPodSameNode", number)),
    each("UDP lost, pod to pod", (runs) =>
      percent(medianOf(runs.flatMap(({ udp }) => udp?.podToPod?.lossPercent.samples ?? []))),
    ),
    ...(["latency", "latencyUnderLoad"] as const).map((kind) =>
      each(`Round trip, pod to pod, ${kind === "latency" ? "idle" : "under load"}, ms`, (runs) =>
        milliseconds(medianOf(runs.flatMap((run) => run[kind]?.podToPod.milliseconds ?? []))),
      ),
    ),
  ];
  return rows.filter(({ cells }) => cells.some((cell) => cell !== none));
}
