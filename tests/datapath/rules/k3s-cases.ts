import type { Case } from "./case.ts";

type Fields = Readonly<Record<string, unknown>>;

function libvirt(k3s: Fields, count = 3): Fields {
  return { machines: { kind: "libvirt", count }, k3s };
}

const other = { name: "b", address: "192.0.2.2" };

/** Rules of the section k3s. */
export const k3sCases: readonly Case[] = [
  {
    id: "k3s-servers-are-odd",
    severity: "error",
    bad: libvirt({ servers: 2 }),
    good: libvirt({ servers: 3 }),
    finds: [
      {
        key: "k3s.servers",
        message: "2 servers decide by majority: they can lose no more of them than 1 can, and one more can fail.",
        wayOut: "Write 1 or 3.",
      },
    ],
  },
  {
    id: "k3s-servers-have-machines",
    severity: "error",
    bad: libvirt({ servers: 3 }, 2),
    good: libvirt({ servers: 3 }, 3),
    finds: [
      {
        key: "k3s.servers",
        message: "3 servers stand against 2 machines.",
        wayOut: "Ask for fewer servers, or for more machines.",
      },
    ],
  },
  {
    id: "k3s-setting-has-an-owner",
    severity: "error",
    bad: libvirt({
      settings: { server: { "cluster-cidr": "10.0.0.0/8", token: "open" }, agent: { "node-ip": "192.0.2.9" } },
    }),
    good: libvirt({ settings: { server: { "kubelet-arg": ["max-pods=50"] } } }),
    finds: [
      {
        key: "k3s.settings.server.cluster-cidr",
        message: "cluster-cidr follows from datapath.ipam.clusterPoolIPv4PodCIDR.",
        wayOut: "Leave it out, and set datapath.ipam.clusterPoolIPv4PodCIDR.",
      },
      {
        key: "k3s.settings.server.token",
        message: "token is the lab's own: its scripts on the machines rely on it.",
        wayOut: "Leave it out.",
      },
      {
        key: "k3s.settings.agent.node-ip",
        message: "node-ip follows from machines.",
        wayOut: "Leave it out, and set machines.",
      },
    ],
  },
  {
    id: "k3s-agent-knows-setting",
    severity: "error",
    bad: libvirt({ settings: { agent: { "etcd-expose-metrics": true } } }),
    good: libvirt({ settings: { agent: { "kubelet-arg": ["max-pods=50"] } } }),
    finds: [
      {
        key: "k3s.settings.agent.etcd-expose-metrics",
        message: "Agents have no --etcd-expose-metrics, and end on a setting that they do not know.",
        wayOut: "Move it to k3s.settings.server.",
      },
    ],
  },
  {
    id: "k3s-server-knows-setting",
    severity: "warning",
    bad: libvirt({ settings: { server: { "etcd-expose-metric": true, nonsense: 1 } } }),
    good: libvirt({ settings: { server: { "etcd-expose-metrics": true, "kubelet-arg": ["max-pods=50"] } } }),
    finds: [
      {
        key: "k3s.settings.server.etcd-expose-metric",
        message: "Servers of K3s v1.26.6 have no --etcd-expose-metric: they leave it out, with a line in their log.",
        wayOut: "Did you mean etcd-expose-metrics?",
      },
      {
        key: "k3s.settings.server.nonsense",
        message: "Servers of K3s v1.26.6 have no --nonsense: they leave it out, with a line in their log.",
        wayOut: "Correct its name, or leave it out.",
      },
    ],
  },
  {
    id: "hosts-have-node-addresses",
    severity: "error",
    bad: { machines: { kind: "hosts", hosts: [{ name: "a", address: "a.example" }, other] } },
    good: {
      machines: { kind: "hosts", hosts: [{ name: "a", address: "a.example", nodeAddress: "192.0.2.1" }, other] },
    },
    finds: [
      {
        key: "machines.hosts[0].nodeAddress",
        message: "a is given by the name a.example, and K3s's node-ip takes an address.",
        wayOut: "Set nodeAddress to the address by which the nodes reach each other.",
      },
    ],
  },
  {
    id: "k3s-api-behind-a-jump-host",
    severity: "warning",
    bad: { machines: { kind: "libvirt", jump: { address: "hypervisor.example" } } },
    good: { machines: { kind: "libvirt", jump: { address: "hypervisor.example" } }, k3s: { apiAddress: "127.0.0.1" } },
    finds: [
      {
        key: "k3s.apiAddress",
        message:
          "SSH goes through the jump host hypervisor.example; the Kubernetes API at https://192.168.123.11:6443 is asked directly, and never answers where no route leads there.",
        wayOut:
          "Give this machine a route, or run ssh -N -L 6443:192.168.123.11:6443 root@hypervisor.example beside the lab and set k3s.apiAddress to 127.0.0.1.",
      },
    ],
  },
  {
    id: "k3s-api-behind-a-jump-host",
    severity: "warning",
    bad: {
      machines: { kind: "hosts", hosts: [{ name: "a", address: "192.0.2.1", jump: { address: "192.0.2.9" } }, other] },
    },
    good: {
      machines: { kind: "hosts", hosts: [other, { name: "a", address: "192.0.2.1", jump: { address: "192.0.2.9" } }] },
    },
    finds: [
      {
        key: "k3s.apiAddress",
        message:
          "SSH goes through the jump host 192.0.2.9; the Kubernetes API at https://192.0.2.1:6443 is asked directly, and never answers where no route leads there.",
        wayOut:
          "Give this machine a route, or run ssh -N -L 6443:192.0.2.1:6443 root@192.0.2.9 beside the lab and set k3s.apiAddress to 127.0.0.1.",
      },
    ],
  },
  {
    id: "k3s-without-machines-of-its-own",
    severity: "warning",
    bad: { k3s: { version: "v1.26.15+k3s1" } },
    good: { k3s: {} },
    finds: [
      {
        key: "k3s",
        message: "Nothing of it has an effect: K3s is brought to machines of kind libvirt and hosts.",
        wayOut: "Leave the section out, or set machines.kind to libvirt or hosts.",
      },
    ],
  },
];
