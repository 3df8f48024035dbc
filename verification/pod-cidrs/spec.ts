import { z } from "zod";

/** What the program that reads pod CIDRs is given on standard input. */
export const podCidrsSpec = z.strictObject({
  /** Secret: it never appears in arguments, output or errors. */
  kubeconfig: z.string(),
  context: z.string().optional(),
  /** Names of the nodes. */
  nodes: z.array(z.string()).min(1),
  limitSeconds: z.number(),
});

export type PodCidrsSpec = z.infer<typeof podCidrsSpec>;

/** What it prints: each node's pod CIDR, by its name. */
export const podCidrs = z.record(z.string(), z.string());

export type PodCidrs = z.infer<typeof podCidrs>;
