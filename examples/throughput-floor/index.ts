import * as pulumi from "@pulumi/pulumi";
import { DatapathLab } from "datapath-lab";

const config = new pulumi.Config();
const mode = config.get<"vxlan" | "native">("mode", { allowedValues: ["vxlan", "native"] }) ?? "native";
const floorPercent = config.getNumber("floorPercent") ?? 50;

const lab = new DatapathLab("lab", {
  machines: { kind: "namespaces", count: 2 },
  datapath: { mode },
  verification: { samples: 3, durationSeconds: 1, streams: [1], latencyUnderLoad: false },
});

/** What pods get of the bare nodes' throughput, with one stream, in percent. */
export const percent = pulumi.output(lab.verification).apply((run) => {
  const ratio = run.ratio["1"];
  if (ratio === undefined) throw new pulumi.RunError("Nothing was measured.");
  const found = Math.round(ratio * 100);
  if (found < floorPercent) {
    throw new pulumi.RunError(`${mode}: pods get ${found} % of the nodes' throughput, ${floorPercent} % is the least.`);
  }
  return found;
});
export const verdict = pulumi.output(lab.verification).apply((run) => run.verdict);
