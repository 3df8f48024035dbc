import semver from "semver";
import { afterFallbacks, agentOptions, type AgentOptions } from "../cilium/agent.ts";
import type { Datapath } from "../config/datapath.ts";
import type { LabConfig } from "../config/lab.ts";
import type { Machines } from "../config/machines.ts";
import type { Finding } from "../findings.ts";

/** The kernel that a feature needs. */
export interface KernelFloor {
  readonly id: string;
  /** As in the feature table. */
  readonly feature: string;
  /** Key that asks for the feature. */
  readonly key: string;
  /** Whether the agent, once it runs with these options, needs it. */
  readonly asked: (options: AgentOptions, datapath: Datapath) => boolean;
  /** For people: the first release that has what is needed. */
  readonly needs: string;
  /** The releases that have it, as a semver range: what was taken back into stable series as well. */
  readonly releases: string;
  /** error: the agent ends. warning: it goes on without the feature, or it does not look and only the documentation asks. */
  readonly severity: Finding["severity"];
  /** What happens below. */
  readonly below: string;
  readonly wayOut: string;
  readonly source: string;
}

const stableBackports = {
  needs: "4.19.57, 5.1.16 or 5.2",
  releases: ">=4.19.57 <4.20.0 || >=5.1.16 <5.2.0 || >=5.2.0",
};

/** Every kernel floor of 1.13.4. The agent looks for helpers rather than versions: a kernel that has them taken back passes. */
export const kernelFloors: readonly KernelFloor[] = [
  {
    id: "agent",
    feature: "Cilium",
    key: "machines",
    asked: () => true,
    needs: "4.9",
    releases: ">=4.9.0",
    severity: "error",
    below: "the agent ends with `kernel version: NOT OK`",
    wayOut: "Boot a newer kernel.",
    source: "1.13.4 pkg/datapath/linux/requirements.go:28",
  },
  {
    id: "agent-documented",
    feature: "Cilium",
    key: "machines",
    asked: () => true,
    needs: "4.19.57",
    releases: ">=4.19.57",
    severity: "warning",
    below: "the agent starts, on a kernel that its documentation does not support",
    wayOut: "Boot a newer kernel.",
    source: "Cilium 1.13 documentation, system requirements",
  },
  {
    id: "node-port",
    feature: "kube-proxy replacement",
    key: "datapath.kubeProxyReplacement",
    asked: ({ enableNodePort }) => enableNodePort,
    needs: "4.17",
    releases: ">=4.17.0",
    severity: "error",
    below: "the agent ends with `BPF NodePort services needs kernel 4.17.0 or newer`",
    wayOut: "Boot a newer kernel, or leave NodePort to kube-proxy.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:243",
  },
  {
    id: "socket-lb",
    feature: "kube-proxy replacement",
    key: "datapath.kubeProxyReplacement",
    asked: ({ enableSocketLB }) => enableSocketLB,
    ...stableBackports,
    severity: "error",
    below: "the agent ends with `BPF host reachable services for UDP needs kernel 4.19.57, 5.1.16, 5.2.0 or newer`",
    wayOut: "Boot a newer kernel, or leave services to kube-proxy.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:402",
  },
  {
    id: "host-routing",
    feature: "host routing",
    key: "datapath.hostRouting",
    asked: ({ enableHostLegacyRouting }) => !enableHostLegacyRouting,
    needs: "5.10",
    releases: ">=5.10.0",
    severity: "warning",
    below: "the agent falls back to legacy host routing, with `requires kernel 5.10` in an info line",
    wayOut: "Boot a newer kernel, or write legacy.",
    source: "1.13.4 daemon/cmd/kube_proxy_replacement.go:460",
  },
  {
    id: "bandwidth-manager",
    feature: "bandwidth manager",
    key: "datapath.bandwidthManager.enabled",
    asked: ({ enableBandwidthManager }) => enableBandwidthManager,
    needs: "5.1",
    releases: ">=5.1.0",
    severity: "warning",
    below: "the agent disables the bandwidth manager, with a warning",
    wayOut: "Boot a newer kernel, or leave it out.",
    source: "1.13.4 pkg/bandwidth/bandwidth.go:60",
  },
  {
    id: "bbr",
    feature: "BBR",
    key: "datapath.bandwidthManager.bbr",
    asked: ({ enableBBR }) => enableBBR,
    needs: "5.18",
    releases: ">=5.18.0",
    severity: "error",
    below: "the agent ends with `Cannot enable --enable-bbr, needs kernel 5.18 or newer`",
    wayOut: "Boot a newer kernel, or leave it out.",
    source: "1.13.4 pkg/bandwidth/bandwidth.go:72",
  },
  {
    id: "big-tcp",
    feature: "IPv6 BIG TCP",
    key: "datapath.ipv6.bigTCP",
    asked: ({ enableIPv6BIGTCP }) => enableIPv6BIGTCP,
    needs: "5.19",
    releases: ">=5.19.0",
    severity: "warning",
    below: "the agent disables BIG TCP, with a warning",
    wayOut: "Boot a newer kernel, or leave it out.",
    source: "1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go:94",
  },
  {
    id: "conntrack-bypass",
    feature: "conntrack bypass",
    key: "datapath.conntrackBypass",
    asked: ({ installNoConntrackIptRules }) => installNoConntrackIptRules,
    ...stableBackports,
    severity: "warning",
    below: "the agent does not look; the documentation does not support it",
    wayOut: "Boot a newer kernel, or leave it out.",
    source: "Cilium 1.13 documentation, tuning: bypass iptables connection tracking",
  },
  {
    id: "xdp",
    feature: "XDP acceleration",
    key: "datapath.loadBalancer.acceleration",
    asked: ({ enableNodePort }, { loadBalancer }) => enableNodePort && loadBalancer.acceleration === "native",
    ...stableBackports,
    severity: "warning",
    below: "the agent does not look; the documentation does not support it",
    wayOut: "Boot a newer kernel, or write disabled.",
    source: "Cilium 1.13 documentation, tuning: XDP acceleration",
  },
  {
    id: "wireguard",
    feature: "encryption",
    key: "datapath.encryption",
    asked: ({ enableWireguard }) => enableWireguard,
    needs: "5.6",
    releases: ">=5.6.0",
    severity: "error",
    below: "the kernel has no WireGuard and the agent ends with `failed to initialize wireguard`",
    wayOut: "Boot a newer kernel, or write none.",
    source: "Cilium 1.13 documentation, WireGuard transparent encryption; 1.13.4 daemon/cmd/daemon_main.go:1604",
  },
  {
    id: "ipsec-tunnel",
    feature: "encryption",
    key: "datapath.encryption",
    asked: ({ enableIPSec, tunnel }) => enableIPSec && tunnel !== "disabled",
    needs: "4.19",
    releases: ">=4.19.0",
    severity: "error",
    below: "the agent ends with `IPSec with tunneling requires support for xfrm state output masks`",
    wayOut: "Boot a newer kernel, or write none.",
    source: "1.13.4 daemon/cmd/daemon_main.go:1359",
  },
];

