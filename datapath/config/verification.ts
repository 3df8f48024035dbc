import { z } from "zod";

/** How much is measured, and what follows from a contradiction. */
export const verification = z.strictObject({
  samples: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .meta({ description: "iperf3 samples for each path and number of streams." }),
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
  runsFolder: z
    .string()
    .min(1)
    .default(".lab/runs")
    .meta({ description: "Folder in which each run is kept as a JSON file, relative to the project." }),
  occasion: z
    .string()
    .default("")
    .meta({ description: "Any text. A changed one makes the next up prove and measure again." }),
  enforce: z.boolean().default(true).meta({ description: "Fail the update when the evidence contradicts the plan." }),
});

export type Verification = z.infer<typeof verification>;
