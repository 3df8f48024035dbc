import {
  containsAddress,
  containsCidr,
  containsIpv6Cidr,
  ipv6PrefixLength,
  overlap,
  prefixLength,
  subnetCount,
} from "../cidr.ts";
import type { LabConfig } from "../config/lab.ts";
import { nodeCount, nodeNetwork, underlayMtuBytes } from "../machines/machine-facts.ts";
import { longestLinkName, nodeNames, nodeSubnetLength } from "../plan/nodes.ts";
import { tunnelOverheadBytes } from "../plan/plan.ts";
import { rule, type Rule, type Violation } from "./rule.ts";

/** Smallest MTU that IPv6 allows, in bytes (RFC 8200, section 5). */
const smallestIpv6MtuBytes = 1280;

/** Whether pods get their addresses from the pool that stands in the config. */
function isPooled({ datapath }: LabConfig): boolean {
  return (
    ["cluster-pool", "cluster-pool-v2beta", "kubernetes"].includes(datapath.ipam.mode) && !hasIntegration(datapath)
  );
}

function hasIntegration(datapath: LabConfig["datapath"]): boolean {
  return datapath.mode === "native" && datapath.routes.kind === "router" && datapath.routes.integration !== undefined;
}

/** Pods of a pool that a native routing CIDR, where there is one, leaves out. */
function uncovered(
  pool: string,
  native: string | undefined,
  contains: (outer: string, inner: string) => boolean,
): Violation[] {
  if (native === undefined || contains(native, pool)) return [];
  return [
    {
      message: `${native} does not cover the pod pool ${pool}: pods outside it would be masqueraded when they talk to each other.`,
      wayOut: `Write ${pool} or a network around it, or leave it out.`,
    },
  ];
}

interface NamedNetwork {
  readonly key: string;
  readonly name: string;
  readonly cidr: string;
}

function namedNetworks({ machines, datapath, cluster }: LabConfig): NamedNetwork[] {
  const network = nodeNetwork(machines);
  return [
    ...(network === undefined ? [] : [{ key: "machines.network", name: "The node network", cidr: network }]),
    { key: "datapath.ipam.clusterPoolIPv4PodCIDR", name: "The pod pool", cidr: datapath.ipam.clusterPoolIPv4PodCIDR },
    { key: "cluster.serviceCIDR", name: "The service CIDR", cidr: cluster.serviceCIDR },
  ];
}

