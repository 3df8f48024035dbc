import { geometricMean, median } from "simple-statistics";
import type { Path, Run, Sample } from "./run.ts";
import { datapathName, inText, pathName, paths, streamsName } from "./run-words.ts";
import { factorBetween, ratiosByRound, summarise, type Factor } from "./statistics.ts";

/** One side of a comparison: every run of one datapath. */
export interface Side {
  /** The datapath's name as options of the command line take it; with the run's time where both sides have the same datapath. */
  readonly name: string;
  /** The same as it is written in a text. */
  readonly label: string;
  readonly runs: readonly Run[];
}

/** What one quantity did from `a` to `b`. */
export interface Difference {
  readonly quantity: "throughput" | "latency";
  readonly path: Path;
  /** `icmp`: round-trip times. */
  readonly protocol: "tcp" | "udp" | "icmp";
  /** Absent for latency. */
  readonly streams?: number;
  /** Medians in bits per second, or milliseconds. */
  readonly medians: { readonly a: number; readonly b: number };
  /** What counts as one observation: a run, from three runs a side on (and always for latency), else a sample. */
  readonly unit: "sample" | "run";
  /** `b` divided by `a`. */
  readonly absolute: Factor;
  /** The same of each side's own pod-to-pod to node-to-node ratio, paired by round: what the machine did to both cancels. */
  readonly besideNodes?: Factor;
  /** What the numbers allow to say. */
  readonly words: string;
}

export interface Comparison {
  readonly a: Side;
  readonly b: Side;
  readonly differences: readonly Difference[];
  /** What a reader has to know before using the numbers. */
  readonly caveats: readonly string[];
}

/** Runs that may not be compared: the names of the datapaths, and why. */
export interface Refusal {
  readonly a: string;
  readonly b: string;
  readonly refused: readonly string[];
}

export type Outcome = Comparison | Refusal;

/** Thrown where runs can't be compared. Carries every reason at once. */
export class ComparisonRefused extends Error {
  readonly reasons: readonly string[];
  constructor(reasons: readonly string[]) {
    super(
      `These runs can't be compared:\n${reasons.map((reason) => `  - ${reason}`).join("\n")}\n` +
        "Measure both datapaths on the same nodes with the same settings: npm run lab -- compare --datapaths A,B",
    );
    this.name = "ComparisonRefused";
    this.reasons = reasons;
  }
}

/**
 * Compares two datapaths by their runs. Every number is given as it is, and beside the node baseline of its own run.
 * An interval takes each sample as one observation; from three runs a side on it takes each run as one, because samples of
 * one run share what differs from run to run.
 * @throws ComparisonRefused where a run is not confirmed, or where nodes, versions, kernel or sample settings differ
 */
export function compareRuns(a: readonly Run[], b: readonly Run[]): Comparison {
  const reasons = refusals(a, b);
  const [firstOfA] = a;
  const [firstOfB] = b;
  if (reasons.length > 0 || firstOfA === undefined || firstOfB === undefined) throw new ComparisonRefused(reasons);

  const names = [datapathName(firstOfA), datapathName(firstOfB)] as const;
  const isSame = names[0] === names[1];
  const side = (name: string, first: Run, runs: readonly Run[]): Side => {
    const when = isSame ? ` of ${minute(first)}` : "";
    return { name: `${name}${when}`, label: `${inText(name)}${when}`, runs };
  };
  const [sideA, sideB] = [side(names[0], firstOfA, a), side(names[1], firstOfB, b)];

  const streams = firstOfA.conditions.settings.streams.toSorted((one, other) => one - other);
  const differences = [
    ...streams.flatMap((number) => paths.flatMap((path) => throughputDifference(sideA, sideB, path, "tcp", number))),
    ...paths.flatMap((path) => throughputDifference(sideA, sideB, path, "udp", undefined)),
    ...paths.flatMap((path) => latencyDifference(sideA, sideB, path)),
  ];
  return { a: sideA, b: sideB, differences, caveats: caveats(sideA, sideB, differences) };
}

/**
 * Compares every other datapath among runs with the first, each by all its runs; several runs of a single datapath, the
 * later ones with the first. Empty for a single run. What may not be compared comes back as a refusal.
 */
export function compareAll(runs: readonly Run[]): Outcome[] {
  const names = [...new Set(runs.map(datapathName))];
  const [first = [], ...others] =
    names.length > 1
      ? names.map((name) => runs.filter((run) => datapathName(run) === name))
      : runs.length > 1
        ? [runs.slice(0, 1), runs.slice(1)]
        : [];
  return others.map((other) => {
    try {
      return compareRuns(first, other);
    } catch (error) {
      if (!(error instanceof ComparisonRefused)) throw error;
      const nameOf = (side: readonly Run[]): string => side.slice(0, 1).map(datapathName).join("");
      return { a: nameOf(first), b: nameOf(other), refused: error.reasons };
    }
  });
}

/** `2026-11-23 09:00` */
function minute({ time }: Run): string {
  return time.slice(0, 16).replace("T", " ");
}

