import { z } from "zod";
import type { LabConfig } from "../config/lab.ts";
import type { Finding } from "../findings.ts";
import { k3sApiPort } from "../k3s/k3s-config.ts";
import { checkKernel } from "./kernel.ts";
import { tunnelPort } from "../plan/plan.ts";

/** What scripts/machine/facts found on a machine. */
export const machineFacts = z.object({
  name: z.string(),
  kernel: z.string(),
  architecture: z.string(),
  os: z.string(),
  isRoot: z.boolean(),
  /** Which lab marked the machine as its own; empty where none did. */
  mark: z.string(),
  hasSystemd: z.boolean(),
  memoryAvailableMebibytes: z.number(),
  diskFreeGibibytes: z.number(),
  /** Seconds by which the machine's clock is ahead, as far as the way there lets it be known. */
  clockSkewSeconds: z.number(),
  /** File system type of /sys/fs/cgroup: cgroup2fs, or tmpfs where it is version 1. */
  cgroup: z.string(),
  /** File system type of /sys/fs/bpf; absent where the kernel has none. */
  bpfFileSystem: z.string().optional(),
  nic: z
    .object({
      link: z.string(),
      driver: z.string().optional(),
      mtuBytes: z.number().optional(),
      /** By ethtool's names. */
      offloads: z.record(z.string(), z.boolean()),
    })
    .optional(),
  /** As protocol/port. */
  listens: z.array(z.string()),
  /** What another K3s or CNI left behind. */
  leftovers: z.array(z.string()),
  /** How the kernel gets to the other machines; without a device where it has no route. */
  peers: z.array(
    z.object({ address: z.string(), device: z.string().exactOptional(), gateway: z.string().exactOptional() }),
  ),
});

export type MachineFacts = z.infer<typeof machineFacts>;

/** What a machine must have; nothing is asked where a value is absent. */
export const floors = z.object({
  memoryMebibytes: z.number().optional(),
  diskGibibytes: z.number().optional(),
  clockSkewSeconds: z.number().optional(),
});

export type Floors = z.infer<typeof floors>;

const kibibytesPerMebibyte = 1024;
const kibibytesPerGibibyte = 1024 ** 2;

/**
 * Reads the lines of scripts/machine/facts.
 * @param clockSkewSeconds the machine's clock less this one's
 */
export function parseFacts(name: string, text: string, clockSkewSeconds: number): MachineFacts {
  const lines = text.split("\n").flatMap((line) => {
    const tab = line.indexOf("\t");
    return tab < 0 ? [] : [[line.slice(0, tab), line.slice(tab + 1)] as const];
  });
  const all = (key: string): string[] => lines.filter(([name]) => name === key).map(([, value]) => value);
  const one = (key: string): string | undefined => all(key).find((value) => value !== "");
  const link = one("nic");
  const driver = one("nicDriver");
  const mtu = one("nicMtuBytes");
  const bpfFileSystem = one("bpfFileSystem");
  return {
    name,
    kernel: one("kernel") ?? "",
    architecture: one("architecture") ?? "",
    os: one("os") ?? "",
    isRoot: one("user") === "0",
    mark: one("mark") ?? "",
    hasSystemd: one("systemd") === "yes",
    memoryAvailableMebibytes: Number(one("memoryAvailableKibibytes") ?? 0) / kibibytesPerMebibyte,
    diskFreeGibibytes: Number(one("diskFreeKibibytes") ?? 0) / kibibytesPerGibibyte,
    clockSkewSeconds,
    cgroup: one("cgroup") ?? "",
    ...(bpfFileSystem === undefined ? {} : { bpfFileSystem }),
    ...(link === undefined
      ? {}
      : {
          nic: {
            link,
            ...(driver === undefined ? {} : { driver }),
            ...(mtu === undefined ? {} : { mtuBytes: Number(mtu) }),
            offloads: Object.fromEntries(
              all("offload").map((entry): [string, boolean] => [entry.replace(/=.*/, ""), entry.endsWith("=on")]),
            ),
          },
        }),
    listens: all("listens"),
    leftovers: all("leftover"),
    peers: all("peer").map((value) => {
      const [address = "", device = "", gateway = ""] = value.split(" ");
      return { address, ...(device === "" ? {} : { device }), ...(gateway === "" ? {} : { gateway }) };
    }),
  };
}

/** Architectures for which K3s and Cilium have images. */
const architectures = ["x86_64", "aarch64"];

/**
 * Ports that K3s and Cilium listen on at every node (K3s v1.26 requirements; Cilium 1.13 system requirements, firewall rules).
 */
const ports: Readonly<Record<string, string>> = {
  [`tcp/${k3sApiPort}`]: "the Kubernetes API",
  "tcp/6444": "K3s's load balancer",
  "tcp/10250": "kubelet",
  "tcp/4240": "Cilium's health checks",
  "tcp/4244": "Hubble",
};

/** Ports that the datapath and the machine's part in the cluster need beside those. */
function furtherPorts({ datapath }: LabConfig, isEtcdServer: boolean): Readonly<Record<string, string>> {
  return {
    ...(datapath.mode === "native" ? {} : { [`udp/${tunnelPort(datapath)}`]: `the ${datapath.mode} tunnel` }),
    // K3s v1.26 requirements: only where servers have an etcd together.
    ...(isEtcdServer ? { "tcp/2379": "etcd's clients", "tcp/2380": "etcd's peers" } : {}),
    // Cilium's own speaker calls its peers, and does not listen.
    ...(datapath.mode === "native" && datapath.routes.kind === "bgp" && datapath.routes.speaker === "kube-router"
      ? { "tcp/179": "kube-router" }
      : {}),
    // 1.13.4 pkg/wireguard/types/types.go.
    ...(datapath.encryption === "wireguard" ? { "udp/51871": "WireGuard" } : {}),
  };
}