function overlaps(networks: readonly NamedNetwork[]): Violation[] {
  return networks.flatMap((one, index) =>
    networks.slice(0, index).flatMap((other) =>
      overlap(one.cidr, other.cidr)
        ? [
            {
              key: one.key,
              message: `${one.name} ${one.cidr} and ${lowerFirst(other.name)} ${other.cidr} (${other.key}) have addresses in common.`,
            },
          ]
        : [],
    ),
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

export const networkRules: readonly Rule[] = [
  {
    id: "networks-disjoint",
    severity: "error",
    key: "cluster.serviceCIDR",
    when: "pod pool, service CIDR and node network are not disjoint",
    message: "Two networks have addresses in common.",
    wayOut: "Choose a network that overlaps with neither of the others.",
    source: "cilium/cilium#26588",
    violations: (config) => overlaps(namedNetworks(config)),
  },
  {
    id: "native-cidr-covers-pool",
    severity: "error",
    key: "datapath.ipv4NativeRoutingCIDR",
    when: "the pod pool is not inside the native routing CIDR",
    message: "Pods outside the native routing CIDR are masqueraded when they talk to each other.",
    wayOut: "Let ipv4NativeRoutingCIDR cover the pool, or leave it out: it is the pool then.",
    source: "Cilium 1.13 documentation, native routing",
    violations: (config) => {
      const { datapath } = config;
      if (datapath.mode !== "native" || !isPooled(config)) return [];
      return uncovered(datapath.ipam.clusterPoolIPv4PodCIDR, datapath.ipv4NativeRoutingCIDR, containsCidr);
    },
  },
  {
    id: "ipv6-native-cidr-covers-pool",
    severity: "error",
    key: "datapath.ipv6NativeRoutingCIDR",
    when: "with IPv6, the IPv6 pool is not inside the IPv6 native routing CIDR",
    message: "IPv6 of pods outside the native routing CIDR is masqueraded between pods.",
    wayOut: "Let ipv6NativeRoutingCIDR cover the IPv6 pool, or leave it out: it is the pool then.",
    source: "Cilium 1.13 documentation, native routing",
    violations: (config) => {
      const { datapath } = config;
      if (datapath.mode !== "native" || !datapath.ipv6.enabled || !isPooled(config)) return [];
      return uncovered(datapath.ipam.clusterPoolIPv6PodCIDR, datapath.ipv6NativeRoutingCIDR, containsIpv6Cidr);
    },
  },
  {
    id: "pool-has-a-cidr-for-each-node",
    severity: "error",
    key: "datapath.ipam.clusterPoolIPv4MaskSize",
    when: "the pool has fewer pod CIDRs of the mask size than there are nodes",
    message: "A node would be left without a pod CIDR.",
    wayOut: "Make the pool larger or the mask longer.",
    source: "1.13.4 operator: a node without pod CIDR never becomes Ready; cilium/cilium#30177",
    violations: (config) => {
      if (!isPooled(config)) return [];
      const { clusterPoolIPv4PodCIDR: pool, clusterPoolIPv4MaskSize: mask } = config.datapath.ipam;
      const nodes = nodeCount(config.machines);
      const places = subnetCount(pool, mask);
      if (nodes === undefined || places >= nodes) return [];
      const needed = prefixLength(pool) + Math.ceil(Math.log2(nodes));
      return [
        {
          message: `${pool} has ${places} pod CIDRs of /${mask}, and there are ${nodes} nodes.`,
          wayOut: needed <= 30 ? `Write ${needed}, or make the pool larger.` : "Make the pool larger.",
        },
      ];
    },
  },
  {
    id: "ipv6-pool-has-a-cidr-for-each-node",
    severity: "error",
    key: "datapath.ipam.clusterPoolIPv6MaskSize",
    when: "with IPv6, the IPv6 pool has fewer pod CIDRs of the mask size than there are nodes, or more than 2^16",
    message: "A node would be left without an IPv6 pod CIDR.",
    wayOut: "Choose a mask that is 16 bits longer than the pool's at most.",
    source: "1.13.4 pkg/ipam/cidrset (at most 16 bits for nodes)",
    violations: (config) => {
      if (!config.datapath.ipv6.enabled || !isPooled(config)) return [];
      const { clusterPoolIPv6PodCIDR: pool, clusterPoolIPv6MaskSize: mask } = config.datapath.ipam;
      const bits = mask - ipv6PrefixLength(pool);
      const nodes = nodeCount(config.machines);
      if (bits > 16) {
        return [
          {
            message: `Between ${pool} and /${mask} lie ${bits} bits; the operator numbers nodes with 16 at most.`,
            wayOut: `Write ${ipv6PrefixLength(pool) + 16} at most.`,
          },
        ];
      }
      const places = bits < 0 ? 0 : 2 ** bits;
      return nodes === undefined || places >= nodes
        ? []
        : [{ message: `${pool} has ${places} pod CIDRs of /${mask}, and there are ${nodes} nodes.` }];
    },
  },
  {
    id: "node-network-holds-the-nodes",
    severity: "error",
    key: "machines.network",
    when: "the node network has fewer /30 than there are nodes (embedded lab)",
    message: "A node would be left without an address.",
    wayOut: "Make the node network larger.",
    source: "datapath/plan/nodes.ts: each node has a /30, so that it keeps its address on a subnet of its own",
    violations: ({ machines }) => {
      if (machines.kind !== "namespaces") return [];
      const places = subnetCount(machines.network, nodeSubnetLength);
      if (places >= machines.count) return [];
      const longest = nodeSubnetLength - Math.ceil(Math.log2(machines.count));
      return [
        {
          message: `${machines.network} has room for ${places} nodes (a /${nodeSubnetLength} each), and there are ${machines.count}.`,
          wayOut: `Write a network of /${longest} or larger.`,
        },
      ];
    },
  },
  {
    id: "cluster-dns-in-service-cidr",
    severity: "error",
    key: "cluster.clusterDNS",
    when: "the DNS service's address is not inside the service CIDR",
    message: "The DNS service could not get its address.",
    wayOut: "Choose an address inside cluster.serviceCIDR, not its first one.",
    source: "K3s v1.26.6 pkg/cli/server: cluster-dns has to lie in service-cidr",
    violations: ({ cluster }) =>
      containsAddress(cluster.serviceCIDR, cluster.clusterDNS)
        ? []
        : [{ message: `${cluster.clusterDNS} does not lie in the service CIDR ${cluster.serviceCIDR}.` }],
  },
  {
    id: "node-name-fits-a-link",
    severity: "error",
    key: "machines.namePrefix",
    when: "a node's name is longer than a link's may be, 15 bytes (embedded lab)",
    message: "The link to a node has the node's name.",
    wayOut: "Choose a shorter prefix.",
    source: "Linux IFNAMSIZ",
    violations: ({ machines }) => {
      if (machines.kind !== "namespaces") return [];
      const last = nodeNames(machines).at(-1) ?? "";
      const length = Buffer.byteLength(last);
      return length <= longestLinkName
        ? []
        : [
            {
              message: `The name ${last} has ${length} bytes; the link to that node is named so, and ${longestLinkName} are the most.`,
              wayOut: `Shorten the prefix to ${longestLinkName - (length - Buffer.byteLength(machines.namePrefix))} bytes.`,
            },
          ];
    },
  },
  rule({
    id: "tunnel-leaves-ipv6-its-mtu",
    severity: "error",
    key: "machines.mtuBytes",
    when: "with IPv6 in a tunnel, the MTU less 50 bytes is under 1280",
    message: `The tunnel takes ${tunnelOverheadBytes} bytes of the MTU and leaves less than the ${smallestIpv6MtuBytes} that IPv6 needs.`,
    wayOut: `Raise the MTU to ${smallestIpv6MtuBytes + tunnelOverheadBytes} or more, or turn ipv6.enabled off.`,
    source: "RFC 8200 section 5; 1.13.4 pkg/mtu/mtu.go",
    breaks: ({ machines, datapath }) =>
      datapath.mode !== "native" &&
      datapath.ipv6.enabled &&
      underlayMtuBytes({ machines, datapath }) - tunnelOverheadBytes < smallestIpv6MtuBytes,
  }),
  rule({
    id: "mtu-fits-the-machines",
    severity: "error",
    key: "datapath.mtuBytes",
    when: "the datapath's MTU is larger than the machines'",
    message: "The machines' NICs would drop the largest packets.",
    wayOut: "Leave mtuBytes out, or raise machines.mtuBytes as well.",
    source: "1.13.4 pkg/mtu/mtu.go: MTU is that of the network between the nodes",
    breaks: ({ machines, datapath }) => (datapath.mtuBytes ?? 0) > machines.mtuBytes,
  }),
  {
    id: "pod-cidr-holds-pods",
    severity: "warning",
    key: "datapath.ipam.clusterPoolIPv4MaskSize",
    when: "a pod CIDR has fewer than 8 addresses",
    message: "Router, health endpoint and the test pods need addresses of their own on each node.",
    wayOut: "Write 29 or less.",
    source: "1.13.4 pkg/ipam/hostscope.go: first and last address are not given out",
    violations: (config) =>
      isPooled(config) && 2 ** (32 - config.datapath.ipam.clusterPoolIPv4MaskSize) < 8 ? [{}] : [],
  },
];
