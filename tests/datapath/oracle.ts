import { z } from "zod";

/**
 * An independent statement of what Cilium 1.13.4 makes of Helm values, written from what its source, its documentation and its log
 * lines say, and not from the project's rules: it looks at nothing but rendered values.
 */
export interface Outcome {
  /** Why the agent ends, each by words of its last line. */
  readonly ends: readonly string[];
  /** What it silently does otherwise. */
  readonly fallsBack: readonly ("masquerade" | "hostRouting" | "bandwidthManager" | "bigTCP")[];
}

const tree = z.record(z.string(), z.unknown());

function reader(values: unknown): (path: string) => unknown {
  return (path) =>
    path.split(".").reduce<unknown>((value, key) => {
      const found = tree.safeParse(value);
      return found.success ? found.data[key] : undefined;
    }, values);
}

export function outcomeOf(values: unknown): Outcome {
  const at = reader(values);
  const yes = (path: string): boolean => at(path) === true;
  const notNo = (path: string): boolean => at(path) !== false;
  const ends: string[] = [];
  const end = (when: boolean, words: string): void => {
    if (when) ends.push(words);
  };

  const cloud = ["gke", "eni", "azure"].filter((name) => yes(`${name}.enabled`));
  const tunnel = cloud.includes("gke") ? "disabled" : (at("tunnel") ?? "vxlan");
  const isTunnel = tunnel !== "disabled";
  const replacement = at("kubeProxyReplacement") ?? "disabled";
  const ipam = at("ipam.mode") ?? "cluster-pool";
  const ipv6 = yes("ipv6.enabled");
  const masquerade4 = notNo("enableIPv4Masquerade");
  const masquerade6 = notNo("enableIPv6Masquerade") && ipv6;
  const bpf = yes("bpf.masquerade");
  const ipsec = yes("encryption.enabled") && (at("encryption.type") ?? "ipsec") === "ipsec";
  const wireguard = yes("encryption.enabled") && at("encryption.type") === "wireguard";
  const part = (path: string): boolean => replacement === "strict" || (replacement === "partial" && yes(path));
  const nodePort = part("nodePort.enabled");
  const socketLB = part("socketLB.enabled");
  const bypass =
    yes("installNoConntrackIptablesRules") && cloud.length === 0 && (at("cni.chainingMode") ?? "none") === "none";
  const full =
    nodePort && socketLB && part("externalIPs.enabled") && part("hostPort.enabled") && part("sessionAffinity");
  const bandwidthManager = yes("bandwidthManager.enabled") && !ipsec;

  end(!["vxlan", "geneve", "disabled"].some((word) => word === tunnel), "invalid tunnel mode");
  end(isTunnel && yes("autoDirectNodeRoutes"), "auto-direct-node-routes cannot be used with tunneling");
  end(!isTunnel && masquerade4 && !at("ipv4NativeRoutingCIDR") && ipam !== "eni", "--ipv4-native-routing-cidr");
  end(!isTunnel && masquerade6 && !at("ipv6NativeRoutingCIDR"), "--ipv6-native-routing-cidr");
  end(ipam === "eni" && ipv6, "IPv6 cannot be enabled in ENI IPAM mode");
  end(masquerade6 && bpf, "BPF masquerade is not supported for IPv6");
  end(nodePort && isTunnel && (at("loadBalancer.mode") ?? "snat") !== "snat", "mode cannot be used with tunneling");
  end(nodePort && ipsec, "IPSec cannot be used with BPF NodePort");
  end(bypass && isTunnel, "requires the agent to run in direct routing mode");
  end(bypass && at("ipv4.enabled") === false, "requires IPv4 support");
  end(bypass && replacement !== "disabled" && !full, "kube-proxy-replacement=strict");
  end(bypass && replacement !== "disabled" && (masquerade4 || masquerade6) && !bpf, "enable-bpf-masquerade");
  end(wireguard && notNo("l7Proxy"), "is not compatible with L7 proxy");
  end(ipam === "cluster-pool-v2beta" && isTunnel, "Cannot specify IPAM mode cluster-pool-v2beta in tunnel mode");
  end(ipam === "cluster-pool-v2beta" && ipsec, "Cannot specify IPAM mode cluster-pool-v2beta with enable-ipsec");

  const keepsBpfMasquerade = bpf && masquerade4 && nodePort && (!isTunnel || socketLB);
  const legacyAsked = yes("bpf.hostLegacyRouting");
  const legacy =
    legacyAsked ||
    replacement !== "strict" ||
    ipsec ||
    wireguard ||
    ((masquerade4 || masquerade6) && !bpf) ||
    (bpf && masquerade4 && !keepsBpfMasquerade) ||
    yes("endpointRoutes.enabled") ||
    cloud.length > 0;
  const devices = at("devices");
  // A partial replacement still wants BPF host routing when devices are looked for, and native routing then wants a device.
  const wantsDirectRoutingDevice = replacement !== "disabled" && !legacyAsked && !isTunnel;
  const seesDevices =
    (Array.isArray(devices) && devices.length > 0) || nodePort || bandwidthManager || wantsDirectRoutingDevice;
  const bigTCP = yes("enableIPv6BIGTCP");
  end(bandwidthManager && yes("bandwidthManager.bbr") && legacy, "BBR setup requires BPF host routing");
  end(bigTCP && seesDevices && isTunnel, "BIG TCP is not supported in tunneling mode");
  end(bigTCP && seesDevices && ipsec, "BIG TCP is not supported with encryption enabled");
  end(bigTCP && seesDevices && legacy, "BIG TCP is not supported with legacy host routing");

  return {
    ends,
    fallsBack: [
      ...(bpf && !keepsBpfMasquerade ? (["masquerade"] as const) : []),
      // Left unset the chart asks for nothing in particular; false is a request.
      ...(at("bpf.hostLegacyRouting") === false && legacy ? (["hostRouting"] as const) : []),
      ...(yes("bandwidthManager.enabled") && !bandwidthManager ? (["bandwidthManager"] as const) : []),
      ...(bigTCP && !seesDevices ? (["bigTCP"] as const) : []),
    ],
  };
}
