import type { Case } from "./case.ts";

type Fields = Readonly<Record<string, unknown>>;

function libvirt(rest: Fields): { machines: Fields } {
  return { machines: { kind: "libvirt", ...rest } };
}

function hosts(...list: Fields[]): { machines: Fields } {
  return { machines: { kind: "hosts", hosts: list } };
}

const url = "https://images.example/lunar.img";
const sha256 = "0".repeat(64);

const byBgp = (address: string): Fields => ({
  mode: "native",
  routes: { kind: "bgp", speaker: "cilium", peer: { address } },
});

/** Rules of machines that are reached by SSH. */
export const hostCases: readonly Case[] = [
  {
    id: "libvirt-network-holds-the-machines",
    severity: "error",
    bad: { ...libvirt({ network: "192.168.123.0/28", firstHost: 12 }), datapath: { mode: "native", routes: "router" } },
    good: {
      ...libvirt({ network: "192.168.123.0/28", firstHost: 11 }),
      datapath: { mode: "native", routes: "router" },
    },
    finds: [
      {
        key: "machines.network",
        message:
          "192.168.123.0/28 ends at place 13 (the next is the router's), and 3 machines from place 12 on need place 14.",
        wayOut: "Make the network larger, or firstHost smaller.",
      },
    ],
  },
  {
    id: "libvirt-bgp-peer",
    severity: "warning",
    bad: { ...libvirt({}), datapath: byBgp("192.168.123.2") },
    good: { ...libvirt({}), datapath: byBgp("192.168.123.254") },
    finds: [
      {
        key: "datapath.routes.peer.address",
        message:
          "Nobody speaks BGP at 192.168.123.2 unless you bring somebody: the router that the lab brings has 192.168.123.254.",
        wayOut: "Write 192.168.123.254.",
      },
    ],
  },
  {
    id: "libvirt-network-holds-the-machines",
    severity: "error",
    bad: libvirt({ network: "192.168.123.0/28", firstHost: 13 }),
    good: libvirt({ network: "192.168.123.0/28", firstHost: 12 }),
    finds: [
      {
        key: "machines.network",
        message: "192.168.123.0/28 ends at place 14, and 3 machines from place 13 on need place 15.",
        wayOut: "Make the network larger, or firstHost smaller.",
      },
    ],
  },
  {
    id: "image-needs-checksum",
    severity: "error",
    bad: libvirt({ image: { urls: [url] } }),
    good: libvirt({ image: { urls: [url], sha256 } }),
    finds: [
      {
        key: "machines.image.sha256",
        message: "Nobody could tell the image that was meant from another one.",
        wayOut: "Set machines.image.sha256 to the line of the SHA256SUMS file beside the image.",
      },
    ],
  },
  {
    id: "image-has-one-place",
    severity: "error",
    bad: libvirt({ image: { urls: [url], path: "lunar.img", sha256 } }),
    good: libvirt({ image: { path: "lunar.img" } }),
    finds: [
      {
        key: "machines.image.path",
        message: "The image is to be downloaded and to be a file of this machine at once.",
        wayOut: "Leave out machines.image.urls or machines.image.path.",
      },
    ],
  },
  {
    id: "remote-libvirt-needs-a-way",
    severity: "warning",
    bad: libvirt({ uri: "qemu+ssh://root@rack/system" }),
    good: libvirt({ uri: "qemu:///system" }),
    finds: [
      {
        key: "machines.jump",
        message:
          "The machines' NAT network is known on the libvirt host alone: unless a route leads there, they are never reached.",
        wayOut: "Set machines.jump to the libvirt host.",
      },
    ],
  },
  {
    id: "nic-queues-have-vcpus",
    severity: "warning",
    bad: libvirt({ nic: { queues: 4 } }),
    good: libvirt({ nic: { queues: 4 }, vcpus: 4 }),
    finds: [
      {
        key: "machines.nic.queues",
        message: "4 queues stand against 2 CPUs: the others stay unused.",
        wayOut: "Set machines.nic.queues to machines.vcpus or less.",
      },
    ],
  },
  {
    id: "hosts-differ",
    severity: "error",
    bad: hosts({ name: "a", address: "192.0.2.1" }, { name: "a", address: "192.0.2.1", nodeAddress: "10.0.0.1" }),
    good: hosts({ name: "a", address: "192.0.2.1" }, { name: "b", address: "192.0.2.1", nodeAddress: "10.0.0.1" }),
    finds: [
      {
        key: "machines.hosts",
        message: "The name a stands for two hosts.",
        wayOut: "Give each host a name and an address of its own.",
      },
    ],
  },
  {
    id: "existing-cluster-has-api-address",
    severity: "warning",
    bad: { machines: { kind: "none" }, datapath: { mode: "vxlan", kubeProxyReplacement: "strict" } },
    good: {
      machines: { kind: "none" },
      datapath: { mode: "vxlan", kubeProxyReplacement: { mode: "strict", k8sServiceHost: "192.0.2.1" } },
    },
    finds: [
      {
        key: "datapath.kubeProxyReplacement.k8sServiceHost",
        message:
          "Agents without kube-proxy reach the API server at 127.0.0.1, where only nodes of K3s and RKE2 have a proxy to it: elsewhere they never start.",
        wayOut: "Write the API server's address and port as kubeProxyReplacement.k8sServiceHost and .k8sServicePort.",
      },
    ],
  },
];
