import {
  coefficientOfVariation,
  max,
  mean,
  median,
  min,
  quantile,
  sampleStandardDeviation,
  sampleVariance,
} from "simple-statistics";
import type { Figures, Interval, Latency, Path, Run, Sample, UdpFigures } from "./run.ts";

/** Level of every confidence interval. The table below holds for this level alone. */
const confidenceLevel = 0.95;

/**
 * Student's t, two-sided 95 %, for 1 to 30 degrees of freedom.
 * Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
 */
const studentTable = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const normal = 1.96;

/**
 * Student's t for a two-sided 95 % interval. Between whole degrees of freedom, and beyond 30, it is interpolated in their
 * reciprocal: off by less than 0.4 % from 3 degrees on, and towards the wider interval below.
 * @param degreesOfFreedom at least 1; whole for one sample, a fraction where Welch's formula gives one
 */
export function studentT(degreesOfFreedom: number): number {
  const below = Math.min(Math.floor(degreesOfFreedom), studentTable.length);
  const above = below < studentTable.length ? below + 1 : Infinity;
  const atBelow = studentTable[below - 1];
  if (atBelow === undefined) throw new RangeError(`${degreesOfFreedom} degrees of freedom: at least 1 is needed`);
  const atAbove = studentTable[above - 1] ?? normal;
  const share = (1 / below - 1 / degreesOfFreedom) / (1 / below - 1 / above);
  return atBelow + share * (atAbove - atBelow);
}

/** Confidence interval of the mean of independent samples, by Student's t. Absent with fewer than two samples. */
export function confidenceOfMean(samples: readonly number[]): Interval | undefined {
  if (samples.length < 2) return undefined;
  const values = [...samples];
  const half = (studentT(values.length - 1) * sampleStandardDeviation(values)) / Math.sqrt(values.length);
  return { level: confidenceLevel, lower: mean(values) - half, upper: mean(values) + half };
}

/** @param failed number of samples that were tried and gave no number */
export function summarise(samples: readonly number[], failed: number): Figures {
  const values = [...samples];
  if (values.length === 0) return { samples: values, failed };
  const average = mean(values);
  const confidence = confidenceOfMean(values);
  return {
    samples: values,
    failed,
    median: median(values),
    minimum: min(values),
    maximum: max(values),
    mean: average,
    ...(values.length < 2 || average <= 0 ? {} : { coefficientOfVariation: coefficientOfVariation(values) }),
    ...(confidence === undefined ? {} : { confidence }),
  };
}

/**
 * @param sent echo requests sent
 * @param roundTripsMilliseconds one number a reply
 */
export function latencyOf(sent: number, roundTripsMilliseconds: readonly number[]): Latency {
  const milliseconds = [...roundTripsMilliseconds];
  const received = milliseconds.length;
  if (received === 0) return { sent, received };
  return {
    sent,
    received,
    medianMilliseconds: quantile(milliseconds, 0.5),
    p90Milliseconds: quantile(milliseconds, 0.9),
    p99Milliseconds: quantile(milliseconds, 0.99),
    minimumMilliseconds: min(milliseconds),
    maximumMilliseconds: max(milliseconds),
    milliseconds,
  };
}

/** How many times as large one quantity is as another, with the interval in which this factor lies. */
export interface Factor {
  readonly factor: number;
  /** Absent where there are too few samples, or one of them is zero. */
  readonly confidence?: Interval;
}

/**
 * The factor between two sets of independent samples, `of` divided by `by`: the ratio of their geometric means, with Welch's
 * interval of the difference of the logarithms' means. Throughput and latency spread in proportion to their size, so it is
 * their logarithms that Student's t fits; and unlike a bootstrap, it stays honest with three samples a side.
 * Absent where a side has no sample, or one that is not above zero.
 */
