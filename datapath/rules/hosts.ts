import { containsAddress, isCidr } from "../cidr.ts";
import type { LabConfig } from "../config/lab.ts";
import type { Rule } from "./rule.ts";

/** Addresses between hosts; names are resolved on the machines, not here. */
function knownAddresses({ machines }: LabConfig): { readonly name: string; readonly address: string }[] {
  if (machines.kind !== "hosts") return [];
  return machines.hosts
    .map(({ name, address, nodeAddress }) => ({ name, address: nodeAddress ?? address }))
    .filter(({ address }) => isCidr(`${address}/32`));
}

/** Larger than any subnet that hosts of one segment have: what it does not hold stands behind a gateway. */
const largestSubnetLength = 16;

function segmentOf(address: string): string {
  return address
    .split(".")
    .slice(0, largestSubnetLength / 8)
    .join(".");
}

/** What the addresses of existing hosts rule out. */
export const existingHostRules: readonly Rule[] = [
  {
    id: "hosts-outside-pod-and-service-networks",
    severity: "error",
    key: "machines.hosts",
    when: "a host's address lies in the pod pool or in the service CIDR (hosts)",
    message: "Pods could not reach that host: its address is taken for a pod's or a service's.",
    wayOut: "Choose another datapath.ipam.clusterPoolIPv4PodCIDR or cluster.serviceCIDR.",
    source: "cilium/cilium#26588",
    violations: (config) => {
      const networks = [
        { name: "pod pool", cidr: config.datapath.ipam.clusterPoolIPv4PodCIDR },
        { name: "service CIDR", cidr: config.cluster.serviceCIDR },
      ];
      return knownAddresses(config).flatMap(({ name, address }) =>
        networks
          .filter(({ cidr }) => containsAddress(cidr, address))
          .map((network) => ({
            message: `${name} has the address ${address}, which lies in the ${network.name} ${network.cidr}: pods could not reach it.`,
          })),
      );
    },
  },
  {
    id: "direct-routes-need-one-subnet",
    severity: "warning",
    key: "datapath.routes",
    when: `direct routes and hosts whose addresses differ within the first ${largestSubnetLength} bits (hosts)`,
    message:
      "A node routes directly only to peers in its own subnet. A route that fails is a warning in the agent's log: nodes are Ready, and pods are cut off.",
    wayOut: "Write routes: router or bgp, or a tunnel; or give nodeAddress of a subnet that all hosts share.",
    source: "1.13.4 pkg/datapath/linux/node.go:212, 294; cilium/cilium#28984, #24618",
    violations: (config) => {
      if (config.datapath.mode !== "native" || config.datapath.routes.kind !== "direct") return [];
      const [first, ...others] = knownAddresses(config);
      const apart = others.find(
        ({ address }) => first !== undefined && segmentOf(address) !== segmentOf(first.address),
      );
      if (first === undefined || apart === undefined) return [];
      return [
        {
          message: `${first.name} (${first.address}) and ${apart.name} (${apart.address}) share no subnet: the agent's direct route fails with a warning in its log, nodes are Ready, and pods are cut off.`,
        },
      ];
    },
  },
];
