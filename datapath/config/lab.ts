import { z } from "zod";
import { cilium } from "./cilium.ts";
import { cluster } from "./cluster.ts";
import { datapath } from "./datapath.ts";
import { k3s } from "./k3s.ts";
import { machines } from "./machines.ts";
import { verification } from "./verification.ts";

/** Everything a stack asks for: the one shape that stack config, `--file` and the program's components share. */
export const labConfig = z.strictObject({
  machines: machines.prefault({ kind: "namespaces" }).meta({ description: "What the lab stands on." }),
  datapath: datapath.prefault({ mode: "vxlan" }).meta({ description: "How packets of pods travel between nodes." }),
  cluster: cluster.prefault({}).meta({ description: "What holds for the whole Kubernetes cluster." }),
  k3s: k3s.prefault({}).meta({ description: "How the machines become a K3s cluster." }),
  cilium: cilium.prefault({}).meta({ description: "How Cilium gets onto the cluster." }),
  verification: verification.prefault({}).meta({ description: "How much is measured, and what a contradiction does." }),
  strict: z.boolean().default(false).meta({ description: "Treat warnings as errors." }),
});

export type LabConfig = z.infer<typeof labConfig>;

/** The same as people write it: what has a default may be left out. */
export type LabConfigInput = z.input<typeof labConfig>;