export function factorBetween(of: readonly number[], by: readonly number[]): Factor | undefined {
  if (of.length === 0 || by.length === 0 || [...of, ...by].some((value) => value <= 0)) return undefined;
  const [top, bottom] = [of.map(Math.log), by.map(Math.log)];
  const difference = mean(top) - mean(bottom);
  const factor = Math.exp(difference);
  if (top.length < 2 || bottom.length < 2) return { factor };
  const [topError, bottomError] = [sampleVariance(top) / top.length, sampleVariance(bottom) / bottom.length];
  const error = topError + bottomError;
  if (error === 0) return { factor, confidence: { level: confidenceLevel, lower: factor, upper: factor } };
  // Welch-Satterthwaite.
  const degreesOfFreedom = error ** 2 / (topError ** 2 / (top.length - 1) + bottomError ** 2 / (bottom.length - 1));
  const half = studentT(degreesOfFreedom) * Math.sqrt(error);
  return {
    factor,
    confidence: { level: confidenceLevel, lower: Math.exp(difference - half), upper: Math.exp(difference + half) },
  };
}

/**
 * The factor in which pairs differ: the geometric mean of the pairs' own factors, with Student's interval of their logarithms.
 * What both members of a pair share (the machine's clock speed at that moment) cancels out.
 * @param factors one a pair, each above zero, else there is no result
 */
export function factorOfPairs(factors: readonly number[]): Factor | undefined {
  if (factors.length === 0 || factors.some((factor) => factor <= 0)) return undefined;
  const logarithms = factors.map(Math.log);
  const confidence = confidenceOfMean(logarithms);
  return {
    factor: Math.exp(mean(logarithms)),
    ...(confidence === undefined
      ? {}
      : { confidence: { ...confidence, lower: Math.exp(confidence.lower), upper: Math.exp(confidence.upper) } }),
  };
}

type Tcp = Extract<Sample, { protocol: "tcp" }>;
type Udp = Extract<Sample, { protocol: "udp" }>;
type Measured<S extends Sample> = Extract<S["result"], { outcome: "measured" }>;
type ByStreams<T> = Record<string, T>;
interface ByPath<T> {
  podToPod: T;
  nodeToNode: T;
  podToPodSameNode?: T;
}

const isTcp = (sample: Sample): sample is Tcp => sample.protocol === "tcp";
const isUdp = (sample: Sample): sample is Udp => sample.protocol === "udp";

function figuresOfResults<R extends Sample["result"]>(
  results: readonly R[],
  value: (result: Extract<R, { outcome: "measured" }>) => number,
): Figures {
  const isMeasured = (result: R): result is Extract<R, { outcome: "measured" }> => result.outcome === "measured";
  const measured = results.filter(isMeasured);
  return summarise(measured.map(value), results.length - measured.length);
}

/** Streams in ascending order: JSON keeps keys that are whole numbers so. */
function byStreams<T>(samples: readonly Tcp[], value: (samples: readonly Tcp[]) => T): ByStreams<T> {
  const streams = [...new Set(samples.map((sample) => sample.streams))].sort((a, b) => a - b);
  return Object.fromEntries(
    streams.map((number): [string, T] => [
      String(number),
      value(samples.filter((sample) => sample.streams === number)),
    ]),
  );
}

function byPath<T>(samples: readonly Sample[], value: (samples: readonly Tcp[]) => T): ByPath<ByStreams<T>> {
  const on = (path: Path): readonly Tcp[] => samples.filter(isTcp).filter((sample) => sample.path === path);
  const sameNode = on("podToPodSameNode");
  return {
    podToPod: byStreams(on("podToPod"), value),
    nodeToNode: byStreams(on("nodeToNode"), value),
    ...(sameNode.length === 0 ? {} : { podToPodSameNode: byStreams(sameNode, value) }),
  };
}

const figuresOfTcp =
  (value: (result: Measured<Tcp>) => number) =>
  (samples: readonly Tcp[]): Figures =>
    figuresOfResults(
      samples.map(({ result }) => result),
      value,
    );

/** TCP throughput in bits per second, by path and number of streams. */
function throughputOf(samples: readonly Sample[]): Run["throughput"] {
  return byPath(
    samples,
    figuresOfTcp(({ bitsPerSecond }) => bitsPerSecond),
  );
}

