import { rule, type Rule } from "./rule.ts";

/** What a cluster that the lab did not make can't be expected to have. */
export const existingClusterRules: readonly Rule[] = [
  rule({
    id: "existing-cluster-has-api-address",
    severity: "warning",
    key: "datapath.kubeProxyReplacement.k8sServiceHost",
    when: "strict kube-proxy replacement on an existing cluster (none), and the API server's address is left at 127.0.0.1",
    message:
      "Agents without kube-proxy reach the API server at 127.0.0.1, where only nodes of K3s and RKE2 have a proxy to it: elsewhere they never start.",
    wayOut: "Write the API server's address and port as kubeProxyReplacement.k8sServiceHost and .k8sServicePort.",
    source: "1.13.4 chart, templates/_helpers.tpl; K3s v1.26.6 pkg/agent/loadbalancer",
    breaks: ({ machines, datapath: { kubeProxyReplacement }, cilium }) =>
      machines.kind === "none" &&
      cilium.manage &&
      kubeProxyReplacement.mode === "strict" &&
      kubeProxyReplacement.k8sServiceHost === "127.0.0.1",
  }),
];
