import { z } from "zod";
import type { Verification } from "../datapath/config/verification.ts";
import type { NodePlan } from "../datapath/plan/plan.ts";

/** How much is measured, and whether a contradiction ends in failure. */
export const verificationSettings = z.strictObject({
  samples: z.int(),
  durationSeconds: z.int(),
  streams: z.array(z.int()).min(1),
  warmUpSeconds: z.int(),
  udpMegabitsPerSecond: z.int().meta({ description: "0: no UDP samples." }),
  latencyUnderLoad: z.boolean(),
  sameNode: z.boolean(),
  enforce: z.boolean(),
});

export type VerificationSettings = z.infer<typeof verificationSettings>;

/** Of the config's section, what the program that verifies is told. */
export function settingsOf(section: Verification): VerificationSettings {
  return z.object(verificationSettings.shape).parse(section);
}

/** What the verification program is given on standard input. Everything in it is known at preview. */
export const verificationSpec = z.strictObject({
  lab: z.strictObject({ project: z.string(), stack: z.string(), kind: z.enum(["namespaces", "cluster"]) }),
  datapath: z.record(z.string(), z.unknown()),
  pool: z.string().meta({ description: "The CIDR that holds every pod CIDR." }),
  nodes: z
    .array(
      z.object({
        name: z.string(),
        address: z.string(),
        podCidr: z.string(),
        namespace: z.string(),
        pod: z.object({ namespace: z.string(), address: z.string() }),
        secondPod: z.object({ namespace: z.string(), address: z.string() }).exactOptional(),
      }),
    )
    .min(2),
  // Made by planFor in the program that gives it: its shape is the compiler's business, not a parser's.
  plan: z.array(z.custom<NodePlan>((value) => typeof value === "object" && value !== null)),
  features: z
    .array(
      z.object({ name: z.string(), requested: z.string(), effective: z.string(), reason: z.string().exactOptional() }),
    )
    .meta({ description: "What was asked for, feature by feature, and what will be in effect on such machines." }),
  settings: verificationSettings,
  runsFolder: z.string().meta({ description: "Where the run is kept, relative to the working directory." }),
});

export type VerificationSpec = z.infer<typeof verificationSpec>;
