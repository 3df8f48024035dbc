// What other Pulumi programs import: import { DatapathLab } from "datapath-lab".
export { DatapathLab, type DatapathLabArgs, type MachineOutput } from "./lab.ts";
export type { EmbeddedNode } from "./embedded-lab.ts";
export type { LabConfig, LabConfigInput } from "../datapath/config/index.ts";
export type { NodePlan } from "../datapath/plan/plan.ts";
export type { Check, Run, Verdict } from "../datapath/run/run.ts";
