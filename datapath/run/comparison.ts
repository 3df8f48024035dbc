import { geometricMean, median } from "simple-statistics";
import { overheadBytes } from "../plan/plan.ts";
import type { Path, Run, Sample } from "./run.ts";
import { datapathName, encryptionOf, inText, pathName, paths, streamsName } from "./run-words.ts";
import { factorBetween, ratiosByRound, summarise, type Factor } from "./statistics.ts";

/** One side of a comparison: every run of one datapath whose figures count. */
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
  /** What counts as one observation: a run, from two runs a side on (and always for latency), else a sample. */
  readonly unit: "sample" | "run";
  /** `b` divided by `a`. Absent for UDP, whose throughput is the rate that was set. */
  readonly absolute?: Factor;
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
 * An interval takes each run as one observation, because samples of one run share what differs from run to run; where a side
 * has a single run, it takes each sample as one and speaks for these runs alone.
 * An incomplete run is left out where its side has two others.
 * @throws ComparisonRefused where a run is not confirmed, where nodes, cluster, versions, kernel or sample settings differ, or
 * where tuning differs within a side
 */
export function compareRuns(allOfA: readonly Run[], allOfB: readonly Run[]): Comparison {
  const [a, b] = [thatCount(allOfA), thatCount(allOfB)];
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
  const leftOut = [...allOfA, ...allOfB]
    .filter((run) => ![...a, ...b].includes(run))
    .map((run) => `${notConfirmed(run)}. It is in none of the figures.`);
  return { a: sideA, b: sideB, differences, caveats: [...leftOut, ...caveats(sideA, sideB, differences)] };
}

/** A side without its incomplete runs, where two others remain. */
function thatCount(runs: readonly Run[]): readonly Run[] {
  const complete = runs.filter(({ verdict }) => verdict !== "incomplete");
  return complete.length >= runsThatCount ? complete : runs;
}

function notConfirmed({ id, verdict, checks }: Run): string {
  const wrong = checks.filter(({ ok }) => ok === false).length;
  const unknown = checks.filter(({ ok }) => ok === null).length;
  return `${id} is ${verdict}: of ${checks.length} checks ${wrong} failed and ${unknown} could not be judged`;
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
  const unproven = all.filter(({ verdict }) => verdict !== "confirmed").map(notConfirmed);
  const mixed = [a, b].flatMap((side) => {
    const datapaths = [...new Set(side.map(datapathName))];
    if (datapaths.length > 1) return [`one side mixes datapaths: ${datapaths.join(", ")}`];
    return side.slice(1).flatMap((run) => {
      const [one = run] = side;
      const differing = tuningThatDiffers(asked, one, run);
      // What was asked for explains what is in effect: only where it agrees, the rest is worth a line.
      return (differing.length > 0 ? differing : tuningThatDiffers(tuning, one, run)).map(
        ({ name, values }) => `one side mixes tuning: ${name} is ${values[0]} in ${one.id}, ${values[1]} in ${run.id}`,
      );
    });
  });
  const clusters = new Map(all.flatMap(({ id, lab: { cluster } }) => (cluster === undefined ? [] : [[cluster, id]])));
  const across =
    clusters.size > 1
      ? [`clusters differ: ${[...clusters].map(([cluster, id]) => `${cluster} in ${id}`).join(", ")}`]
      : [];
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
  return [...new Set([...unproven, ...repeated, ...mixed, ...across, ...differing])];
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

interface DifferingTuning {
  readonly name: string;
  readonly values: readonly [a: string, b: string];
}

function tuningThatDiffers(of: (run: Run) => Readonly<Record<string, string>>, a: Run, b: Run): DifferingTuning[] {
  const [ofA, ofB] = [of(a), of(b)];
  return [...new Set([...Object.keys(ofA), ...Object.keys(ofB)])].flatMap((name) => {
    const values = [ofA[name] ?? "unknown", ofB[name] ?? "unknown"] as const;
    return values[0] === values[1] ? [] : [{ name, values }];
  });
}

/** Every key of the datapath that was asked for, with its value as text. */
function asked({ datapath }: Run): Record<string, string> {
  const leaves = (value: unknown, name: string): [string, string][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, name === "" ? key : `${name}.${key}`))
      : [[name, JSON.stringify(value)]];
  return Object.fromEntries(leaves(datapath, ""));
}

/** What was in effect beside the mode and what follows from it, by the feature's name. */
function tuning(run: Run): Record<string, string> {
  const features = (run.features ?? []).filter(({ name }) => name !== "routing");
  const pathMtuBytes = Number(run.plan[0]?.["pathMtuBytes"]);
  // A tunnel's own bytes belong to the mode, those of encryption to it.
  const mtuBytes = pathMtuBytes + overheadBytes(run.datapath["mode"] !== "native", encryptionOf(run));
  return {
    ...Object.fromEntries(features.map(({ name, requested, effective = requested }) => [name, effective])),
    ...(Number.isNaN(mtuBytes) ? {} : { "MTU between nodes": `${mtuBytes} bytes` }),
  };
}