function refusals(a: readonly Run[], b: readonly Run[]): string[] {
  const all = [...a, ...b];
  const [reference] = all;
  if (reference === undefined || a.length === 0 || b.length === 0) return ["one side has no run"];
  const both = new Set(a.map(({ id }) => id));
  const repeated = b.filter(({ id }) => both.has(id)).map(({ id }) => `${id} stands on both sides`);
  const notConfirmed = all
    .filter(({ verdict }) => verdict !== "confirmed")
    .map(({ id, verdict, checks }) => {
      const wrong = checks.filter(({ ok }) => ok === false).length;
      const unknown = checks.filter(({ ok }) => ok === null).length;
      return `${id} is ${verdict}: of ${checks.length} checks ${wrong} failed and ${unknown} could not be judged`;
    });
  const mixed = [a, b].flatMap((side) => {
    const datapaths = [...new Set(side.map(datapathName))];
    return datapaths.length > 1 ? [`one side mixes datapaths: ${datapaths.join(", ")}`] : [];
  });
  const differing = all.slice(1).flatMap((run) => {
    const others = facts(run);
    return Object.entries(facts(reference)).flatMap(([name, value]) =>
      others[name] === value
        ? []
        : [
            `${name} differ${name.endsWith("s") ? "" : "s"}: ${value} in ${reference.id}, ${others[name] ?? "none"} in ${run.id}`,
          ],
    );
  });
  return [...new Set([...notConfirmed, ...repeated, ...mixed, ...differing])];
}

/** What has to be the same in runs that are compared, each as text, by the name it has in a refusal. */
function facts({ lab, nodes, versions, kernel, conditions }: Run): Record<string, string> {
  const { settings, cpuCount, cpuModel } = conditions;
  const versionList = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return {
    "kind of lab": lab.kind,
    nodes: nodes
      .map(({ name }) => name)
      .toSorted()
      .join(", "),
    versions: versionList.toSorted().join(", "),
    kernel: [...new Set([kernel, ...nodes.flatMap((node) => node.kernel ?? [])])].toSorted().join(", "),
    processor: `${cpuCount} × ${cpuModel}`,
    "sample settings": [
      `${settings.samples} × ${settings.durationSeconds} s`,
      `streams ${settings.streams.toSorted((one, other) => one - other).join(" and ")}`,
      ...(settings.warmUpSeconds === undefined ? [] : [`warm-up ${settings.warmUpSeconds} s`]),
      ...(settings.udpRateBitsPerSecond === undefined ? [] : [`UDP at ${settings.udpRateBitsPerSecond / 1e9} Gbit/s`]),
    ].join(", "),
  };
}

const runsThatCount = 3;

function unitOf(a: Side, b: Side): "sample" | "run" {
  return a.runs.length >= runsThatCount && b.runs.length >= runsThatCount ? "run" : "sample";
}

/** The observations of a side: every sample of every run, or each run's geometric mean. */
function observations(perRun: readonly (readonly number[])[], unit: "sample" | "run"): number[] {
  if (unit === "sample") return perRun.flat();
  return perRun
    .filter((samples) => samples.length > 0)
    .map((samples) => (samples.some((value) => value <= 0) ? 0 : geometricMean([...samples])));
}

function samplesOf(run: Run, path: Path, protocol: "tcp" | "udp", streams: number | undefined): number[] {
  return run.samples.flatMap((sample: Sample) =>
    sample.path === path &&
    sample.protocol === protocol &&
    (streams === undefined || sample.streams === streams) &&
    sample.result.outcome === "measured"
      ? [sample.result.bitsPerSecond]
      : [],
  );
}

function throughputDifference(
  a: Side,
  b: Side,
  path: Path,
  protocol: "tcp" | "udp",
  streams: number | undefined,
): Difference[] {
  const unit = unitOf(a, b);
  const of = (side: Side): number[][] => side.runs.map((run) => samplesOf(run, path, protocol, streams));
  const [samplesA, samplesB] = [of(a), of(b)];
  const medians = { a: summarise(samplesA.flat(), 0).median, b: summarise(samplesB.flat(), 0).median };
  const absolute = factorBetween(observations(samplesB, unit), observations(samplesA, unit));
  if (medians.a === undefined || medians.b === undefined || absolute === undefined) return [];

  const rounds = (side: Side): number[][] =>
    protocol === "tcp" && streams !== undefined && path === "podToPod"
      ? side.runs.map((run) => ratiosByRound(run.samples, streams))
      : [];
  const besideNodes = factorBetween(observations(rounds(b), unit), observations(rounds(a), unit));
  const where = [
    ...(path === "podToPod" ? [] : [pathName(path)]),
    ...(streams === undefined ? [] : [streamsName(streams)]),
  ].join(", ");
  const words =
    protocol === "udp"
      ? lossSentence(a, b, path)
      : [
          `${sentence(a.label, b.label, absolute, "throughput")} (${where})`,
          ...(besideNodes === undefined ? [] : [`beside the nodes' own throughput: ${inPercent(besideNodes)}`]),
        ].join("; ");
  return [
    {
      quantity: "throughput",
      path,
      protocol,
      ...(streams === undefined ? {} : { streams }),
      medians: { a: medians.a, b: medians.b },
      unit,
      absolute,
      ...(besideNodes === undefined ? {} : { besideNodes }),
      words,
    },
  ];
}

