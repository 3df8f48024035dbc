import { z } from "zod";

/** No machines: a Kubernetes cluster that stands already. */
export const existingClusterMachines = z.strictObject({
  kind: z.literal("none"),
  kubeconfig: z.string().min(1).optional().meta({
    description: "Path of the kubeconfig; where absent the stack's secret config value kubeconfig, else KUBECONFIG.",
  }),
  context: z.string().min(1).optional().meta({ description: "Context in it; its current one where absent." }),
});

export type ExistingClusterMachines = z.infer<typeof existingClusterMachines>;
