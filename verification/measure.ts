import type { Latency, Path, Run, Sample } from "../datapath/run/run.ts";
import { kindsOfRound, type RoundSettings, type SampleKind } from "../datapath/run/round.ts";
import { paths as orderOfPaths } from "../datapath/run/run-words.ts";
import { latencyOf } from "../datapath/run/statistics.ts";
import { errorText } from "./error-text.ts";
import type { Host, Hosts, RunningCommand } from "./hosts/host.ts";
import { parseIperf3, parseIperf3Udp } from "./parsers/iperf3.ts";
import { parseRoundTrips } from "./parsers/ping.ts";

const port = 5201;

/** Two ends of a path between two nodes, or on one: the hosts to run on, and the address of the far one. */
export interface MeasuredPath {
  readonly path: Path;
  readonly from: string;
  readonly to: string;
  readonly client: Host;
  readonly server: Host;
  readonly serverAddress: string;
  /** Why its iperf3 server does not stand: whoever answers there is another, and nothing is measured against it. */
  readonly unserved?: string;
}

/** What is measured, and how much of it. */
export interface MeasureSettings extends RoundSettings {
  /** Rounds. */
  readonly samples: number;
  readonly durationSeconds: number;
  /** Sent before each sample and left out of it. */
  readonly warmUpSeconds: number;
  readonly latencyUnderLoad: boolean;
  readonly sameNode: boolean;
}

/** A node and the pods on it, as far as paths between them need it. */
export interface MeasuredNode {
  readonly name: string;
  readonly address: string;
  readonly pod: { readonly address: string };
  readonly secondPod?: { readonly address: string };
}

/** The paths that are measured: pod to pod and node to node from the first node to the second, and within the first. */
export function measuredPaths(
  hosts: Hosts,
  [first, second]: readonly [MeasuredNode, MeasuredNode],
  { sameNode }: Pick<MeasureSettings, "sameNode">,
): readonly [podToPod: MeasuredPath, nodeToNode: MeasuredPath, ...sameNode: MeasuredPath[]] {
  const across = { from: first.name, to: second.name };
  const { secondPod } = first;
  return [
    {
      ...across,
      path: "podToPod",
      client: hosts.pod(first.name),
      server: hosts.pod(second.name),
      serverAddress: second.pod.address,
    },
    {
      ...across,
      path: "nodeToNode",
      client: hosts.node(first.name),
      server: hosts.node(second.name),
      serverAddress: second.address,
    },
    ...(secondPod === undefined || !sameNode
      ? []
      : [
          {
            path: "podToPodSameNode" as const,
            from: first.name,
            to: first.name,
            client: hosts.pod(first.name),
            server: hosts.secondPod(first.name),
            serverAddress: secondPod.address,
          },
        ]),
  ];
}

/** How long a sample is, or how much it sends. */
export type Extent =
  { readonly durationSeconds: number; readonly warmUpSeconds: number } | { readonly megabytes: number };

/** How long iperf3 may take beyond what it was told to: connecting, the last packets, the exchange of results. */
const graceSeconds = 15;

/** Words that run a client. Throws where its server does not stand. */
function clientOf({ serverAddress, unserved }: MeasuredPath): string[] {
  if (unserved !== undefined) throw new Error(`no iperf3 server at ${serverAddress}: ${unserved}`);
  return ["iperf3", "--client", serverAddress, "--port", `${port}`, "--connect-timeout", "3000"];
}

function extentOf(extent: Extent): { options: string[]; timeoutSeconds: number } {
  if ("megabytes" in extent) {
    return { options: ["--bytes", `${extent.megabytes}M`], timeoutSeconds: 30 + graceSeconds };
  }
  const { durationSeconds, warmUpSeconds } = extent;
  return {
    options: ["--time", `${durationSeconds}`, ...(warmUpSeconds > 0 ? ["--omit", `${warmUpSeconds}`] : [])],
    timeoutSeconds: durationSeconds + warmUpSeconds + graceSeconds,
  };
}

/** One iperf3 client run by TCP over a path whose server stands. Rejects with iperf3's own words where it fails. */
export async function iperf3(
  measured: MeasuredPath,
  options: Extent & { readonly streams: number },
): Promise<ReturnType<typeof parseIperf3>> {
  const extent = extentOf(options);
  const result = await measured.client.run(
    [...clientOf(measured), "--json", ...extent.options, "--parallel", `${options.streams}`],
    extent,
  );
  return parseIperf3(result.stdout.toString());
}

/**
 * Bytes in a UDP packet. Every path carries it in one piece, also through a tunnel over the smallest MTU in use: it is what
 * QUIC asks of a path at least (RFC 9000, section 14).
 */
const udpPayloadBytes = 1200;

/** As iperf3, by UDP in one stream at a set rate. */
async function iperf3Udp(
  measured: MeasuredPath,
  options: Extent & { readonly megabitsPerSecond: number },
): Promise<ReturnType<typeof parseIperf3Udp>> {
  const extent = extentOf(options);
  const udp = ["--udp", "--bitrate", `${options.megabitsPerSecond}M`, "--length", `${udpPayloadBytes}`];
  const result = await measured.client.run([...clientOf(measured), "--json", ...extent.options, ...udp], extent);
  return parseIperf3Udp(result.stdout.toString());
}

