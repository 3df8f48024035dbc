import { z } from "zod";
import { images } from "../../datapath/config/images.ts";
import { modeChange } from "../../datapath/run/run.ts";
import { verificationSettings } from "../spec.ts";

/** What the verification of a cluster is given on standard input. */
export const clusterSpec = z.strictObject({
  lab: z.strictObject({ project: z.string(), stack: z.string() }),
  kubeconfig: z.string().meta({ description: "Text. Secret: it never appears in arguments, output or errors." }),
  context: z.string().exactOptional(),
  datapath: z
    .record(z.string(), z.unknown())
    .exactOptional()
    .meta({ description: "As in the config; where absent what the cluster's cilium-config asks for." }),
  instead: z
    .strictObject({ mode: z.string(), routes: z.string().exactOptional() })
    .exactOptional()
    .meta({ description: "Without datapath: the mode that should hold, all else as cilium-config has it." }),
  images,
  pods: z.enum(["standing", "own"]).meta({
    description:
      "Whether the pods to verify with stand in namespace datapath-lab, or are made for this and removed again.",
  }),
  podsTimeoutSeconds: z.int().default(300).meta({ description: "How long they may take to be ready." }),
  modeChange: modeChange.exactOptional().meta({ description: "What the roll-out saw, for the run." }),
  settings: verificationSettings,
  runsFolder: z.string().meta({ description: "Where the run is kept, relative to the working directory." }),
});

export type ClusterSpec = z.input<typeof clusterSpec>;