/** At a set rate the throughput is the rate: what tells datapaths apart is what was lost on the way. */
function lossSentence(a: Side, b: Side, path: Path): string {
  const lost = ({ label, runs }: Side): string => {
    const samples = runs.flatMap(({ udp }) => udp?.[path]?.lossPercent.samples ?? []);
    return `${label} lost ${summarise(samples, 0).median?.toFixed(2) ?? "an unknown share of"} %`;
  };
  const rate = a.runs[0]?.udp?.[path]?.rateBitsPerSecond;
  const asked = rate === undefined ? "" : ` at ${Number((rate / 1e9).toPrecision(3))} Gbit/s`;
  return `UDP${asked}${path === "podToPod" ? "" : `, ${pathName(path)}`}: ${lost(a)}, ${lost(b)} (medians)`;
}

/** Round trips of one series follow each other within a second and are no independent samples: a run's median is one. */
function latencyDifference(a: Side, b: Side, path: Path): Difference[] {
  const of = (side: Side): number[] => side.runs.flatMap(({ latency }) => latency?.[path]?.medianMilliseconds ?? []);
  const [mediansA, mediansB] = [of(a), of(b)];
  const absolute = factorBetween(mediansB, mediansA);
  if (absolute === undefined) return [];
  const where = path === "podToPod" ? "" : ` (${pathName(path)})`;
  return [
    {
      quantity: "latency",
      path,
      protocol: "icmp",
      medians: { a: median(mediansA), b: median(mediansB) },
      unit: "run",
      absolute,
      words: `${sentence(a.label, b.label, absolute, "latency")}${where}`,
    },
  ];
}

function sentence(a: string, b: string, difference: Factor, quantity: Difference["quantity"]): string {
  const { factor, confidence } = difference;
  const percent = inPercent(difference);
  const [more, less] = quantity === "throughput" ? ["faster", "slower"] : ["slower to answer", "quicker to answer"];
  if (confidence === undefined) {
    const what = quantity === "throughput" ? "" : "latency of ";
    return `${what}${b} against ${a}: ${percent}, from too few observations to tell it from chance`;
  }
  if (confidence.lower <= 1 && confidence.upper >= 1) {
    const what = quantity === "throughput" ? "" : " in latency";
    return `no difference${what} between ${b} and ${a} that these samples can show (${percent})`;
  }
  return `${b} is ${factor > 1 ? more : less} than ${a} by ${percent.replace(/^[+−]/, "")}`;
}

/** A factor as a signed difference in percent with half the width of its interval: `+12 % ± 3`. */
export function inPercent({ factor, confidence }: Factor): string {
  const difference = (factor - 1) * 100;
  const half = confidence === undefined ? undefined : ((confidence.upper - confidence.lower) / 2) * 100;
  // One digit more than the interval's own size would claim what was not measured.
  const digits = half === undefined || half >= 1 ? 0 : half >= 0.1 ? 1 : 2;
  const size = Math.abs(difference).toFixed(digits);
  const sign = Number(size) === 0 ? "" : difference > 0 ? "+" : "−";
  return `${sign}${size} %${half === undefined ? "" : ` ± ${half.toFixed(digits)}`}`;
}

function caveats(a: Side, b: Side, differences: readonly Difference[]): string[] {
  const runs = [...a.runs, ...b.runs];
  const failed = runs.flatMap(({ samples }) => samples).filter(({ result }) => result.outcome === "failed").length;
  const offloads = new Set(
    runs.map(({ conditions }) => JSON.stringify(Object.entries(conditions.offloads).toSorted())),
  );
  const drifted = differences.filter(
    ({ path, protocol, absolute: { confidence } }) =>
      path === "nodeToNode" &&
      protocol === "tcp" &&
      confidence !== undefined &&
      (confidence.lower > 1 || confidence.upper < 1),
  );
  return [
    ...(failed === 0
      ? []
      : [`${failed === 1 ? "1 sample failed and is" : `${failed} samples failed and are`} in none of the figures.`]),
    ...(offloads.size <= 1 ? [] : ["The nodes' offload settings differ between the runs."]),
    ...drifted.map(
      ({ streams, absolute }) =>
        `The bare nodes were not equally fast (${streams === undefined ? "" : `${streamsName(streams)}, `}${inPercent(absolute)}): ` +
        "what is beside the nodes' own throughput says more than the plain numbers.",
    ),
    ...(unitOf(a, b) === "sample"
      ? [
          `${a.runs.length + b.runs.length} runs: the intervals tell how sure the figures are for these runs. ` +
            `From ${runsThatCount} runs a side on they take in what differs from run to run as well (--rounds ${runsThatCount}).`,
        ]
      : []),
  ];
}