/**
 * Starts an iperf3 server at the far end of each path, at that end's own address, waits until all listen, and ends them after
 * `work`, which gets the paths, marked where a server does not stand.
 */
export async function withServers<T>(
  paths: readonly MeasuredPath[],
  work: (paths: readonly MeasuredPath[]) => Promise<T>,
): Promise<T> {
  const servers: RunningCommand[] = [];
  try {
    for (const { server, serverAddress } of paths) {
      servers.push(server.start(["iperf3", "--server", "--bind", serverAddress, "--port", `${port}`, "--forceflush"]));
    }
    const listening = await Promise.allSettled(servers.map((server) => server.waitForOutput("Server listening", 10)));
    return await work(
      paths.map((path, index) => {
        const state = listening[index];
        return state?.status === "rejected" ? { ...path, unserved: errorText(state.reason) } : path;
      }),
    );
  } finally {
    await Promise.allSettled(servers.map((server) => server.stop()));
  }
}

/**
 * Takes every sample of `settings`, in rounds: in each round every kind once, one right after another, and in the opposite
 * order in every second round, so that what drifts on the machine drifts over all of them alike. A sample that fails is kept
 * as failed.
 */
export async function* takeSamples(paths: readonly MeasuredPath[], settings: MeasureSettings): AsyncGenerator<Sample> {
  const names = paths.map(({ path }) => path);
  const kinds = kindsOfRound(names, settings).flatMap(({ path, ...kind }) => {
    const measured = paths.find((candidate) => candidate.path === path);
    return measured === undefined ? [] : [{ measured, ...kind }];
  });
  for (let round = 1; round <= settings.samples; round += 1) {
    for (const kind of round % 2 === 1 ? kinds : kinds.toReversed()) yield await takeSample(kind, round, settings);
  }
}

async function takeSample(
  { measured, protocol, streams }: Omit<SampleKind, "path"> & { readonly measured: MeasuredPath },
  round: number,
  settings: MeasureSettings,
): Promise<Sample> {
  const { path, from, to } = measured;
  const { durationSeconds, warmUpSeconds, udpMegabitsPerSecond: megabitsPerSecond } = settings;
  const about = { path, streams, round, from, to, startedAt: new Date().toISOString(), durationSeconds };
  const failed = (error: unknown): { outcome: "failed"; reason: string } => ({
    outcome: "failed",
    reason: errorText(error),
  });
  if (protocol === "tcp") {
    const result = await iperf3(measured, { streams, durationSeconds, warmUpSeconds })
      .then((figures) => ({ outcome: "measured" as const, ...figures }))
      .catch(failed);
    return { protocol: "tcp", ...about, result };
  }
  const result = await iperf3Udp(measured, { durationSeconds, warmUpSeconds, megabitsPerSecond })
    .then((figures) => ({ outcome: "measured" as const, ...figures }))
    .catch(failed);
  return { protocol: "udp", ...about, rateBitsPerSecond: megabitsPerSecond * 1e6, result };
}

const pings = 200;

/** Round-trip times over a path, by ping, one every 2 ms. */
export async function measureLatency({ client, serverAddress }: MeasuredPath): Promise<Latency> {
  const result = await client.run(["ping", "-c", `${pings}`, "-i", "0.002", "-W", "1", serverAddress], {
    timeoutSeconds: 15,
  });
  return latencyOf(pings, parseRoundTrips(result.stdout.toString()));
}

/** Longer than the pings take, also where each waits for the next. */
const loadSeconds = 30;
/** How long the load runs before the first ping: TCP's slow start is over by then. */
const leadSeconds = 0.5;

/** As measureLatency, while one TCP stream fills the path. Rejects where the stream ends before the pings do. */
export async function measureLatencyUnderLoad(measured: MeasuredPath): Promise<Latency> {
  const load = measured.client.start([
    ...clientOf(measured),
    "--time",
    `${loadSeconds}`,
    "--interval",
    `${leadSeconds}`,
    "--forceflush",
  ]);
  // The first interval's line: "[  5]   0.00-0.50   sec  1.02 GBytes  …".
  const underLoad = load.waitForOutput("   sec  ", 10).then(() => measureLatency(measured));
  const latency = await underLoad.finally(() => load.stop());
  const { stdout, stderr } = await load.stop();
  const said = `${stdout.toString()}${stderr}`;
  const ended = /iperf Done|iperf3: error - .*/.exec(said)?.[0];
  if (ended !== undefined) throw new Error(`the load ended before the pings did: ${ended}`);
  return latency;
}

/** Measures every path in turn. Rejects with the first that can't be measured. */
export async function latencyByPath(
  paths: readonly MeasuredPath[],
  measure: (path: MeasuredPath) => Promise<Latency>,
): Promise<NonNullable<Run["latency"]>> {
  const found = new Map<Path, Latency>();
  for (const measured of paths) found.set(measured.path, await measure(measured));
  const [podToPod, nodeToNode, podToPodSameNode] = orderOfPaths.map((path) => found.get(path));
  if (podToPod === undefined || nodeToNode === undefined)
    throw new Error("latency needs a path of pods and one of nodes");
  return { podToPod, nodeToNode, ...(podToPodSameNode === undefined ? {} : { podToPodSameNode }) };
}