const runsThatCount = 2;

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
  if (medians.a === undefined || medians.b === undefined) return [];
  const difference = { quantity: "throughput", path, protocol, medians: { a: medians.a, b: medians.b }, unit } as const;
  if (protocol === "udp") return [{ ...difference, words: lossSentence(a, b, path) }];

  const absolute = factorBetween(observations(samplesB, unit), observations(samplesA, unit));
  if (absolute === undefined) return [];
  const rounds = (side: Side): number[][] =>
    streams !== undefined && path === "podToPod" ? side.runs.map((run) => ratiosByRound(run.samples, streams)) : [];
  const besideNodes = factorBetween(observations(rounds(b), unit), observations(rounds(a), unit));
  const where = [
    ...(path === "podToPod" ? [] : [pathName(path)]),
    ...(streams === undefined ? [] : [`with ${streamsName(streams)}`]),
  ].join(", ");
  const words = [
    sentence(a.label, b.label, where, absolute, "throughput"),
    ...(besideNodes === undefined ? [] : [`beside the nodes' own throughput: ${inPercent(besideNodes)}`]),
  ].join("; ");
  return [
    {
      ...difference,
      ...(streams === undefined ? {} : { streams }),
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
  const where = path === "podToPod" ? "" : pathName(path);
  return [
    {
      quantity: "latency",
      path,
      protocol: "icmp",
      medians: { a: median(mediansA), b: median(mediansB) },
      unit: "run",
      absolute,
      words: sentence(a.label, b.label, where, absolute, "latency"),
    },
  ];
}

function sentence(a: string, b: string, where: string, difference: Factor, quantity: Difference["quantity"]): string {
  const { factor, confidence } = difference;
  const [more, less] = quantity === "throughput" ? ["faster", "slower"] : ["slower to answer", "quicker to answer"];
  const here = where === "" ? "" : ` ${where}`;
  if (confidence === undefined) {
    const what = quantity === "throughput" ? "" : "latency of ";
    return `${what}${b} against ${a}${here}: ${inPercent(difference)}, from too few observations to tell it from chance`;
  }
  if (confidence.lower <= 1 && confidence.upper >= 1) {
    const what = quantity === "throughput" ? "" : " in latency";
    return `no difference${what} between ${b} and ${a}${here} that these samples can show: ${inPercent(difference)}`;
  }
  return `${b} is ${factor > 1 ? more : less} than ${a}${here} by ${inPercent(difference, "size")}`;
}

/**
 * A factor as a difference in percent with its interval's own bounds, which lie unevenly around it: `+35 % (95 % interval: +5 to
 * +74 %)`; as a size without signs, where words say which way it goes.
 */
export function inPercent({ factor, confidence }: Factor, as: "signed" | "size" = "signed"): string {
  const half = confidence === undefined ? undefined : ((confidence.upper - confidence.lower) / 2) * 100;
  // One digit more than the interval's own size would claim what was not measured.
  const digits = half === undefined || half >= 1 ? 0 : half >= 0.1 ? 1 : 2;
  const text = (one: number): string => {
    const size = (Math.abs(one - 1) * 100).toFixed(digits);
    return `${as === "size" || Number(size) === 0 ? "" : one > 1 ? "+" : "−"}${size}`;
  };
  if (confidence === undefined) return `${text(factor)} %`;
  const bounds = [text(confidence.lower), text(confidence.upper)];
  const [from, to] = as === "size" && factor < 1 ? bounds.toReversed() : bounds;
  return `${text(factor)} % (${confidence.level * 100} % interval: ${from ?? ""} to ${to ?? ""} %)`;
}

function caveats(a: Side, b: Side, differences: readonly Difference[]): string[] {
  const runs = [...a.runs, ...b.runs];
  const failed = runs.flatMap(({ samples }) => samples).filter(({ result }) => result.outcome === "failed").length;
  const offloads = new Set(
    runs.map(({ conditions }) => JSON.stringify(Object.entries(conditions.offloads).toSorted())),
  );
  const drifted = differences.flatMap(({ path, protocol, streams, absolute }) =>
    path === "nodeToNode" &&
    protocol === "tcp" &&
    absolute?.confidence !== undefined &&
    (absolute.confidence.lower > 1 || absolute.confidence.upper < 1)
      ? [{ streams, absolute }]
      : [],
  );
  const [firstOfA] = a.runs;
  const [firstOfB] = b.runs;
  const tuned =
    firstOfA === undefined || firstOfB === undefined
      ? []
      : tuningThatDiffers(tuning, firstOfA, firstOfB).map(
          ({ name, values }) => `${name} (${a.label}: ${values[0]}; ${b.label}: ${values[1]})`,
        );
  return [
    ...(failed === 0
      ? []
      : [`${failed === 1 ? "1 sample failed and is" : `${failed} samples failed and are`} in none of the figures.`]),
    ...(tuned.length === 0
      ? []
      : [`More differs than the mode, and the figures tell what all of it does together: ${tuned.join(", ")}.`]),
    ...(offloads.size <= 1 ? [] : ["The nodes' offload settings differ between the runs."]),
    ...drifted.map(
      ({ streams, absolute }) =>
        `The bare nodes were not equally fast (${streams === undefined ? "" : `${streamsName(streams)}, `}${inPercent(absolute)}): ` +
        "what is beside the nodes' own throughput says more than the plain numbers.",
    ),
    ...(unitOf(a, b) === "sample"
      ? [
          `${a.runs.length + b.runs.length} runs: the intervals tell how sure the figures are for these runs. ` +
            `From ${runsThatCount} runs a side on they take in what differs from run to run as well (compare --rounds 3).`,
        ]
      : []),
  ];
}
