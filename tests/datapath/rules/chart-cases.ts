import { bpf, native, strict, vxlan, type Case } from "./case.ts";

const ingress = { values: { ingressController: { enabled: true } } };
const egressGateway = { values: { egressGateway: { enabled: true } } };

function twoHosts(one: string, other: string, rest: object = {}): object {
  const hosts = [
    { name: "one", address: one },
    { name: "two", address: other },
  ];
  return { machines: { kind: "hosts", hosts }, datapath: { mode: "native", ...rest } };
}

/** Rules of what free-form values turn on, of ways around the typed part, and of the addresses of existing hosts. */
export const chartCases: readonly Case[] = [
  {
    id: "ingress-needs-kube-proxy-replacement",
    severity: "error",
    bad: vxlan(ingress),
    good: vxlan({ ...ingress, ...strict }),
    finds: [
      {
        key: "datapath.kubeProxyReplacement",
        message:
          "Helm refuses: Ingress/Gateway API controller requires .Values.kubeProxyReplacement to be set to either 'partial' or 'strict'.",
        wayOut: "Write kubeProxyReplacement: strict, or leave the controller out.",
      },
    ],
  },
  {
    id: "ingress-needs-l7-proxy",
    severity: "error",
    bad: vxlan({ ...strict, l7Proxy: false, values: { gatewayAPI: { enabled: true } } }),
    good: vxlan({ ...strict, values: { gatewayAPI: { enabled: true } } }),
    finds: [
      {
        key: "datapath.l7Proxy",
        message: "Helm refuses: Ingress or Gateway API controller requires .Values.l7Proxy to be set to 'true'.",
        wayOut: "Turn l7Proxy on, or leave the controller out.",
      },
    ],
  },
  {
    id: "metallb-bgp-announces-something",
    severity: "error",
    bad: vxlan({ values: { bgp: { enabled: true } } }),
    good: vxlan({ values: { bgp: { enabled: true, announce: { podCIDR: true } } } }),
    finds: [
      {
        key: "datapath.values.bgp",
        message: "Helm refuses: BGP was enabled, but no announcements were enabled.",
        wayOut: "Turn one of them on, or say datapath.routes: {kind: bgp, speaker: cilium}.",
      },
    ],
  },
  {
    id: "endpoint-status-needs-its-list",
    severity: "error",
    bad: vxlan({ values: { endpointStatus: { enabled: true } } }),
    good: vxlan({ values: { endpointStatus: { enabled: true, status: "policy" } } }),
    finds: [
      {
        key: "datapath.values.endpointStatus",
        message: "Helm refuses: endpointStatus.status required.",
        wayOut: "Write endpointStatus.status, such as policy health, or leave it out.",
      },
    ],
  },
  {
    id: "gke-without-deprecated-labels",
    severity: "error",
    bad: native({
      ipv4NativeRoutingCIDR: "10.0.0.0/8",
      routes: { kind: "router", integration: "gke" },
      values: { keepDeprecatedLabels: true },
    }),
    good: native({ values: { keepDeprecatedLabels: true } }),
    finds: [
      {
        key: "datapath.values.keepDeprecatedLabels",
        message: "Helm refuses: in kube-system Google removes a DaemonSet with kubernetes.io/cluster-service labels.",
        wayOut: "Leave keepDeprecatedLabels out.",
      },
    ],
  },
  {
    id: "egress-gateway-needs-bpf-masquerade",
    severity: "error",
    bad: vxlan({ ...bpf, ...egressGateway }),
    good: vxlan({ ...strict, ...bpf, ...egressGateway }),
    finds: [
      {
        key: "datapath.masquerade.implementation",
        message:
          'The agent ends with: egress gateway requires --enable-ipv4-masquerade="true" and --enable-bpf-masquerade="true"',
        wayOut:
          "Write kubeProxyReplacement: strict and masquerade.implementation: bpf, or leave the egress gateway out.",
      },
    ],
  },
  {
    id: "egress-gateway-keeps-a-tunnel",
    severity: "warning",
    bad: native({ ...strict, ...bpf, ...egressGateway }),
    good: vxlan({ ...strict, ...bpf, ...egressGateway }),
    finds: [
      {
        key: "datapath.values.egressGateway",
        message:
          "The agent keeps cilium_vxlan for the gateway and takes 50 bytes off the routes' MTU: the plan knows neither, and the proof will say so.",
        wayOut: "Leave the egress gateway out where native routing is to be proved or measured.",
      },
    ],
  },
  {
    // The agent has found the device of native BPF host routing by the time that it gives that up.
    id: "big-tcp-needs-bpf-host-routing",
    severity: "error",
    bad: native({ kubeProxyReplacement: "partial", hostRouting: "bpf", ipv6: { enabled: true, bigTCP: true } }),
    good: native({ kubeProxyReplacement: "partial", ipv6: { enabled: true, bigTCP: true } }),
    finds: [
      {
        key: "datapath.ipv6.bigTCP",
        message:
          "The agent ends with: IPv6 BIG TCP is not supported with legacy host routing. BPF host routing needs kube-proxy replacement strict; partial without nodePort forces legacy.",
        wayOut:
          "Write hostRouting: bpf with kubeProxyReplacement: strict, masquerade: {implementation: bpf, ipv6: false}, no endpoint routes, no encryption; or turn ipv6.bigTCP off.",
      },
    ],
  },
  {
    id: "ipv4-stays-on",
    severity: "error",
    bad: vxlan({ ipv6: { enabled: true }, values: { "ipv4.enabled": false } }),
    good: vxlan({ ipv6: { enabled: true }, values: { "ipv4.enabled": true } }),
    finds: [
      {
        key: "datapath.values.ipv4.enabled",
        message: "Plan, proof and measurement are of IPv4: without it there is nothing to route or to prove.",
        wayOut: "Leave ipv4.enabled out; ipv6.enabled puts IPv6 beside it.",
      },
    ],
  },
  {
    id: "values-extra-arguments",
    severity: "error",
    bad: vxlan({
      values: {
        extraArgs: ["--tunnel=disabled", "--debug"],
        extraEnv: [{ name: "CILIUM_ENABLE_IPV6", value: "true" }],
      },
    }),
    good: vxlan({ values: { extraArgs: ["--debug"], extraEnv: [{ name: "GOMAXPROCS", value: "2" }] } }),
    finds: [
      {
        key: "datapath.values.extraArgs",
        message:
          "extraArgs hands the agent tunnel, which datapath.mode decides and cilium-config holds: the agent would take this one.",
        wayOut: "Leave it out, and say it with datapath.mode.",
      },
      {
        key: "datapath.values.extraEnv",
        message:
          "extraEnv hands the agent enable-ipv6, which datapath.ipv6.enabled decides and cilium-config holds: the agent would take this one.",
        wayOut: "Leave it out, and say it with datapath.ipv6.enabled.",
      },
    ],
  },
  {
    id: "hosts-outside-pod-and-service-networks",
    severity: "error",
    bad: twoHosts("10.42.7.1", "10.43.0.7", { routes: "router" }),
    good: twoHosts("10.44.7.1", "10.44.7.2", { routes: "router" }),
    finds: [
      {
        key: "machines.hosts",
        message: "one has the address 10.42.7.1, which lies in the pod pool 10.42.0.0/16: pods could not reach it.",
        wayOut: "Choose another datapath.ipam.clusterPoolIPv4PodCIDR or cluster.serviceCIDR.",
      },
      {
        key: "machines.hosts",
        message: "two has the address 10.43.0.7, which lies in the service CIDR 10.43.0.0/16: pods could not reach it.",
        wayOut: "Choose another datapath.ipam.clusterPoolIPv4PodCIDR or cluster.serviceCIDR.",
      },
    ],
  },
  {
    id: "direct-routes-need-one-subnet",
    severity: "warning",
    bad: twoHosts("192.0.2.1", "198.51.100.1"),
    good: twoHosts("192.0.2.1", "198.51.100.1", { routes: "router" }),
    finds: [
      {
        key: "datapath.routes",
        message:
          "one (192.0.2.1) and two (198.51.100.1) share no subnet: the agent's direct route fails with a warning in its log, nodes are Ready, and pods are cut off.",
        wayOut: "Write routes: router or bgp, or a tunnel; or give nodeAddress of a subnet that all hosts share.",
      },
    ],
  },
];
