import { z } from "zod";
import { ipv4Address } from "./fields.ts";
import { jumpHost, sshHost } from "./ssh.ts";

const host = z.strictObject({
  name: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "lower-case letters, digits and hyphens")
    .meta({
      description:
        "The node's name in the cluster. It stands for one machine, however that is reached: give another machine another name.",
    }),
  ...sshHost,
  nodeAddress: ipv4Address.optional().meta({
    description: "The address by which nodes reach each other; address where it is not given.",
  }),
  jump: jumpHost.optional().meta({ description: "Host through which this one is reached." }),
});

/** Machines that exist already. Nothing is made and nothing removed but what later steps bring. */
export const existingHosts = z.strictObject({
  kind: z.literal("hosts"),
  hosts: z.array(host).min(2).max(64).meta({ description: "The machines, 2 to 64; the first is the K3s server." }),
  mtuBytes: z.int().min(1280).max(65535).default(1500).meta({ description: "MTU between the machines, in bytes." }),
  minimumDiskGibibytes: z
    .number()
    .min(0)
    .default(5)
    .meta({ description: "Free space that /var/lib must have, in GiB." }),
  minimumMemoryMebibytes: z
    .number()
    .min(0)
    .default(900)
    .meta({ description: "Memory that must be available, in MiB." }),
  maximumClockSkewSeconds: z.number().positive().default(5).meta({
    description: "How far a host's clock may be from this machine's, in seconds.",
  }),
});

export type ExistingHosts = z.infer<typeof existingHosts>;
export type ExistingHost = ExistingHosts["hosts"][number];
