import { z } from "zod";

/** Version of the run file's shape. It grows by one when a reader of the old shape would misread the new one. */
export const runSchemaVersion = 1;

/** One judged statement about one node. */
const check = z.strictObject({
  node: z.string(),
  name: z.string().meta({ description: "What was looked at, the same on every node: `link cilium_vxlan`." }),
  expected: z.string(),
  found: z.string(),
  ok: z.boolean().nullable().meta({ description: "null: there was no evidence to judge by." }),
});
export type Check = z.infer<typeof check>;

const verdict = z.enum(["confirmed", "contradicted", "incomplete"]);
export type Verdict = z.infer<typeof verdict>;

/** Between which two ends a sample was taken. The two pods of `podToPodSameNode` share a node, so no wire is between them. */
const path = z.enum(["podToPod", "nodeToNode", "podToPodSameNode"]);
export type Path = z.infer<typeof path>;

const cpuPercent = z
  .strictObject({ sender: z.number(), receiver: z.number() })
  .meta({ description: "CPU use at both ends as iperf3 counts it, in percent of one core." });
const failed = z.strictObject({ outcome: z.literal("failed"), reason: z.string() });
const sampleOf = {
  path,
  streams: z.int().positive(),
  round: z.int().positive().meta({ description: "Samples of one round were taken one right after another." }),
  from: z.string().meta({ description: "The sending node." }),
  to: z.string().meta({ description: "The receiving node." }),
  startedAt: z.iso.datetime(),
  durationSeconds: z.number(),
};

/** One iperf3 sample, also where it failed. */
const sample = z.discriminatedUnion("protocol", [
  z.strictObject({
    protocol: z.literal("tcp"),
    ...sampleOf,
    result: z.discriminatedUnion("outcome", [
      z.strictObject({
        outcome: z.literal("measured"),
        bitsPerSecond: z.number().nonnegative().meta({ description: "As the receiver counted." }),
        retransmits: z.int().nonnegative(),
        cpuPercent,
      }),
      failed,
    ]),
  }),
  z.strictObject({
    protocol: z.literal("udp"),
    ...sampleOf,
    rateBitsPerSecond: z.number().positive().meta({ description: "The rate asked for, over all streams." }),
    result: z.discriminatedUnion("outcome", [
      z.strictObject({
        outcome: z.literal("measured"),
        bitsPerSecond: z.number().nonnegative().meta({ description: "As the receiver counted." }),
        packets: z.int().nonnegative().meta({ description: "Packets that the sender sent." }),
        lostPackets: z.int().nonnegative(),
        jitterMilliseconds: z.number().nonnegative(),
        cpuPercent,
      }),
      failed,
    ]),
  }),
]);
export type Sample = z.infer<typeof sample>;

/** A two-sided confidence interval. How it is computed stands in docs/run-schema.md. */
const interval = z.strictObject({
  level: z.number().gt(0).lt(1).meta({ description: "0.95 for a 95 % interval." }),
  lower: z.number(),
  upper: z.number(),
});
export type Interval = z.infer<typeof interval>;

/** Figures over samples of one kind. Absent figures: no sample succeeded, or too few did. */
const figures = z.strictObject({
  samples: z.array(z.number()).meta({ description: "In the order they were taken; failed ones are not among them." }),
  failed: z.int().nonnegative(),
  median: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  mean: z.number().optional(),
  coefficientOfVariation: z
    .number()
    .nonnegative()
    .optional()
    .meta({ description: "Sample standard deviation divided by the mean; from two samples on." }),
  confidence: interval.optional().meta({ description: "Confidence interval of the mean; from two samples on." }),
});
export type Figures = z.infer<typeof figures>;

const byStreams = <T extends z.ZodType>(value: T) => z.record(z.string().regex(/^\d+$/), value);
const byPath = <T extends z.ZodType>(value: T) =>
  z.strictObject({ podToPod: value, nodeToNode: value, podToPodSameNode: value.optional() });

/** Round-trip times in milliseconds. Percentiles are absent where no reply came. */
const latency = z.strictObject({
  sent: z.int().nonnegative(),
  received: z.int().nonnegative(),
  medianMilliseconds: z.number().optional().meta({ description: "The 50th percentile." }),
  p90Milliseconds: z.number().optional(),
  p99Milliseconds: z.number().optional(),
  minimumMilliseconds: z.number().optional(),
  maximumMilliseconds: z.number().optional(),
  milliseconds: z
    .array(z.number().nonnegative())
    .optional()
    .meta({ description: "Every round-trip time, in the order the replies came." }),
});
export type Latency = z.infer<typeof latency>;

/** What UDP samples at a set rate showed. */
const udpFigures = z.strictObject({
  rateBitsPerSecond: z.number().positive().meta({ description: "The rate asked for, over all streams." }),
  bitsPerSecond: figures,
  lossPercent: figures,
  jitterMilliseconds: figures,
});
export type UdpFigures = z.infer<typeof udpFigures>;

/** One feature of the datapath as it was asked for, and as it was found in effect. */
const feature = z.strictObject({
  name: z.string().meta({ description: "`routing`, `masquerading`, `host routing`, …" }),
  requested: z.string(),
  effective: z.string().optional().meta({ description: "Absent: nothing showed what is in effect." }),
  reason: z.string().optional().meta({
    description:
      "Why the two differ, why nothing showed it, or what else there is to know of it: a line of an agent's log.",
  }),
});
export type Feature = z.infer<typeof feature>;

