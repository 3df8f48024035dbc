import { datapathName, inText, pathName, routesCarrier, streamsName, wireOf } from "../datapath/run/run-words.ts";
import type { Figures, Run } from "../datapath/run/run.ts";

/** What stands where there is no number. */
export const none = "–";

/** Bits per second as Gbit/s with three significant digits: `12.1`. */
export function gigabits(bitsPerSecond: number | undefined): string {
  return bitsPerSecond === undefined ? none : threeDigits(bitsPerSecond / 1e9);
}

/** Three significant digits, never an exponent: `0.0413`, `12.1`, `940`. */
export function threeDigits(value: number): string {
  if (value === 0) return "0";
  // Rounded first: 0.9996 is 1.00.
  const rounded = Number(value.toPrecision(3));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))));
  return value.toFixed(Math.min(digits, 6));
}

export function milliseconds(value: number | undefined): string {
  return value === undefined ? none : value.toFixed(3);
}

/** `11.9 – 12.4` in Gbit/s. */
export function range({ minimum, maximum }: Pick<Figures, "minimum" | "maximum">): string {
  return minimum === undefined || maximum === undefined ? none : `${gigabits(minimum)} – ${gigabits(maximum)}`;
}

/** Coefficient of variation: `1.4 %`. */
export function variation({ coefficientOfVariation }: Pick<Figures, "coefficientOfVariation">): string {
  return coefficientOfVariation === undefined ? none : `${(coefficientOfVariation * 100).toFixed(1)} %`;
}

/** Half the width of the mean's confidence interval, in Gbit/s: `± 0.2`. */
export function plusMinusGigabits({ confidence }: Pick<Figures, "confidence">): string {
  return confidence === undefined ? none : `± ${((confidence.upper - confidence.lower) / 2e9).toPrecision(2)}`;
}

/** A median of counts: whole where it is. */
export function count(value: number | undefined): string {
  return value === undefined ? none : Number.isInteger(value) ? String(value) : value.toFixed(1);
}

export function percent(value: number | undefined): string {
  return value === undefined ? none : `${value === 0 ? "0" : value.toFixed(value < 1 ? 2 : 1)} %`;
}

/** CPU use of sender and receiver, in percent of one core: `76/47`. */
export function cpuUse(cpu: { readonly sender: Figures; readonly receiver: Figures } | undefined): string {
  const [sender, receiver] = [cpu?.sender.median, cpu?.receiver.median];
  return sender === undefined || receiver === undefined ? none : `${sender.toFixed(0)}/${receiver.toFixed(0)}`;
}

/** A failed sample and why: `round 1, TCP, pod to pod, 1 stream: iperf3: …`. */
export function failedSamples({ samples }: Pick<Run, "samples">): string[] {
  return samples.flatMap(({ result, path, protocol, streams, round }) =>
    result.outcome === "failed"
      ? [`round ${round}, ${protocol.toUpperCase()}, ${pathName(path)}, ${streamsName(streams)}: ${result.reason}`]
      : [],
  );
}

export interface CheckCounts {
  readonly all: number;
  readonly held: number;
  readonly failed: number;
  readonly unknown: number;
}

export function countChecks({ checks }: Pick<Run, "checks">): CheckCounts {
  const failed = checks.filter(({ ok }) => ok === false).length;
  const unknown = checks.filter(({ ok }) => ok === null).length;
  return { all: checks.length, held: checks.length - failed - unknown, failed, unknown };
}

/** The verdict as a sentence: `all 33 checks on 3 nodes hold`. */
export function verdictSentence(run: Run): string {
  const { all, failed, unknown } = countChecks(run);
  const nodes = `${run.nodes.length} nodes`;
  const parts = [
    ...(failed === 0 ? [] : [`${failed} of ${all} checks on ${nodes} speak against it`]),
    ...(unknown === 0 ? [] : [`${unknown} of ${all} checks could not be judged`]),
  ];
  return parts.length === 0 ? `all ${all} checks on ${nodes} hold` : parts.join(", ");
}

/** The datapath in words: `VXLAN over UDP 8472`, `Native routing through a router`. */
export function datapathTitle(run: Pick<Run, "datapath" | "plan">): string {
  const wire = wireOf(run);
  const name = datapathName(run);
  if (wire === undefined) return inText(name);
  if (wire.pods === "encapsulated") return `${inText(wire.protocol)} over UDP ${wire.port}`;
  const carrier = routesCarrier(run);
  const by = { router: " through a router", bgp: " by BGP" }[carrier ?? ""] ?? "";
  const carried = name.startsWith("native") ? `Native routing${by}` : inText(name);
  return wire.pods === "bare" ? carried : `${carried}, encrypted by ${inText(wire.protocol)}`;
}

/** Log lines in which agents say that they fall back, each with the nodes whose agent said it. */
export function agentWarnings({ cilium }: Pick<Run, "cilium">): string[] {
  const saidOn = new Map<string, string[]>();
  for (const { node, warnings } of cilium?.agents ?? [])
    for (const warning of new Set(warnings)) saidOn.set(warning, [...(saidOn.get(warning) ?? []), node]);
  return [...saidOn].map(([warning, nodes]) => `${nodes.join(", ")}: ${warning}`);
}

/** Every kernel among a run's nodes: `6.1.0-18-amd64`. */
export function kernelsOf({ kernel, nodes }: Pick<Run, "kernel" | "nodes">): string {
  return [...new Set(nodes.map((node) => node.kernel ?? kernel))].join(", ");
}

/** What kind of lab the numbers come from, said plainly. */
export function labTitle({ lab }: Pick<Run, "lab">): string {
  return lab.kind === "namespaces"
    ? `stack ${lab.stack}: network namespaces of one machine, no Kubernetes, no Cilium`
    : `stack ${lab.stack}: Kubernetes cluster with Cilium`;
}