/**
 * Judges what machines said of themselves, all of them and everything at once.
 * @param lab which lab asks: what it brought to a machine itself is no leftover
 * @param servers names of the machines that are going to be servers of K3s
 */
export function judgeMachines(
  machines: readonly MachineFacts[],
  config: LabConfig,
  wanted: Floors,
  lab: string,
  servers: readonly string[] = [],
): Finding[] {
  return machines.flatMap((facts) => judgeMachine(facts, config, wanted, lab, servers));
}

function judgeMachine(
  facts: MachineFacts,
  config: LabConfig,
  wanted: Floors,
  lab: string,
  servers: readonly string[],
): Finding[] {
  const { name } = facts;
  const found: Finding[] = [];
  const add = (id: string, message: string, wayOut: string, severity: Finding["severity"] = "error"): void => {
    found.push({
      id,
      severity: config.strict ? "error" : severity,
      key: "machines",
      message: `${name}: ${message}`,
      wayOut,
    });
  };
  if (!facts.isRoot) {
    add(
      "machine-root",
      "the user is not root and has no sudo without a password.",
      "Log in as root, or allow the user NOPASSWD sudo.",
    );
  }
  if (!architectures.includes(facts.architecture)) {
    add(
      "machine-architecture",
      `K3s and Cilium have no images for ${facts.architecture}.`,
      "Take a machine with an x86-64 or 64-bit ARM CPU.",
    );
  }
  if (!facts.hasSystemd) {
    add(
      "machine-systemd",
      `${facts.os} does not run under systemd, which starts K3s.`,
      "Take a distribution with systemd: Ubuntu, Debian.",
    );
  }
  const { memoryMebibytes, diskGibibytes, clockSkewSeconds } = wanted;
  if (memoryMebibytes !== undefined && facts.memoryAvailableMebibytes < memoryMebibytes) {
    add(
      "machine-memory",
      `${facts.memoryAvailableMebibytes.toFixed(0)} MiB of memory are available, ${memoryMebibytes} MiB are needed.`,
      "Free memory, or set machines.minimumMemoryMebibytes.",
    );
  }
  if (diskGibibytes !== undefined && facts.diskFreeGibibytes < diskGibibytes) {
    add(
      "machine-disk",
      `/var/lib has ${facts.diskFreeGibibytes.toFixed(1)} GiB free, ${diskGibibytes} GiB are needed.`,
      "Free space, or set machines.minimumDiskGibibytes.",
    );
  }
  if (clockSkewSeconds !== undefined && Math.abs(facts.clockSkewSeconds) > clockSkewSeconds) {
    const direction = facts.clockSkewSeconds > 0 ? "ahead of" : "behind";
    add(
      "machine-clock",
      `its clock is ${Math.abs(facts.clockSkewSeconds).toFixed(1)} s ${direction} this machine's: certificates would not be valid yet, or not any more.`,
      "Set up time synchronization (systemd-timesyncd, chrony) on both.",
    );
  }
  if (facts.cgroup !== "cgroup2fs" && facts.cgroup !== "tmpfs") {
    add(
      "machine-cgroup",
      `/sys/fs/cgroup is no cgroup file system (${facts.cgroup || "nothing"}).`,
      "Mount it: systemd does at boot.",
    );
  }
  if (facts.bpfFileSystem === undefined) {
    add(
      "machine-bpf",
      "its kernel has no BPF file system.",
      "Take a kernel with CONFIG_BPF_SYSCALL, such as any of Ubuntu or Debian.",
    );
  }
  found.push(...checkKernel(config, facts.kernel, name));
  for (const { address } of facts.peers.filter(({ device }) => device === undefined)) {
    add(
      "machine-route",
      `its kernel has no route to ${address}, another machine of this lab.`,
      "Connect the machines by a network, or set nodeAddress to an address that the others reach.",
    );
  }
  const { datapath: asked } = config;
  if (asked.mode === "native" && asked.routes.kind === "direct") {
    for (const { address, gateway } of facts.peers) {
      if (gateway === undefined) continue;
      // 1.13.4 pkg/datapath/linux/node.go:212: the agent only logs it, and nodes get Ready.
      add(
        "machine-direct-route",
        `it reaches ${address} by way of ${gateway}: direct routes need all nodes on one L2 network, else pods are cut off.`,
        "Set datapath.routes to router or bgp, or datapath.mode to vxlan; or set nodeAddress to addresses of a subnet that all share.",
      );
    }
  }
  // What is left is removed before K3s comes; what listens is part of it.
  const isCleaned = config.k3s.clean && facts.leftovers.length > 0;
  if (facts.mark !== lab && !isCleaned) {
    const needed = { ...ports, ...furtherPorts(config, servers.length > 1 && servers.includes(name)) };
    for (const [port, use] of Object.entries(needed)) {
      if (facts.listens.includes(port)) {
        add(
          "machine-port",
          `something listens on ${port} already, which ${use} needs.`,
          `Stop it: sudo ss -lntup 'sport = :${port.replace(/.*\//, "")}'`,
        );
      }
    }
    if (facts.leftovers.length > 0) {
      add(
        "machine-leftovers",
        `another K3s or CNI left things behind: ${facts.leftovers.join(", ")}.`,
        "Set k3s.clean to true to have them removed, or take a fresh machine.",
      );
    }
  }
  return found;
}
