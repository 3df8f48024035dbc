/** Replies to pings that were sent at an interval, while something changed between two pods. */
export interface ReplyLog {
  /** In the order they came. */
  readonly replies: readonly { readonly sequence: number; readonly seconds: number }[];
  /** How many were sent; sequence numbers begin at 1. */
  readonly sent: number;
}

/** The longest time for which one direction was cut off. */
export interface Outage {
  /** To within one interval. 0: no ping stayed without its reply. */
  readonly milliseconds: number;
  /** Whether replies came again at the end. */
  readonly over: boolean;
}

/**
 * The longest time without replies, counted from when the first missing one was due to the next that came. A reply that was merely
 * late is no outage: only pings that were never answered count.
 */
export function longestOutage({ replies, sent }: ReplyLog, intervalMilliseconds: number): Outage {
  const first = replies[0];
  const last = replies.reduce((highest, { sequence }) => Math.max(highest, sequence), 0);
  // When there is no reply on one side, the count of pings is all there is to go by.
  const before = first === undefined ? 0 : (first.sequence - 1) * intervalMilliseconds;
  // The last ping was sent a moment ago; its reply may be on its way.
  const over = last > 0 && sent - last <= 1;
  const after = over ? 0 : (sent - last) * intervalMilliseconds;
  const between = replies.slice(1).map((reply, index) => {
    const earlier = replies[index];
    if (earlier === undefined || reply.sequence - earlier.sequence <= 1) return 0;
    return (reply.seconds - earlier.seconds) * 1000 - intervalMilliseconds;
  });
  return { milliseconds: Math.round(Math.max(before, after, 0, ...between)), over };
}

/**
 * In words how packets travel between nodes, from the data of the ConfigMap `cilium-config`. As far as it can be read there: who carries
 * routes beside Cilium can't.
 */
export function configuredMode(options: Readonly<Record<string, string>>): string {
  const tunnel = options["tunnel"] ?? "vxlan";
  if (tunnel !== "disabled") return tunnel;
  return options["auto-direct-node-routes"] === "true" ? "native, direct routes" : "native, routes by the network";
}
