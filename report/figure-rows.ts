import { pathName, paths, streamsName } from "../datapath/run/run-words.ts";
import type { Run } from "../datapath/run/run.ts";
import { summarise } from "../datapath/run/statistics.ts";
import { count, cpuUse, gigabits, milliseconds, none, percent, plusMinusGigabits, range, variation } from "./format.ts";

// What tables of figures say, cell by cell; which cells there is room for is each table's own.

/** Headings of a row's cells where all of them are shown, in this order. */
export const tcpHeadings = [
  "Gbit/s, median",
  "min – max",
  "95 % interval",
  "variation",
  "retransmits",
  "CPU % send/receive",
  "failed",
];
export const udpHeadings = ["lost, median", "lost, worst", "jitter, ms", "asked, Gbit/s", "received", "failed"];
export const latencyHeadings = ["p50", "p90", "p99", "maximum", "lost"];

export interface TcpRow {
  /** `1 stream, pod to pod`; of the ratio `1 stream, pod ÷ node`. */
  readonly name: string;
  /** Gbit/s, or the ratio. */
  readonly median: string;
  readonly range: string;
  readonly interval: string;
  readonly variation: string;
  readonly retransmits: string;
  readonly cpu: string;
  readonly failed: string;
  readonly isRatio: boolean;
}

/** TCP of one run: every path with each number of streams, and pods divided by nodes. */
export function tcpRows(run: Run): TcpRow[] {
  const streams = [...new Set(paths.flatMap((path) => Object.keys(run.throughput[path] ?? {})))];
  return streams.flatMap((number) => {
    const title = streamsName(Number(number));
    const measured = paths.flatMap((path): TcpRow[] => {
      const figures = run.throughput[path]?.[number];
      if (figures === undefined) return [];
      return [
        {
          name: `${title}, ${pathName(path)}`,
          median: gigabits(figures.median),
          range: range(figures),
          interval: plusMinusGigabits(figures),
          variation: variation(figures),
          retransmits: count(run.retransmits[path]?.[number]?.median),
          cpu: cpuUse(run.cpuPercent?.[path]?.[number]),
          failed: String(figures.failed),
          isRatio: false,
        },
      ];
    });
    const [ratio, confidence] = [run.ratio[number], run.ratioConfidence?.[number]];
    if (ratio === undefined) return measured;
    const interval =
      confidence === undefined ? none : `${confidence.lower.toFixed(2)} – ${confidence.upper.toFixed(2)}`;
    const empty = { range: "", variation: "", retransmits: "", cpu: "", failed: "" };
    return [...measured, { name: `${title}, pod ÷ node`, median: ratio.toFixed(2), interval, ...empty, isRatio: true }];
  });
}

export interface UdpRow {
  /** `pod to pod` */
  readonly name: string;
  /** Gbit/s. */
  readonly asked: string;
  readonly received: string;
  readonly lost: string;
  readonly worst: string;
  /** Milliseconds. */
  readonly jitter: string;
  readonly failed: string;
}

/** Cells of a row, as `udpHeadings` has them. */
export function udpCells({ lost, worst, jitter, asked, received, failed }: UdpRow): string[] {
  return [lost, worst, jitter, asked, received, failed];
}

/** UDP of some runs taken together, path by path. */
export function udpRows(runs: readonly Run[]): UdpRow[] {
  return paths.flatMap((path): UdpRow[] => {
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
      {
        name: pathName(path),
        asked: gigabits(first.rateBitsPerSecond),
        received: gigabits(all("bitsPerSecond").median),
        lost: percent(loss.median),
        worst: percent(loss.maximum),
        jitter: milliseconds(all("jitterMilliseconds").median),
        failed: String(loss.failed),
      },
    ];
  });
}

export interface LatencyRow {
  /** `pod to pod` */
  readonly name: string;
  readonly load: "idle" | "under load";
  /** Milliseconds. */
  readonly median: string;
  readonly p90: string;
  readonly p99: string;
  readonly maximum: string;
  readonly lost: number;
  readonly sent: number;
}

/** Round trips of one run, idle and under load, path by path. */
export function latencyRows(run: Run): LatencyRow[] {
  const kinds = [
    { of: run.latency, load: "idle" },
    { of: run.latencyUnderLoad, load: "under load" },
  ] as const;
  return kinds.flatMap(({ of, load }) =>
    paths.flatMap((path): LatencyRow[] => {
      const figures = of?.[path];
      if (figures === undefined) return [];
      return [
        {
          name: pathName(path),
          load,
          median: milliseconds(figures.medianMilliseconds),
          p90: milliseconds(figures.p90Milliseconds),
          p99: milliseconds(figures.p99Milliseconds),
          maximum: milliseconds(figures.maximumMilliseconds),
          lost: figures.sent - figures.received,
          sent: figures.sent,
        },
      ];
    }),
  );
}
