import type { Latency, Path, Sample } from "../datapath/run.ts";
import { latencyOf } from "../datapath/statistics.ts";
import type { Host, RunningCommand } from "./hosts/host.ts";
import { parseIperf3 } from "./parsers/iperf3.ts";
import { parseRoundTrips } from "./parsers/ping.ts";

const port = 5201;

/** Two ends of a path between two nodes: the hosts to run on, and the address of the far one. */
export interface MeasuredPath {
  readonly path: Path;
  readonly from: string;
  readonly to: string;
  readonly client: Host;
  readonly server: Host;
  readonly serverAddress: string;
}

/** How long a sample is, or how much it sends. */
export type Extent = { readonly durationSeconds: number } | { readonly megabytes: number };

/** One iperf3 client run over a path whose server stands. Rejects with iperf3's own words where it fails. */
export async function iperf3(
  { client, serverAddress }: MeasuredPath,
  options: Extent & { readonly streams: number },
): Promise<ReturnType<typeof parseIperf3>> {
  const extent =
    "megabytes" in options ? ["--bytes", `${options.megabytes}M`] : ["--time", `${options.durationSeconds}`];
  const command = ["iperf3", "--client", serverAddress, "--port", `${port}`, "--connect-timeout", "3000", "--json"];
  const result = await client.run([...command, ...extent, "--parallel", `${options.streams}`], {
    timeoutSeconds: ("megabytes" in options ? 30 : options.durationSeconds) + 15,
  });
  return parseIperf3(result.stdout.toString());
}

/** Starts an iperf3 server at the far end of each path, waits until all listen, and ends them after `work`. */
export async function withServers<T>(paths: readonly MeasuredPath[], work: () => Promise<T>): Promise<T> {
  const servers: RunningCommand[] = paths.map(({ server }) =>
    server.start(["iperf3", "--server", "--port", `${port}`, "--forceflush"]),
  );
  try {
    await Promise.all(servers.map((server) => server.waitForOutput("Server listening", 10)));
    return await work();
  } finally {
    await Promise.allSettled(servers.map((server) => server.stop()));
  }
}

/**
 * Takes every sample of `settings`, in rounds: in each round every path and number of streams once, one right after another,
 * and in the opposite order in every second round, so that what drifts on the machine drifts over all of them alike.
 * A sample that fails is kept as failed.
 */
export async function* takeSamples(
  paths: readonly MeasuredPath[],
  settings: { readonly samples: number; readonly durationSeconds: number; readonly streams: readonly number[] },
): AsyncGenerator<Sample> {
  const planned = settings.streams.flatMap((streams) => paths.map((measured) => ({ measured, streams })));
  for (let round = 1; round <= settings.samples; round += 1) {
    for (const { measured, streams } of round % 2 === 1 ? planned : planned.toReversed()) {
      yield await takeSample(measured, { streams, round, durationSeconds: settings.durationSeconds });
    }
  }
}

async function takeSample(
  measured: MeasuredPath,
  { streams, round, durationSeconds }: { streams: number; round: number; durationSeconds: number },
): Promise<Sample> {
  const { path, from, to } = measured;
  const startedAt = new Date().toISOString();
  const about = { path, protocol: "tcp" as const, streams, round, from, to, startedAt, durationSeconds };
  try {
    const result = await iperf3(measured, { streams, durationSeconds });
    return { ...about, result: { outcome: "measured", ...result } };
  } catch (error) {
    return { ...about, result: { outcome: "failed", reason: error instanceof Error ? error.message : String(error) } };
  }
}

const pings = 100;

/** Round-trip times over a path, by ping, one every 2 ms. */
export async function measureLatency({ client, serverAddress }: MeasuredPath): Promise<Latency> {
  const result = await client.run(["ping", "-c", `${pings}`, "-i", "0.002", "-W", "1", serverAddress], {
    timeoutSeconds: 15,
  });
  return latencyOf(pings, parseRoundTrips(result.stdout.toString()));
}
