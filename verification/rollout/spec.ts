import { z } from "zod";
import { modeChange } from "../../datapath/run/run.ts";

/** What the waiting program is given on standard input. */
export const rolloutSpec = z.strictObject({
  /** Secret: it never appears in arguments, output or errors. */
  kubeconfig: z.string(),
  context: z.string().optional(),
  restartPods: z.enum(["lab", "all"]),
  limitSeconds: z.number(),
  /** Names of CustomResourceDefinitions that have to be Established. */
  definitions: z.array(z.string()),
  /** Whether the release was uninstalled and installed anew: pods have no network then until they are made anew. */
  replaced: z.boolean(),
  /** How agents are restarted that began before their configuration was written; left alone where absent. */
  restartAgents: z.enum(["together", "node-by-node"]).optional(),
  /** Whose routes to pods an earlier datapath may have left on nodes, to be taken away. */
  leftRoutes: z.array(z.enum(["agent", "kube-router"])),
});

export type RolloutSpec = z.infer<typeof rolloutSpec>;

/** Label, with any value, of the pods that the lab makes. */
export const labPodLabel = "datapath-lab/workload";

/** What the program prints: who runs with what, and what was restarted. */
export const rolloutResult = z.strictObject({
  agents: z.array(z.strictObject({ node: z.string(), pod: z.string() })),
  /** `NAMESPACE/NAME` of pods that were deleted to be made anew. */
  restarted: z.array(z.string()),
  /** `NAMESPACE/NAME` of pods that keep the network they were made with. */
  left: z.array(z.string()),
  /** Absent where it was not seen; then the next field says why. */
  modeChange: modeChange.optional(),
  modeChangeUnmeasured: z.string().optional(),
  seconds: z.number(),
});

export type RolloutResult = z.infer<typeof rolloutResult>;
