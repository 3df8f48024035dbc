import { native, vxlan, type Case } from "./case.ts";

function machines(rest: Readonly<Record<string, unknown>>): { machines: Readonly<Record<string, unknown>> } {
  return { machines: { kind: "namespaces", ...rest } };
}

const apart = "Choose a network that overlaps with neither of the others.";

export const networkCases: readonly Case[] = [
  {
    id: "networks-disjoint",
    severity: "error",
    bad: { ...vxlan({ ipam: { clusterPoolIPv4PodCIDR: "10.0.0.0/8" } }), ...machines({ network: "10.9.0.0/24" }) },
    good: { ...vxlan({ ipam: { clusterPoolIPv4PodCIDR: "10.42.0.0/16" } }), ...machines({ network: "10.9.0.0/24" }) },
    finds: [
      {
        key: "datapath.ipam.clusterPoolIPv4PodCIDR",
        message:
          "The pod pool 10.0.0.0/8 and the node network 10.9.0.0/24 (machines.network) have addresses in common.",
        wayOut: apart,
      },
      {
        key: "cluster.serviceCIDR",
        message:
          "The service CIDR 10.43.0.0/16 and the pod pool 10.0.0.0/8 (datapath.ipam.clusterPoolIPv4PodCIDR) have addresses in common.",
        wayOut: apart,
      },
    ],
  },
  {
    id: "native-cidr-covers-pool",
    severity: "error",
    bad: native({ ipv4NativeRoutingCIDR: "10.42.0.0/17" }),
    good: native({ ipv4NativeRoutingCIDR: "10.40.0.0/14" }),
    finds: [
      {
        key: "datapath.ipv4NativeRoutingCIDR",
        message:
          "10.42.0.0/17 does not cover the pod pool 10.42.0.0/16: pods outside it would be masqueraded when they talk to each other.",
        wayOut: "Write 10.42.0.0/16 or a network around it, or leave it out.",
      },
    ],
  },
  {
    id: "ipv6-native-cidr-covers-pool",
    severity: "error",
    bad: native({ ipv6: { enabled: true }, ipv6NativeRoutingCIDR: "fd00::/105" }),
    good: native({ ipv6: { enabled: true }, ipv6NativeRoutingCIDR: "fd00::/96" }),
    finds: [
      {
        key: "datapath.ipv6NativeRoutingCIDR",
        message:
          "fd00::/105 does not cover the pod pool fd00::/104: pods outside it would be masqueraded when they talk to each other.",
        wayOut: "Write fd00::/104 or a network around it, or leave it out.",
      },
    ],
  },
  {
    id: "pool-has-a-cidr-for-each-node",
    severity: "error",
    bad: vxlan({ ipam: { clusterPoolIPv4PodCIDR: "10.42.0.0/23" } }),
    good: vxlan({ ipam: { clusterPoolIPv4PodCIDR: "10.42.0.0/22" } }),
    finds: [
      {
        key: "datapath.ipam.clusterPoolIPv4MaskSize",
        message: "10.42.0.0/23 has 2 pod CIDRs of /24, and there are 3 nodes.",
        wayOut: "Write 25, or make the pool larger.",
      },
    ],
  },
  {
    id: "ipv6-pool-has-a-cidr-for-each-node",
    severity: "error",
    bad: vxlan({ ipv6: { enabled: true }, ipam: { clusterPoolIPv6PodCIDR: "fd00::/119" } }),
    good: vxlan({ ipv6: { enabled: true }, ipam: { clusterPoolIPv6PodCIDR: "fd00::/118" } }),
    finds: [
      {
        key: "datapath.ipam.clusterPoolIPv6MaskSize",
        message: "fd00::/119 has 2 pod CIDRs of /120, and there are 3 nodes.",
        wayOut: "Choose a mask that is 16 bits longer than the pool's at most.",
      },
    ],
  },
  {
    id: "ipv6-pool-has-a-cidr-for-each-node",
    severity: "error",
    bad: vxlan({ ipv6: { enabled: true }, ipam: { clusterPoolIPv6MaskSize: 121 } }),
    good: vxlan({ ipv6: { enabled: true }, ipam: { clusterPoolIPv6MaskSize: 120 } }),
    finds: [
      {
        key: "datapath.ipam.clusterPoolIPv6MaskSize",
        message: "Between fd00::/104 and /121 lie 17 bits; the operator numbers nodes with 16 at most.",
        wayOut: "Write 120 at most.",
      },
    ],
  },
  {
    id: "node-network-holds-the-nodes",
    severity: "error",
    bad: machines({ count: 5, network: "172.30.0.0/28" }),
    good: machines({ count: 4, network: "172.30.0.0/28" }),
    finds: [
      {
        key: "machines.network",
        message: "172.30.0.0/28 has room for 4 nodes (a /30 each), and there are 5.",
        wayOut: "Write a network of /27 or larger.",
      },
    ],
  },
  {
    id: "cluster-dns-in-service-cidr",
    severity: "error",
    bad: { cluster: { serviceCIDR: "10.50.0.0/16" } },
    good: { cluster: { serviceCIDR: "10.50.0.0/16", clusterDNS: "10.50.0.10" } },
    finds: [
      {
        key: "cluster.clusterDNS",
        message: "10.43.0.10 does not lie in the service CIDR 10.50.0.0/16.",
        wayOut: "Choose an address inside cluster.serviceCIDR, not its first one.",
      },
    ],
  },
  {
    id: "node-name-fits-a-link",
    severity: "error",
    bad: machines({ count: 10, namePrefix: "fourteen-bytes" }),
    good: machines({ count: 9, namePrefix: "fourteen-bytes" }),
    finds: [
      {
        key: "machines.namePrefix",
        message: "The name fourteen-bytes10 has 16 bytes; the link to that node is named so, and 15 are the most.",
        wayOut: "Shorten the prefix to 13 bytes.",
      },
    ],
  },
  {
    id: "tunnel-leaves-ipv6-its-mtu",
    severity: "error",
    bad: { ...vxlan({ ipv6: { enabled: true } }), ...machines({ mtuBytes: 1329 }) },
    good: { ...vxlan({ ipv6: { enabled: true } }), ...machines({ mtuBytes: 1330 }) },
    finds: [
      {
        key: "machines.mtuBytes",
        message: "The tunnel takes 50 bytes of the MTU and leaves less than the 1280 that IPv6 needs.",
        wayOut: "Raise the MTU to 1330 or more, or turn ipv6.enabled off.",
      },
    ],
  },
  {
    id: "mtu-fits-the-machines",
    severity: "error",
    bad: vxlan({ mtuBytes: 1501 }),
    good: vxlan({ mtuBytes: 1500 }),
    finds: [
      {
        key: "datapath.mtuBytes",
        message: "The machines' NICs would drop the largest packets.",
        wayOut: "Leave mtuBytes out, or raise machines.mtuBytes as well.",
      },
    ],
  },
  {
    id: "pod-cidr-holds-pods",
    severity: "warning",
    bad: vxlan({ ipam: { clusterPoolIPv4MaskSize: 30 } }),
    good: vxlan({ ipam: { clusterPoolIPv4MaskSize: 29 } }),
    finds: [
      {
        key: "datapath.ipam.clusterPoolIPv4MaskSize",
        message: "Router, health endpoint and the test pods need addresses of their own on each node.",
        wayOut: "Write 29 or less.",
      },
    ],
  },
];
