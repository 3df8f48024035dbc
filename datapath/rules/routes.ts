import type { LabConfig } from "../config/lab.ts";
import { ipamModeFor, type IpamMode } from "../config/datapath.ts";
import { nodeCount } from "../machines/machine-facts.ts";
import { rule, type Rule } from "./rule.ts";

type Datapath = LabConfig["datapath"];

/** The cloud whose network carries the routes, if one does. */
export function cloudOf(datapath: Datapath): "gke" | "eni" | "azure" | undefined {
  return datapath.mode === "native" && datapath.routes.kind === "router"
    ? datapath.routes.integration?.cloud
    : undefined;
}

/** Who reads the pod CIDRs that an IPAM mode hands out, for each way of routing that can live with one mode only. */
function onlyIpamMode(datapath: Datapath): { readonly mode: IpamMode; readonly because: string } | undefined {
  if (datapath.mode !== "native") return undefined;
  const mode = ipamModeFor(datapath.routes);
  const cloud = cloudOf(datapath);
  if (cloud !== undefined) return { mode, because: `the ${cloud} integration takes pod addresses from the cloud` };
  return datapath.routes.kind === "bgp" && datapath.routes.speaker === "kube-router"
    ? { mode, because: "kube-router announces Node.spec.podCIDR" }
    : undefined;
}

export const routeRules: readonly Rule[] = [
  {
    id: "ipam-fits-routes",
    severity: "error",
    key: "datapath.ipam.mode",
    when: "kube-router, gke, eni or azure carry the routes and ipam.mode is not theirs; or eni or azure without their cloud",
    message: "Pods would get addresses that nobody routes.",
    wayOut: "Leave ipam.mode out: it follows from the routes.",
    source: "Cilium 1.13 documentation, kube-router, GKE, AWS ENI and Azure IPAM guides",
    violations: ({ datapath }) => {
      const { mode } = datapath.ipam;
      const only = onlyIpamMode(datapath);
      if (only !== undefined) {
        return only.mode === mode
          ? []
          : [
              {
                message: `${mode} gives pods addresses that nobody routes: ${only.because}.`,
                wayOut: `Write ${only.mode}, or leave ipam.mode out.`,
              },
            ];
      }
      return mode === "eni" || mode === "azure"
        ? [
            {
              message: `${mode} takes pod addresses from a cloud that carries no routes here.`,
              wayOut: `Write datapath.mode: native with routes: {kind: router, integration: ${mode}}, or leave ipam.mode out.`,
            },
          ]
        : [];
    },
  },
  rule({
    id: "eni-without-ipv6",
    severity: "error",
    key: "datapath.ipv6.enabled",
    when: "ipam.mode eni with IPv6",
    message: "The agent ends with: IPv6 cannot be enabled in ENI IPAM mode.",
    wayOut: "Turn ipv6.enabled off.",
    source: "1.13.4 pkg/option/config.go Validate",
    breaks: ({ datapath }) => datapath.ipam.mode === "eni" && datapath.ipv6.enabled,
  }),
  {
    id: "cloud-forces-conntrack",
    severity: "warning",
    key: "datapath.conntrackBypass",
    when: "conntrackBypass with gke, eni or azure",
    message: "The chart turns the bypass off silently: pod traffic passes connection tracking.",
    wayOut: "Turn conntrackBypass off.",
    source: "1.13.4 cilium-configmap.yaml:536",
    violations: ({ datapath }) => {
      const cloud = cloudOf(datapath);
      return cloud === undefined || !datapath.conntrackBypass
        ? []
        : [
            {
              message: `The chart turns the bypass off silently with ${cloud}: pod traffic passes connection tracking.`,
            },
          ];
    },
  },
  {
    id: "operator-replicas-fit-nodes",
    severity: "warning",
    key: "datapath.operatorReplicas",
    when: "more operator replicas than nodes",
    message: "Operators never share a node, so some stay Pending.",
    wayOut: "Ask for as many replicas as there are nodes, at most.",
    source: "1.13.4 chart, operator.affinity (required anti-affinity); cilium/cilium#30177",
    violations: ({ datapath, machines }) => {
      const nodes = nodeCount(machines);
      if (nodes === undefined || datapath.operatorReplicas <= nodes) return [];
      return [
        {
          message: `Operators never share a node: on ${nodes} nodes, ${datapath.operatorReplicas - nodes} of ${datapath.operatorReplicas} would stay Pending.`,
          wayOut: `Write ${nodes} or less.`,
        },
      ];
    },
  },
  rule({
    id: "hubble-relay-needs-hubble",
    severity: "error",
    key: "datapath.hubble.relay",
    when: "Hubble relay without Hubble",
    message: "Helm refuses: Hubble Relay requires hubble.enabled=true.",
    wayOut: "Turn hubble.enabled on, or hubble.relay off.",
    source: "1.13.4 chart, templates/validate.yaml",
    breaks: ({ datapath }) => datapath.hubble.relay && !datapath.hubble.enabled,
  }),
  rule({
    id: "hubble-ui-needs-relay",
    severity: "error",
    key: "datapath.hubble.ui",
    when: "Hubble UI without Hubble relay",
    message: "Helm refuses: Hubble UI requires hubble.relay.enabled=true.",
    wayOut: "Turn hubble.relay on, or hubble.ui off.",
    source: "1.13.4 chart, templates/validate.yaml",
    breaks: ({ datapath }) => datapath.hubble.ui && !datapath.hubble.relay,
  }),
];
