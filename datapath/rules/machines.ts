import { addressCount, containsAddress } from "../cidr.ts";
import { bringsRouter, libvirtRouterAddress } from "../libvirt/router.ts";
import { rule, type Rule } from "./rule.ts";

/** Values of a list that stand in it more than once. */
function repeated(values: readonly string[]): string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}

/** What the kinds of machine that are reached by SSH can't mean. */
export const machineRules: readonly Rule[] = [
  {
    id: "libvirt-network-holds-the-machines",
    severity: "error",
    key: "machines.network",
    when: "the machines' addresses, from firstHost on, do not fit into the network (libvirt)",
    message: "A machine would be left without an address.",
    wayOut: "Make the network larger, or firstHost smaller.",
    source: "components/machines/libvirt.ts: addresses are static, so that all of them are known at preview",
    violations: ({ machines, datapath }) => {
      if (machines.kind !== "libvirt") return [];
      const last = machines.firstHost + machines.count - 1;
      // The last address of a network is its broadcast address, and the one before the router's where there is one.
      const hasRouter = bringsRouter(machines, datapath);
      const usable = addressCount(machines.network) - (hasRouter ? 3 : 2);
      return last <= usable
        ? []
        : [
            {
              message: `${machines.network} ends at place ${usable}${hasRouter ? " (the next is the router's)" : ""}, and ${machines.count} machines from place ${machines.firstHost} on need place ${last}.`,
            },
          ];
    },
  },
  {
    id: "libvirt-bgp-peer",
    severity: "warning",
    key: "datapath.routes.peer.address",
    when: "routes.peer.address is an address of the machines' network and not that of the lab's router (libvirt)",
    message: "Nobody speaks BGP at that address unless you bring somebody.",
    wayOut: "Write the last address of machines.network: there the lab brings a router with BIRD.",
    source: "datapath/libvirt/router.ts: the lab's router has the last address",
    violations: ({ machines, datapath }) => {
      if (machines.kind !== "libvirt" || datapath.mode !== "native" || datapath.routes.kind !== "bgp") return [];
      const address = datapath.routes.peer?.address;
      const own = libvirtRouterAddress(machines);
      if (address === undefined || address === own || !containsAddress(machines.network, address)) return [];
      return [
        {
          message: `Nobody speaks BGP at ${address} unless you bring somebody: the router that the lab brings has ${own}.`,
          wayOut: `Write ${own}.`,
        },
      ];
    },
  },
  rule({
    id: "image-needs-checksum",
    severity: "error",
    key: "machines.image.sha256",
    when: "an image is to be downloaded and no checksum is given (libvirt)",
    message: "Nobody could tell the image that was meant from another one.",
    wayOut: "Set machines.image.sha256 to the line of the SHA256SUMS file beside the image.",
    source: "scripts/libvirt/image: nothing enters the cache unchecked",
    breaks: ({ machines }) =>
      machines.kind === "libvirt" && machines.image.path === undefined && machines.image.sha256 === undefined,
  }),
  rule({
    id: "image-has-one-place",
    severity: "error",
    key: "machines.image.path",
    when: "an image has both URLs and a path (libvirt)",
    message: "The image is to be downloaded and to be a file of this machine at once.",
    wayOut: "Leave out machines.image.urls or machines.image.path.",
    source: "scripts/libvirt/image takes one of them",
    breaks: ({ machines }) =>
      machines.kind === "libvirt" && machines.image.path !== undefined && machines.image.urls !== undefined,
  }),
  rule({
    id: "remote-libvirt-needs-a-way",
    severity: "warning",
    key: "machines.jump",
    when: "libvirt runs on another host and no jump host is given",
    message:
      "The machines' NAT network is known on the libvirt host alone: unless a route leads there, they are never reached.",
    wayOut: "Set machines.jump to the libvirt host.",
    source: "libvirt's NAT networks (libvirt.org, Virtual Networking)",
    breaks: ({ machines }) =>
      machines.kind === "libvirt" && /^qemu\+\w+:\/\/[^/]/.test(machines.uri) && machines.jump === undefined,
  }),
  {
    id: "nic-queues-have-vcpus",
    severity: "warning",
    key: "machines.nic.queues",
    when: "a NIC has more queues than the machine has CPUs (libvirt)",
    message: "A virtio NIC uses one queue pair a CPU at most.",
    wayOut: "Set machines.nic.queues to machines.vcpus or less.",
    source: "Linux drivers/net/virtio_net.c: virtnet_set_affinity, max_queue_pairs and online CPUs",
    violations: ({ machines }) =>
      machines.kind === "libvirt" && machines.nic.queues > machines.vcpus
        ? [{ message: `${machines.nic.queues} queues stand against ${machines.vcpus} CPUs: the others stay unused.` }]
        : [],
  },
  {
    id: "hosts-differ",
    severity: "error",
    key: "machines.hosts",
    when: "two hosts have the same name, or the same address between nodes (hosts)",
    message: "Two hosts would be one node.",
    wayOut: "Give each host a name and an address of its own.",
    source: "Kubernetes: a node's name identifies it",
    violations: ({ machines }) =>
      machines.kind === "hosts"
        ? repeated([
            ...machines.hosts.map(({ name }) => `The name ${name}`),
            ...machines.hosts.map(({ address, nodeAddress }) => `The address ${nodeAddress ?? address}`),
          ]).map((what) => ({ message: `${what} stands for two hosts.` }))
        : [],
  },
];
