import { afterFallbacks, agentOptions } from "../cilium/agent.ts";
import type { LabConfig } from "../config/lab.ts";
import { chartValue } from "../cilium/helm-values.ts";
import { rule, type Rule } from "./rule.ts";

type Datapath = LabConfig["datapath"];

function isOn(datapath: Datapath, path: string): boolean {
  return chartValue(datapath, path) === true;
}

/** The controllers that Envoy and BPF services carry. */
function runsIngress(datapath: Datapath): boolean {
  return isOn(datapath, "ingressController.enabled") || isOn(datapath, "gatewayAPI.enabled");
}

/** What free-form values turn on that the chart, the agent or the plan can't go along with. */
export const chartRules: readonly Rule[] = [
  rule({
    id: "ingress-needs-kube-proxy-replacement",
    severity: "error",
    key: "datapath.kubeProxyReplacement",
    when: "values ingressController.enabled or gatewayAPI.enabled with kube-proxy replacement disabled",
    message:
      "Helm refuses: Ingress/Gateway API controller requires .Values.kubeProxyReplacement to be set to either 'partial' or 'strict'.",
    wayOut: "Write kubeProxyReplacement: strict, or leave the controller out.",
    source: "chart 1.13.4 templates/validate.yaml",
    breaks: ({ datapath }) => runsIngress(datapath) && datapath.kubeProxyReplacement.mode === "disabled",
  }),
  rule({
    id: "ingress-needs-l7-proxy",
    severity: "error",
    key: "datapath.l7Proxy",
    when: "values ingressController.enabled or gatewayAPI.enabled with the L7 proxy off",
    message: "Helm refuses: Ingress or Gateway API controller requires .Values.l7Proxy to be set to 'true'.",
    wayOut: "Turn l7Proxy on, or leave the controller out.",
    source: "chart 1.13.4 templates/validate.yaml",
    breaks: ({ datapath }) => runsIngress(datapath) && !datapath.l7Proxy,
  }),
  rule({
    id: "metallb-bgp-announces-something",
    severity: "error",
    key: "datapath.values.bgp",
    when: "values bgp.enabled without bgp.announce.loadbalancerIP and bgp.announce.podCIDR",
    message: "Helm refuses: BGP was enabled, but no announcements were enabled.",
    wayOut: "Turn one of them on, or say datapath.routes: {kind: bgp, speaker: cilium}.",
    source: "chart 1.13.4 templates/cilium-configmap.yaml",
    breaks: ({ datapath }) =>
      isOn(datapath, "bgp.enabled") &&
      !isOn(datapath, "bgp.announce.loadbalancerIP") &&
      !isOn(datapath, "bgp.announce.podCIDR"),
  }),
  rule({
    id: "endpoint-status-needs-its-list",
    severity: "error",
    key: "datapath.values.endpointStatus",
    when: "values endpointStatus.enabled without endpointStatus.status",
    message: "Helm refuses: endpointStatus.status required.",
    wayOut: "Write endpointStatus.status, such as policy health, or leave it out.",
    source: "chart 1.13.4 templates/cilium-configmap.yaml",
    breaks: ({ datapath }) =>
      isOn(datapath, "endpointStatus.enabled") &&
      [undefined, null, ""].some((nothing) => chartValue(datapath, "endpointStatus.status") === nothing),
  }),
  rule({
    id: "gke-without-deprecated-labels",
    severity: "error",
    key: "datapath.values.keepDeprecatedLabels",
    when: "gke with values keepDeprecatedLabels",
    message: "Helm refuses: in kube-system Google removes a DaemonSet with kubernetes.io/cluster-service labels.",
    wayOut: "Leave keepDeprecatedLabels out.",
    source: "chart 1.13.4 templates/cilium-agent/daemonset.yaml",
    breaks: ({ datapath }) => isOn(datapath, "gke.enabled") && isOn(datapath, "keepDeprecatedLabels"),
  }),
  rule({
    id: "egress-gateway-needs-bpf-masquerade",
    severity: "error",
    key: "datapath.masquerade.implementation",
    when: "values egressGateway.enabled without BPF masquerade of IPv4 in effect",
    message:
      'The agent ends with: egress gateway requires --enable-ipv4-masquerade="true" and --enable-bpf-masquerade="true"',
    wayOut: "Write kubeProxyReplacement: strict and masquerade.implementation: bpf, or leave the egress gateway out.",
    source: "1.13.4 daemon/cmd/daemon.go:1042",
    breaks: ({ datapath }) => {
      if (!isOn(datapath, "egressGateway.enabled")) return false;
      const { options } = afterFallbacks(agentOptions(datapath));
      return !(options.enableIPv4Masquerade && options.enableBPFMasquerade);
    },
  }),
  rule({
    id: "egress-gateway-keeps-a-tunnel",
    severity: "warning",
    key: "datapath.values.egressGateway",
    when: "native with values egressGateway.enabled",
    message:
      "The agent keeps cilium_vxlan for the gateway and takes 50 bytes off the routes' MTU: the plan knows neither, and the proof will say so.",
    wayOut: "Leave the egress gateway out where native routing is to be proved or measured.",
    source: "1.13.4 pkg/option/config.go:2475 TunnelExists, pkg/mtu/mtu.go",
    breaks: ({ datapath }) => datapath.mode === "native" && isOn(datapath, "egressGateway.enabled"),
  }),
  rule({
    id: "ipv4-stays-on",
    severity: "error",
    key: "datapath.values.ipv4.enabled",
    when: "values ipv4.enabled: false",
    message: "Plan, proof and measurement are of IPv4: without it there is nothing to route or to prove.",
    wayOut: "Leave ipv4.enabled out; ipv6.enabled puts IPv6 beside it.",
    source: "datapath/plan/plan.ts",
    breaks: ({ datapath }) => chartValue(datapath, "ipv4.enabled") === false,
  }),
];
