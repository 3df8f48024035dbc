import * as pulumi from "@pulumi/pulumi";
import { DatapathLab } from "./components/lab.ts";
import { labOfStack } from "./components/stack-config.ts";

const { datapath, nodes, plan, verification, access, kubeconfig } = new DatapathLab(
  pulumi.getStack(),
  labOfStack(pulumi.getProject()),
);

// An object, since an output that some stacks don't have would be warned of.
export default { datapath, nodes, plan, verification, access, ...(kubeconfig === undefined ? {} : { kubeconfig }) };
