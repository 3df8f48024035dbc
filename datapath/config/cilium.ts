import { z } from "zod";

const relativePath = z.string().check((context) => {
  if (context.value !== "" && !context.value.startsWith("/") && !context.value.includes("://")) return;
  context.issues.push({
    code: "custom",
    input: context.value,
    message: `${JSON.stringify(context.value)} is no path relative to the project's folder.`,
    params: {
      wayOut: "Write it from Pulumi.yaml's folder, so that it means the same everywhere: charts/cilium-1.13.4.tgz.",
    },
  });
});

/** How Cilium gets onto the cluster; what its datapath is says the section `datapath`. */
export const cilium = z.strictObject({
  chart: z
    .strictObject({
      repository: z
        .url()
        .default("https://helm.cilium.io")
        .meta({ description: "Chart repository; read at every preview." }),
      version: z
        .literal("1.13.4")
        .default("1.13.4")
        .meta({ description: "The version that the datapath's rules are of." }),
      archive: relativePath
        .optional()
        .meta({ description: "Chart as file or folder, relative to Pulumi.yaml, instead of the repository." }),
    })
    .prefault({})
    .meta({ description: "Where the chart comes from." }),
  manage: z
    .boolean()
    .default(true)
    .meta({ description: "false leaves the release as it is: its datapath is only verified." }),
  adopt: z
    .boolean()
    .default(false)
    .meta({ description: "Take over a Cilium that something else, or another stack, installed in kube-system." }),
  rollOut: z.enum(["together", "node-by-node"]).default("together").meta({
    description:
      "Nodes in different modes can't reach each other's pods: a change of datapath takes all agents together. node-by-node is for changes beside it.",
  }),
  strategy: z.enum(["upgrade", "replace"]).default("upgrade").meta({
    description:
      "What a change of values does to an existing release: upgrade it; or replace it, which uninstalls it, cleans the nodes, installs it again and recreates every pod.",
  }),
  restartPods: z.enum(["lab", "all"]).default("lab").meta({
    description:
      "Which of the pods that are older than the datapath are recreated: they keep their routes' MTU until then.",
  }),
  releaseTimeoutSeconds: z.int().min(30).max(3600).default(600).meta({ description: "Limit for Helm itself." }),
  rolloutTimeoutSeconds: z
    .int()
    .min(10)
    .max(3600)
    .default(600)
    .meta({ description: "Limit for every agent to run with the current config; the first has images to pull." }),
});

export type Cilium = z.infer<typeof cilium>;