/** Cilium's own word, from one agent. */
const agent = z.strictObject({
  node: z.string(),
  startedAt: z.iso.datetime().optional(),
  status: z
    .record(z.string(), z.string())
    .meta({ description: "Lines of `cilium status`: `Host Routing` to `Legacy`." }),
  options: z.record(z.string(), z.string()).meta({ description: "The agent's options after all fallbacks." }),
  warnings: z.array(z.string()).meta({ description: "Log lines in which the agent says that it falls back." }),
  logReachesStart: z.boolean().optional().meta({
    description:
      "false: what the agent said at its start, fallbacks among it, is no longer in its log, or that could not be read.",
  }),
});
export type Agent = z.infer<typeof agent>;

/** A change of mode, as two pods on two nodes saw it that pinged each other all the while. */
export const modeChange = z.strictObject({
  from: z.string(),
  to: z.string(),
  outageMilliseconds: z.number().nonnegative().meta({ description: "The longer of both directions." }),
  intervalMilliseconds: z
    .number()
    .positive()
    .optional()
    .meta({ description: "Between two pings: what an outage is known to within." }),
  directions: z
    .array(
      z.strictObject({
        from: z.string().meta({ description: "The pinging pod's node." }),
        to: z.string().meta({ description: "The answering pod's node." }),
        sent: z.int().nonnegative(),
        received: z.int().nonnegative(),
        outageMilliseconds: z.number().nonnegative().meta({ description: "The longest time without replies." }),
        over: z.boolean().meta({ description: "false: there were no replies at the end either." }),
      }),
    )
    .optional(),
});
export type ModeChange = z.infer<typeof modeChange>;

/** What to say behind an outage that was not over when it was read: routes by BGP come after the agents, and it is longer. */
export function stillCutOff({ directions }: Pick<ModeChange, "directions">): string {
  return directions?.some(({ over }) => !over) === true ? ", and longer: it was not over when it was read" : "";
}

/** One verification: what was asked for, what was found, what was measured. */
export const run = z.strictObject({
  schemaVersion: z.literal(runSchemaVersion),
  id: z.string(),
  time: z.iso.datetime().meta({ description: "When the run began, UTC." }),
  elapsedSeconds: z.number(),
  lab: z.strictObject({
    project: z.string(),
    stack: z.string(),
    kind: z.enum(["namespaces", "cluster"]),
    cluster: z
      .string()
      .optional()
      .meta({ description: "UID of the namespace kube-system: which cluster it was, whatever it is called." }),
  }),
  datapath: z.record(z.string(), z.unknown()).meta({ description: "The datapath that was asked for, normalised." }),
  plan: z.array(z.record(z.string(), z.unknown())).meta({ description: "What had to hold, per node." }),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      address: z.string(),
      podCidr: z.string(),
      device: z.string().optional().meta({ description: "The NIC that has the address." }),
      kernel: z.string().optional(),
    }),
  ),
  omittedNodes: z
    .array(z.strictObject({ name: z.string(), reason: z.string() }))
    .optional()
    .meta({
      description: "Nodes of the cluster of which nothing was read, and why: no pod to verify with stood there.",
    }),
  kernel: z.string(),
  versions: z.record(z.string(), z.string()),
  conditions: z.strictObject({
    cpuModel: z.string(),
    cpuCount: z.int(),
    offloads: z
      .record(z.string(), z.record(z.string(), z.string()))
      .meta({ description: "ethtool -k of the NIC towards the other nodes, by node." }),
    nicDrivers: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: "Driver of the same NIC, by node, where it is known." }),
    settings: z.strictObject({
      samples: z.int(),
      durationSeconds: z.number(),
      streams: z.array(z.int()),
      warmUpSeconds: z.number().nonnegative().optional(),
      udpRateBitsPerSecond: z.number().positive().optional(),
    }),
  }),
  verdict,
  checks: z.array(check),
  features: z.array(feature).optional().meta({ description: "Requested against effective, feature by feature." }),
  cilium: z.strictObject({ agents: z.array(agent) }).optional(),
  samples: z.array(sample),
  throughput: byPath(byStreams(figures)).meta({ description: "Bits per second, by number of TCP streams." }),
  retransmits: byPath(byStreams(figures)).meta({ description: "TCP segments sent again in one sample." }),
  ratio: byStreams(z.number()).meta({
    description: "Pod-to-pod throughput divided by node-to-node, round by round; the geometric mean of the rounds.",
  }),
  ratioConfidence: byStreams(interval).optional().meta({ description: "Confidence interval of the same." }),
  cpuPercent: byPath(byStreams(z.strictObject({ sender: figures, receiver: figures })))
    .optional()
    .meta({ description: "CPU use in TCP samples at both ends, in percent of one core." }),
  udp: z
    .strictObject({ podToPod: udpFigures, nodeToNode: udpFigures, podToPodSameNode: udpFigures })
    .partial()
    .optional(),
  latency: byPath(latency)
    .optional()
    .meta({ description: "While nothing else was sent. Absent where nothing was measured." }),
  latencyUnderLoad: byPath(latency).optional().meta({ description: "While one TCP stream filled the same path." }),
  modeChange: modeChange.optional().meta({
    description: "How long pods could not reach each other while the datapath changed to this one.",
  }),
});
export type Run = z.infer<typeof run>;
