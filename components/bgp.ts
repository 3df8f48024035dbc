import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { bgpDatapath, kubeRouter, peeringPolicy } from "../datapath/bgp/kubernetes.ts";
import type { Datapath } from "../datapath/config/datapath.ts";

export interface BgpRoutesArgs {
  readonly datapath: Datapath;
}

/**
 * Who carries a cluster's routes by BGP: kube-router as a DaemonSet, or the peering policy of Cilium's own control plane. Makes
 * nothing where routes are not by BGP. Make it after Cilium's roll-out (`dependsOn`), with `bgpDefinitions` among the
 * definitions that the roll-out waits for; the Kubernetes provider is in `opts`.
 */
export class BgpRoutes extends pulumi.ComponentResource {
  constructor(name: string, { datapath }: BgpRoutesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("datapath-lab:index:BgpRoutes", name, {}, opts);
    const parent = { parent: this };
    const byBgp = bgpDatapath(datapath);
    if (byBgp !== undefined) {
      const policy = peeringPolicy(byBgp);
      if (policy === undefined) {
        const { serviceAccount, clusterRole, clusterRoleBinding, daemonSet } = kubeRouter(byBgp);
        const account = new kubernetes.core.v1.ServiceAccount(`${name}-account`, serviceAccount, parent);
        const role = new kubernetes.rbac.v1.ClusterRole(`${name}-role`, clusterRole, parent);
        const binding = new kubernetes.rbac.v1.ClusterRoleBinding(`${name}-binding`, clusterRoleBinding, {
          ...parent,
          dependsOn: [account, role],
        });
        new kubernetes.apps.v1.DaemonSet(`${name}-kube-router`, daemonSet, { ...parent, dependsOn: binding });
      } else {
        new kubernetes.apiextensions.CustomResource(`${name}-peering-policy`, policy, parent);
      }
    }
    this.registerOutputs({});
  }
}
