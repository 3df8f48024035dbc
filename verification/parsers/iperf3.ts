import { z } from "zod";

const finished = z.object({
  end: z.object({
    sum_sent: z.object({ retransmits: z.number().optional() }),
    sum_received: z.object({ bits_per_second: z.number(), seconds: z.number() }),
    cpu_utilization_percent: z.object({ host_total: z.number(), remote_total: z.number() }),
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

/** Reads `iperf3 --json` of a TCP client. Throws with iperf3's own words where it failed, and where the text is cut short. */
export function parseIperf3(json: string): Iperf3Result {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Error(json.trim() === "" ? "iperf3 printed nothing" : "iperf3's JSON is cut short");
  }
  const error = failed.safeParse(value);
  if (error.success) throw new Error(`iperf3: ${error.data.error}`);
  const { end } = finished.parse(value);
  return {
    bitsPerSecond: end.sum_received.bits_per_second,
    retransmits: end.sum_sent.retransmits ?? 0,
    cpuPercent: { sender: end.cpu_utilization_percent.host_total, receiver: end.cpu_utilization_percent.remote_total },
  };
}
