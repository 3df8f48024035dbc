import * as pulumi from "@pulumi/pulumi";
import { DatapathLab } from "./components/lab.ts";
import { labOfStack } from "./components/stack-config.ts";

const lab = new DatapathLab(pulumi.getStack(), labOfStack(pulumi.getProject()));

export const datapath = lab.datapath;
export const nodes = lab.nodes;
export const plan = lab.plan;
export const verification = lab.verification;
export const access = lab.access;
export const kubeconfig = lab.kubeconfig;
