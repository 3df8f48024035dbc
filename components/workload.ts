import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Images } from "../datapath/config/images.ts";
import { labNamespace, renderWorkload } from "../verification/cluster/workload.ts";

export interface WorkloadArgs {
  readonly images: Images;
}

/**
 * The standing pods of a cluster that prove and measure its datapath: namespace `datapath-lab` with the DaemonSets `probe`
 * (host network), `workload` and `neighbour` (pod network, label `datapath-lab/workload`). They stand through changes of the
 * datapath, so that what a change costs can be seen between them. Nothing waits for them here: the verification does, and
 * says which pod is missing and why. Make it after Cilium; the Kubernetes provider is in `opts`.
 */
export class Workload extends pulumi.ComponentResource {
  public readonly namespace = labNamespace;

  constructor(name: string, { images }: WorkloadArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:index:Workload", name, {}, opts);
    const rendered = renderWorkload(images, { namespace: labNamespace, owner: "pulumi" });
    const namespace = new kubernetes.core.v1.Namespace(`${name}-namespace`, rendered.namespace, {
      parent: this,
      // A component's own wait is no child's: without it the network could go before the pods, which then never end.
      ...(opts?.dependsOn === undefined ? {} : { dependsOn: opts.dependsOn }),
    });
    for (const { metadata, spec } of rendered.daemonSets) {
      new kubernetes.apps.v1.DaemonSet(
        `${name}-${metadata.name}`,
        { metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } }, spec },
        // With the namespace go all of them.
        { parent: this, dependsOn: namespace, deletedWith: namespace },
      );
    }
    this.registerOutputs({});
  }
}
