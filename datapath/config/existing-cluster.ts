import { z } from "zod";

/** No machines: a Kubernetes cluster that stands already. */
export const existingClusterMachines = z.strictObject({
  kind: z.literal("none"),
  kubeconfig: z.string().min(1).optional().meta({
    description: "Path of the kubeconfig; where absent the stack's secret config value kubeconfig, else KUBECONFIG.",
  }),
  context: z.string().min(1).optional().meta({ description: "Context in it; its current one where absent." }),
  mtuBytes: z.int().min(1280).max(65535).default(1500).meta({ description: "MTU between the nodes, in bytes." }),
});

/** The stack's secret config value with a kubeconfig's text. It is no part of the lab's config, which is printed. */
export const kubeconfigKey = "kubeconfig";

export type ExistingClusterMachines = z.infer<typeof existingClusterMachines>;
