import { z } from "zod";

/** Version of the run file's shape. It grows by one when a reader of the old shape would misread the new one. */
export const runSchemaVersion = 1;

/** One judged statement about one node. */
export const check = z.strictObject({
  node: z.string(),
  name: z.string().meta({ description: "What was looked at, the same on every node: `link cilium_vxlan`." }),
  expected: z.string(),
  found: z.string(),
  ok: z.boolean().nullable().meta({ description: "null: there was no evidence to judge by." }),
});
export type Check = z.infer<typeof check>;

export const verdict = z.enum(["confirmed", "contradicted", "incomplete"]);
export type Verdict = z.infer<typeof verdict>;

/** Between which two ends a sample was taken. */
export const path = z.enum(["podToPod", "nodeToNode"]);
export type Path = z.infer<typeof path>;

/** One iperf3 sample, also where it failed. */
export const sample = z.strictObject({
  path,
  streams: z.int().positive(),
  round: z.int().positive().meta({ description: "Samples of one round were taken one right after another." }),
  from: z.string(),
  to: z.string(),
  startedAt: z.iso.datetime(),
  durationSeconds: z.number(),
  result: z.discriminatedUnion("outcome", [
    z.strictObject({
      outcome: z.literal("measured"),
      bitsPerSecond: z.number().nonnegative().meta({ description: "As the receiver counted." }),
      retransmits: z.int().nonnegative(),
      cpuPercent: z
        .strictObject({ sender: z.number(), receiver: z.number() })
        .meta({ description: "iperf3's own use of one core, at both ends." }),
    }),
    z.strictObject({ outcome: z.literal("failed"), reason: z.string() }),
  ]),
});
export type Sample = z.infer<typeof sample>;

/** Figures over samples of one kind. Absent figures: no sample succeeded. */
export const figures = z.strictObject({
  samples: z.array(z.number()).meta({ description: "In the order they were taken; failed ones are not among them." }),
  failed: z.int().nonnegative(),
  median: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
});
export type Figures = z.infer<typeof figures>;

const byStreams = <T extends z.ZodType>(value: T) => z.record(z.string().regex(/^\d+$/), value);
const byPath = <T extends z.ZodType>(value: T) => z.strictObject({ podToPod: value, nodeToNode: value });

/** Round-trip times in milliseconds. */
export const latency = z.strictObject({
  sent: z.int().nonnegative(),
  received: z.int().nonnegative(),
  medianMilliseconds: z.number().optional(),
  p90Milliseconds: z.number().optional(),
  p99Milliseconds: z.number().optional(),
  minimumMilliseconds: z.number().optional(),
  maximumMilliseconds: z.number().optional(),
});
export type Latency = z.infer<typeof latency>;

/** One verification: what was asked for, what was found, what was measured. */
export const run = z.strictObject({
  schemaVersion: z.literal(runSchemaVersion),
  id: z.string(),
  time: z.iso.datetime().meta({ description: "When the run began, UTC." }),
  elapsedSeconds: z.number(),
  lab: z.strictObject({ project: z.string(), stack: z.string(), kind: z.enum(["namespaces", "cluster"]) }),
  datapath: z.record(z.string(), z.unknown()).meta({ description: "The datapath that was asked for, normalised." }),
  plan: z.array(z.record(z.string(), z.unknown())).meta({ description: "What had to hold, per node." }),
  nodes: z.array(
    z.strictObject({ name: z.string(), address: z.string(), podCidr: z.string(), kernel: z.string().optional() }),
  ),
  kernel: z.string(),
  versions: z.record(z.string(), z.string()),
  conditions: z.strictObject({
    cpuModel: z.string(),
    cpuCount: z.int(),
    offloads: z
      .record(z.string(), z.record(z.string(), z.string()))
      .meta({ description: "ethtool -k of eth0, by node." }),
    settings: z.strictObject({
      samples: z.int(),
      durationSeconds: z.number(),
      streams: z.array(z.int()),
    }),
  }),
  verdict,
  checks: z.array(check),
  samples: z.array(sample),
  throughput: byPath(byStreams(figures)).meta({ description: "Bits per second, by number of TCP streams." }),
  retransmits: byPath(byStreams(figures)).meta({ description: "TCP segments sent again in one sample." }),
  ratio: byStreams(z.number()).meta({ description: "Median pod-to-pod throughput divided by median node-to-node." }),
  latency: byPath(latency),
});
export type Run = z.infer<typeof run>;
