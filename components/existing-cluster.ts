import { readFileSync } from "node:fs";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ExistingClusterMachines } from "../datapath/config/existing-cluster.ts";
import { kubeconfigFile } from "../verification/kubeconfig.ts";
import { refusal } from "./refusal.ts";

export interface ExistingClusterArgs {
  readonly machines: Omit<ExistingClusterMachines, "mtuBytes">;
  /** The stack's secret `kubeconfig`, its text; the file is read where absent. */
  readonly kubeconfig?: pulumi.Input<string>;
}

/** A Kubernetes cluster that stands already, whoever made it. */
export class ExistingCluster extends pulumi.ComponentResource {
  /** Text, secret. */
  public readonly kubeconfig: pulumi.Output<string>;
  public readonly context: string | undefined;
  public readonly provider: kubernetes.Provider;

  constructor(name: string, args: ExistingClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    const { machines } = args;
    super("datapath-lab:index:ExistingCluster", name, { context: machines.context }, opts);
    this.kubeconfig = pulumi.secret(args.kubeconfig ?? readKubeconfig(machines.kubeconfig));
    this.context = machines.context;
    this.provider = new kubernetes.Provider(
      `${name}-api`,
      {
        kubeconfig: this.kubeconfig,
        ...(machines.context === undefined ? {} : { context: machines.context }),
        // Another address or another credential is no other cluster.
        clusterIdentifier: `${pulumi.getProject()}/${pulumi.getStack()}`,
        // What an update made that was killed before it could note it.
        upsertExistingObjects: true,
      },
      { parent: this },
    );
    this.registerOutputs({});
  }
}

/** Reads the kubeconfig from the path in the config, or from where kubectl has it. Throws a refusal that names the file. */
function readKubeconfig(configured: string | undefined): string {
  const file = kubeconfigFile(configured);
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw refusal(
      new Error(
        `The kubeconfig ${file} can't be read (${reason}).\n` +
          `Write its path as machines.kubeconfig, or give its text: pulumi config set --secret kubeconfig <FILE`,
      ),
    );
  }
}
