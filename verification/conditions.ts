import type { Host } from "./hosts/host.ts";

const tools = {
  iperf3: ["iperf3", "--version"],
  tcpdump: ["tcpdump", "--version"],
  iproute2: ["ip", "-V"],
  nftables: ["nft", "--version"],
} as const;

/** Versions of the tools that the evidence comes from, as they name themselves; a tool that is not there is left out. */
export async function toolVersions(host: Host): Promise<Record<string, string>> {
  const versions = await Promise.all(
    Object.entries(tools).map(async ([name, command]): Promise<[string, string][]> => {
      const result = await host.run(command, { timeoutSeconds: 10 }).catch(() => undefined);
      const version = /\d+(?:\.\d+)+/.exec(`${result?.stdout.toString() ?? ""}${result?.stderr ?? ""}`)?.[0];
      return version === undefined ? [] : [[name, version]];
    }),
  );
  return Object.fromEntries(versions.flat());
}

/** Offloads that decide how many packets the kernel's stack sees, as `ethtool -k` names them. */
const relevantOffloads = [
  "rx-checksumming",
  "tx-checksumming",
  "tcp-segmentation-offload",
  "generic-segmentation-offload",
  "generic-receive-offload",
  "large-receive-offload",
  "tx-udp_tnl-segmentation",
  "tx-udp_tnl-csum-segmentation",
  "rx-udp_tunnel-port-offload",
  "rx-gro-hw",
];

/** Offload settings of a node's NIC, by name: `on`, `off`, `off [fixed]`; empty where ethtool is not there. */
export async function offloads(host: Host, device: string): Promise<Record<string, string>> {
  const result = await host.run(["ethtool", "-k", device], { timeoutSeconds: 10 }).catch(() => undefined);
  const lines = (result?.stdout.toString() ?? "").split("\n").map((line) => line.split(":"));
  return Object.fromEntries(
    lines.flatMap(([name = "", value]) =>
      value !== undefined && relevantOffloads.includes(name.trim()) ? [[name.trim(), value.trim()]] : [],
    ),
  );
}

/** The driver of a node's NIC, as `ethtool -i` names it; nothing where ethtool is not there or the driver does not say. */
export async function nicDriver(host: Host, device: string): Promise<string | undefined> {
  const result = await host.run(["ethtool", "-i", device], { timeoutSeconds: 10 }).catch(() => undefined);
  return /^driver: (\S+)$/m.exec(result?.stdout.toString() ?? "")?.[1];
}