/** Kernel releases of distributions that take features back into old versions: their version says little. */
const backporting = /\.el\d/;

/**
 * Whether a kernel has what a feature needs, by its version.
 * @param release as `uname -r` prints it
 * @returns nothing where the release has no version in it
 */
export function meetsFloor(floor: Pick<KernelFloor, "releases">, release: string): boolean | undefined {
  // Build numbers would make a pre-release of it, which no range takes.
  const version = semver.coerce(release);
  return version === null ? undefined : semver.satisfies(version, floor.releases);
}

/**
 * Checks a machine's kernel against everything that a config asks for. Meant to run before Cilium is installed.
 * @param release as `uname -r` prints it there
 * @param machine what to call the machine in messages
 * @returns errors where the agent would end, warnings where it would do something else; with `strict` errors only
 */
export function checkKernel({ datapath, strict }: LabConfig, release: string, machine: string): Finding[] {
  if (semver.coerce(release) === null) {
    return [
      {
        id: "kernel-unknown",
        severity: strict ? "error" : "warning",
        key: "machines",
        message: `${machine} says that its kernel is ${JSON.stringify(release)}, in which there is no version: nothing could be checked.`,
        wayOut: "Check that uname -r works there.",
      },
    ];
  }
  const isUncertain = backporting.test(release);
  const { options } = afterFallbacks(agentOptions(datapath));
  return kernelFloors
    .filter((floor) => floor.asked(options, datapath) && meetsFloor(floor, release) === false)
    .map(({ id, feature, key, needs, severity, below, wayOut }) => ({
      id: `kernel-${id}`,
      severity: strict || !isUncertain ? (strict ? "error" : severity) : "warning",
      key,
      message:
        `${machine} runs kernel ${release}, and ${feature} needs ${needs}: ${below}.` +
        (isUncertain ? " The distribution may have taken back what it needs." : ""),
      wayOut,
    }));
}

/** Kernels that cloud images boot with, by what their file names say. */
const imageKernels: readonly (readonly [pattern: RegExp, release: string])[] = [
  [/ubuntu-20\.04|focal/, "5.4"],
  [/ubuntu-22\.04|jammy/, "5.15"],
  [/ubuntu-23\.04|lunar/, "6.2"],
  [/ubuntu-23\.10|mantic/, "6.5"],
  [/ubuntu-24\.04|noble/, "6.8"],
  [/debian-11|bullseye/, "5.10"],
  [/debian-12|bookworm/, "6.1"],
];

/** Kernel version that a cloud image boots with, by its file name or URL; nothing where the name says nothing. */
export function kernelOfImage(file: string): string | undefined {
  return imageKernels.find(([pattern]) => pattern.test(file))?.[1];
}

/** Kernel version of machines that start from a known image; nothing where only the machines themselves know. */
export function kernelOfMachines(machines: Machines): string | undefined {
  if (machines.kind !== "libvirt") return undefined;
  const { path, urls } = machines.image;
  return kernelOfImage(path ?? urls?.[0] ?? "");
}
