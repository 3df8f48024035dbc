import { z } from "zod";

const cpu = z.object({ host_total: z.number(), remote_total: z.number() });
const finished = z.object({
  end: z.object({
    sum_sent: z.object({ retransmits: z.number().optional() }),
    sum_received: z.object({ bits_per_second: z.number(), seconds: z.number() }),
    cpu_utilization_percent: cpu,
  }),
});
const finishedUdp = z.object({
  end: z.object({
    sum_received: z.object({
      bits_per_second: z.number(),
      packets: z.int(),
      lost_packets: z.int(),
      jitter_ms: z.number().nonnegative(),
    }),
    cpu_utilization_percent: cpu,
  }),
});
const failed = z.object({ error: z.string() });

export interface Iperf3Result {
  /** What the receiver counted: bytes in flight when the sender stops don't count. */
  readonly bitsPerSecond: number;
  readonly retransmits: number;
  /** Of one core, both ends. */
  readonly cpuPercent: { readonly sender: number; readonly receiver: number };
}

/** What a UDP client's run showed. */
export interface Iperf3UdpResult {
  /** What the receiver counted. */
  readonly bitsPerSecond: number;
  /** Packets that were sent, as the receiver tells by their numbers. */
  readonly packets: number;
  readonly lostPackets: number;
  /** Smoothed as RFC 1889 says; the mean over the streams. */
  readonly jitterMilliseconds: number;
  readonly cpuPercent: Iperf3Result["cpuPercent"];
}

/** Reads `iperf3 --json` of a TCP client. Throws with iperf3's own words where it failed, and where the text is cut short. */
export function parseIperf3(json: string): Iperf3Result {
  const { end } = finished.parse(reported(json));
  return {
    bitsPerSecond: end.sum_received.bits_per_second,
    retransmits: end.sum_sent.retransmits ?? 0,
    cpuPercent: cpuPercentOf(end),
  };
}

/** Reads `iperf3 --udp --json`. Throws as parseIperf3 does. */
export function parseIperf3Udp(json: string): Iperf3UdpResult {
  const { end } = finishedUdp.parse(reported(json));
  const { bits_per_second, packets, lost_packets, jitter_ms } = end.sum_received;
  return {
    bitsPerSecond: bits_per_second,
    packets,
    lostPackets: Math.max(0, lost_packets),
    jitterMilliseconds: jitter_ms,
    cpuPercent: cpuPercentOf(end),
  };
}

function cpuPercentOf({
  cpu_utilization_percent: used,
}: {
  readonly cpu_utilization_percent: z.infer<typeof cpu>;
}): Iperf3Result["cpuPercent"] {
  return { sender: used.host_total, receiver: used.remote_total };
}

function reported(json: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Error(json.trim() === "" ? "iperf3 printed nothing" : "iperf3's JSON is cut short");
  }
  const error = failed.safeParse(value);
  if (error.success) throw new Error(`iperf3: ${error.data.error}`);
  return value;
}
