import { z } from "zod";
import { images } from "./images.ts";

/** How much is measured, and what follows from a contradiction. */
export const verification = z.strictObject({
  samples: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .meta({ description: "Rounds: in each of them every path and number of streams is measured once." }),
  durationSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(2)
    .meta({ description: "Length of one iperf3 sample, in seconds." }),
  streams: z
    .array(z.int().min(1).max(128))
    .min(1)
    .default([1, 4])
    .meta({ description: "Numbers of parallel TCP streams to measure." }),
  warmUpSeconds: z.int().min(0).max(60).default(0).meta({
    description:
      "Seconds that iperf3 sends before each sample and leaves out of it. A wire needs one or two; within one machine what is sent before the first sample is enough.",
  }),
  udpMegabitsPerSecond: z.int().min(0).max(400_000).default(100).meta({
    description: "Rate of the UDP samples, from which loss and jitter come, in Mbit/s. 0 leaves them out.",
  }),
  latencyUnderLoad: z
    .boolean()
    .default(true)
    .meta({ description: "Measure round trips also while one TCP stream fills the same path." }),
  sameNode: z
    .boolean()
    .default(true)
    .meta({ description: "Measure also between two pods on the same node, where a lab has them." }),
  runsFolder: z
    .string()
    .min(1)
    .default(".lab/runs")
    .meta({ description: "Folder in which each run is kept as a JSON file, relative to the project." }),
  occasion: z
    .string()
    .default("")
    .meta({ description: "Any text. A changed one makes the next up prove and measure again." }),
  images: images.prefault({}).meta({ description: "Images of the pods that prove and measure, on clusters." }),
  enforce: z.boolean().default(true).meta({ description: "Fail the update when the evidence contradicts the plan." }),
});

export type Verification = z.infer<typeof verification>;
