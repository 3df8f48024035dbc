import { bpfRouting, native, strict, vxlan, type Case } from "./case.ts";

const cloud = { ipv4NativeRoutingCIDR: "10.0.0.0/8" };

export const routeCases: readonly Case[] = [
  {
    id: "ipam-fits-routes",
    severity: "error",
    bad: native({ routes: "bgp", ipam: { mode: "cluster-pool" } }),
    good: native({ routes: "bgp" }),
    finds: [
      {
        key: "datapath.ipam.mode",
        message: "cluster-pool gives pods addresses that nobody routes: kube-router announces Node.spec.podCIDR.",
        wayOut: "Write kubernetes, or leave ipam.mode out.",
      },
    ],
  },
  {
    id: "ipam-fits-routes",
    severity: "error",
    bad: native({ ...cloud, routes: { kind: "router", integration: "azure" }, ipam: { mode: "eni" } }),
    good: native({ ...cloud, routes: { kind: "router", integration: "azure" }, ipam: { mode: "azure" } }),
    finds: [
      {
        key: "datapath.ipam.mode",
        message:
          "eni gives pods addresses that nobody routes: the azure integration takes pod addresses from the cloud.",
        wayOut: "Write azure, or leave ipam.mode out.",
      },
    ],
  },
  {
    id: "ipam-fits-routes",
    severity: "error",
    bad: vxlan({ ipam: { mode: "eni" } }),
    good: vxlan({ ipam: { mode: "kubernetes" } }),
    finds: [
      {
        key: "datapath.ipam.mode",
        message: "eni takes pod addresses from a cloud that carries no routes here.",
        wayOut: "Write datapath.mode: native with routes: {kind: router, integration: eni}, or leave ipam.mode out.",
      },
    ],
  },
  {
    id: "eni-without-ipv6",
    severity: "error",
    bad: native({ routes: { kind: "router", integration: "eni" }, ipv6: { enabled: true } }),
    good: native({ routes: { kind: "router", integration: "eni" } }),
    finds: [
      {
        key: "datapath.ipv6.enabled",
        message: "The agent ends with: IPv6 cannot be enabled in ENI IPAM mode.",
        wayOut: "Turn ipv6.enabled off.",
      },
    ],
  },
  {
    id: "cloud-forces-conntrack",
    severity: "warning",
    bad: native({ ...cloud, ...bpfRouting, routes: { kind: "router", integration: "gke" }, conntrackBypass: true }),
    good: native({ ...cloud, ...bpfRouting, routes: "router", conntrackBypass: true }),
    finds: [
      {
        key: "datapath.conntrackBypass",
        message: "The chart turns the bypass off silently with gke: pod traffic passes connection tracking.",
        wayOut: "Turn conntrackBypass off.",
      },
    ],
  },
  {
    id: "operator-replicas-fit-nodes",
    severity: "warning",
    bad: vxlan({ operatorReplicas: 4 }),
    good: vxlan({ operatorReplicas: 3 }),
    finds: [
      {
        key: "datapath.operatorReplicas",
        message: "Operators never share a node: on 3 nodes, 1 of 4 would stay Pending.",
        wayOut: "Write 3 or less.",
      },
    ],
  },
  {
    id: "hubble-relay-needs-hubble",
    severity: "error",
    bad: vxlan({ hubble: { enabled: false, relay: true } }),
    good: vxlan({ hubble: { relay: true } }),
    finds: [
      {
        key: "datapath.hubble.relay",
        message: "Helm refuses: Hubble Relay requires hubble.enabled=true.",
        wayOut: "Turn hubble.enabled on, or hubble.relay off.",
      },
    ],
  },
  {
    id: "hubble-ui-needs-relay",
    severity: "error",
    bad: vxlan({ hubble: { ui: true } }),
    good: vxlan({ hubble: { ui: true, relay: true } }),
    finds: [
      {
        key: "datapath.hubble.ui",
        message: "Helm refuses: Hubble UI requires hubble.relay.enabled=true.",
        wayOut: "Turn hubble.relay on, or hubble.ui off.",
      },
    ],
  },
  {
    id: "embedded-lab-runs-no-cilium",
    severity: "warning",
    bad: native({ ...strict, hubble: { relay: true } }),
    good: native({ routes: "bgp", masquerade: { ipv4: false } }),
    finds: [
      {
        key: "datapath.kubeProxyReplacement.mode",
        message: "kube-proxy replacement needs Cilium, and none runs in the embedded lab: it is not in effect there.",
        wayOut: "Choose machines of another kind, or leave it out.",
      },
      {
        key: "datapath.hubble.relay",
        message: "Hubble relay needs Cilium, and none runs in the embedded lab: it is not in effect there.",
        wayOut: "Choose machines of another kind, or leave it out.",
      },
    ],
  },
  {
    id: "embedded-lab-bgp-peer",
    severity: "warning",
    bad: native({ routes: { kind: "bgp", peer: { address: "192.0.2.1" } } }),
    good: native({ routes: { kind: "bgp", peer: { address: "172.30.0.1" } } }),
    finds: [
      {
        key: "datapath.routes.peer.address",
        message:
          "The embedded lab brings the router itself: nodes peer with it at their gateway (172.30.0.1), not at 192.0.2.1.",
        wayOut: "Leave it: the same config holds where the router has that address.",
      },
    ],
  },
  {
    id: "embedded-lab-mtu",
    severity: "warning",
    bad: vxlan({ mtuBytes: 1400 }),
    good: vxlan({ mtuBytes: 1500 }),
    finds: [
      {
        key: "datapath.mtuBytes",
        message: "The embedded lab takes the MTU of its machines, 1500 bytes; 1400 is not in effect there.",
        wayOut: "Set machines.mtuBytes instead.",
      },
    ],
  },
];