/** TCP segments sent again in one sample, by path and number of streams. */
function retransmitsOf(samples: readonly Sample[]): Run["retransmits"] {
  return byPath(
    samples,
    figuresOfTcp(({ retransmits }) => retransmits),
  );
}

/** CPU use at both ends in TCP samples, in percent of one core, by path and number of streams. */
function cpuPercentOf(samples: readonly Sample[]): NonNullable<Run["cpuPercent"]> {
  return byPath(samples, (some) => ({
    sender: figuresOfTcp(({ cpuPercent }) => cpuPercent.sender)(some),
    receiver: figuresOfTcp(({ cpuPercent }) => cpuPercent.receiver)(some),
  }));
}

/** Pod-to-pod divided by node-to-node TCP throughput, one number for each round in which both were measured. */
export function ratiosByRound(samples: readonly Sample[], streams: number): number[] {
  const measured = samples
    .filter(isTcp)
    .flatMap(({ path, round, streams: number, result }) =>
      result.outcome === "measured" && number === streams ? [{ path, round, bitsPerSecond: result.bitsPerSecond }] : [],
    );
  return measured
    .filter(({ path }) => path === "podToPod")
    .flatMap(({ round, bitsPerSecond }) => {
      const node = measured.find((other) => other.path === "nodeToNode" && other.round === round)?.bitsPerSecond;
      return node === undefined || node === 0 ? [] : [bitsPerSecond / node];
    });
}

/** Pod-to-pod divided by node-to-node TCP throughput, paired by round, for each number of streams that has a pair. */
function ratiosOf(samples: readonly Sample[]): Pick<Run, "ratio" | "ratioConfidence"> {
  const streams = [...new Set(samples.filter(isTcp).map((sample) => sample.streams))];
  const ratios = streams.flatMap((number) => {
    const ratio = factorOfPairs(ratiosByRound(samples, number));
    return ratio === undefined ? [] : [{ key: String(number), ...ratio }];
  });
  return {
    ratio: Object.fromEntries(ratios.map(({ key, factor }) => [key, factor])),
    ratioConfidence: Object.fromEntries(
      ratios.flatMap(({ key, confidence }) => (confidence === undefined ? [] : [[key, confidence]])),
    ),
  };
}

/** What UDP samples showed, by path; absent where there was none. */
export function udpOf(samples: readonly Sample[]): Run["udp"] {
  const on = (path: Path): UdpFigures | undefined => {
    const some = samples.filter(isUdp).filter((sample) => sample.path === path);
    const [first] = some;
    if (first === undefined) return undefined;
    const results = some.map(({ result }) => result);
    return {
      rateBitsPerSecond: first.rateBitsPerSecond,
      bitsPerSecond: figuresOfResults(results, ({ bitsPerSecond }) => bitsPerSecond),
      lossPercent: figuresOfResults(results, ({ lostPackets, packets }) =>
        packets === 0 ? 0 : (100 * lostPackets) / packets,
      ),
      jitterMilliseconds: figuresOfResults(results, ({ jitterMilliseconds }) => jitterMilliseconds),
    };
  };
  const [podToPod, nodeToNode, podToPodSameNode] = [on("podToPod"), on("nodeToNode"), on("podToPodSameNode")];
  if (podToPod === undefined && nodeToNode === undefined && podToPodSameNode === undefined) return undefined;
  return {
    ...(podToPod === undefined ? {} : { podToPod }),
    ...(nodeToNode === undefined ? {} : { nodeToNode }),
    ...(podToPodSameNode === undefined ? {} : { podToPodSameNode }),
  };
}

/** Every field of a run that follows from its samples alone. */
export function figuresOf(
  samples: readonly Sample[],
): Pick<Run, "throughput" | "retransmits" | "ratio" | "ratioConfidence" | "cpuPercent" | "udp"> {
  const udp = udpOf(samples);
  return {
    throughput: throughputOf(samples),
    retransmits: retransmitsOf(samples),
    ...ratiosOf(samples),
    cpuPercent: cpuPercentOf(samples),
    ...(udp === undefined ? {} : { udp }),
  };
}
