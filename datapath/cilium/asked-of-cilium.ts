import { afterFallbacks, agentOptions } from "./agent.ts";
import { datapath as datapathSchema, type Datapath } from "../config/datapath.ts";
import { inOtherMode, type NamedDatapath } from "../config/other-mode.ts";
import { readShape } from "../config/shape.ts";

/** The agent's replacement of kube-proxy by parts, and the keys that switch them on (1.13.4 cilium-configmap.yaml:610). */
const parts = {
  nodePort: "enable-node-port",
  externalIPs: "enable-external-ips",
  hostPort: "enable-host-port",
  socketLB: "bpf-lb-sock",
  sessionAffinity: "enable-session-affinity",
} as const;

/**
 * The datapath that a cluster's ConfigMap `cilium-config` asks for. What the agents make of it is another question. Where native
 * routes are not the agents' own, the network is taken for knowing them: the ConfigMap does not say which router or daemon does.
 * @param data the ConfigMap's data, keys as the 1.13 chart writes them
 * @param hubble whether Hubble's relay and its UI stand, of which the ConfigMap says nothing
 * @param instead the datapath that should hold; all that is not of its mode stays as the ConfigMap has it
 * @throws Error that names what no datapath of 1.13 is
 */
export function datapathAskedOfCilium(
  data: Readonly<Record<string, string>>,
  hubble: HubbleParts = { relay: false, ui: false },
  instead?: NamedDatapath,
): Datapath {
  if (data["routing-mode"] !== undefined || data["tunnel-protocol"] !== undefined) {
    throw new Error(
      "cilium-config has routing-mode or tunnel-protocol, which are of Cilium 1.14 and later: 1.13 agents ignore them. Say what should hold with --datapath.",
    );
  }
  const raw = askedRaw(data, hubble);
  const asked = instead === undefined ? raw : inOtherMode(raw, instead);
  const parsed = datapathSchema.safeParse(asked);
  if (parsed.success) {
    // Where the key is absent, the agent hands packets over by BPF wherever it can.
    const byItself = data["enable-host-legacy-routing"] === undefined;
    const { enableHostLegacyRouting } = afterFallbacks(agentOptions(parsed.data)).options;
    return byItself && enableHostLegacyRouting ? { ...parsed.data, hostRouting: "legacy" } : parsed.data;
  }
  const wrong = readShape(datapathSchema, asked).findings.map(({ key, message }) => `  ${key}: ${message}`);
  throw new Error(
    `cilium-config asks for no datapath of Cilium 1.13:\n${wrong.join("\n")}\nSay what should hold with --datapath, or in the section datapath of a file: --file FILE`,
  );
}

interface Asked {
  readonly mode: string;
  readonly [key: string]: unknown;
}

/** Deployments of their own, beside the agents. */
export interface HubbleParts {
  readonly relay: boolean;
  readonly ui: boolean;
}

function askedRaw(data: Readonly<Record<string, string>>, hubble: HubbleParts): Asked {
  const isOn = (key: string, otherwise = false): boolean => (data[key] ?? `${otherwise}`) === "true";
  const words = (key: string): string[] => (data[key] ?? "").split(/[\s,]+/).filter((word) => word !== "");
  const port = Number(data["tunnel-port"] ?? 0);
  const mtuBytes = Number(data["mtu"] ?? 0);
  const tunnel = data["tunnel"] ?? "vxlan";
  const replacement = data["kube-proxy-replacement"] ?? "disabled";
  const bpfMasquerade = isOn("enable-bpf-masquerade");
  const [pool] = words("cluster-pool-ipv4-cidr");
  const [poolIPv6] = words("cluster-pool-ipv6-cidr");
  const ipam = data["ipam"] ?? "cluster-pool";
  const nativeCidr = nonEmpty(data["ipv4-native-routing-cidr"]);
  const nativeCidrIPv6 = nonEmpty(data["ipv6-native-routing-cidr"]);
  const cloud = ipam === "eni" || ipam === "azure" ? { integration: ipam } : {};
  return {
    mode: tunnel === "disabled" ? "native" : tunnel,
    ...(tunnel === "disabled"
      ? {
          routes: isOn("auto-direct-node-routes") ? { kind: "direct" } : { kind: "router", ...cloud },
          ...(nativeCidr === undefined ? {} : { ipv4NativeRoutingCIDR: nativeCidr }),
          ...(nativeCidrIPv6 === undefined ? {} : { ipv6NativeRoutingCIDR: nativeCidrIPv6 }),
        }
      : port === 0
        ? {}
        : { tunnelPort: port }),
    kubeProxyReplacement:
      replacement === "partial"
        ? { mode: "partial", ...Object.fromEntries(Object.entries(parts).map(([part, key]) => [part, isOn(key)])) }
        : { mode: replacement },
    masquerade: {
      implementation: bpfMasquerade ? "bpf" : "iptables",
      ipv4: isOn("enable-ipv4-masquerade", true),
      ipv6: isOn("enable-ipv6-masquerade", true),
    },
    hostRouting: isOn("enable-host-legacy-routing") ? "legacy" : "bpf",
    bandwidthManager: { enabled: isOn("enable-bandwidth-manager"), bbr: isOn("enable-bbr") },
    ipv6: { enabled: isOn("enable-ipv6"), bigTCP: isOn("enable-ipv6-big-tcp") },
    ...(mtuBytes === 0 ? {} : { mtuBytes }),
    loadBalancer: {
      ...(data["bpf-lb-mode"] === undefined ? {} : { mode: data["bpf-lb-mode"] }),
      ...(data["bpf-lb-algorithm"] === undefined ? {} : { algorithm: data["bpf-lb-algorithm"] }),
      ...(data["bpf-lb-acceleration"] === undefined ? {} : { acceleration: data["bpf-lb-acceleration"] }),
    },
    conntrackBypass: isOn("install-no-conntrack-iptables-rules"),
    endpointRoutes: isOn("enable-endpoint-routes"),
    devices: words("devices"),
    ...(nonEmpty(data["direct-routing-device"]) === undefined
      ? {}
      : { directRoutingDevice: data["direct-routing-device"] }),
    ipam: {
      mode: ipam,
      ...(pool === undefined ? {} : { clusterPoolIPv4PodCIDR: pool }),
      ...(data["cluster-pool-ipv4-mask-size"] === undefined
        ? {}
        : { clusterPoolIPv4MaskSize: Number(data["cluster-pool-ipv4-mask-size"]) }),
      ...(poolIPv6 === undefined ? {} : { clusterPoolIPv6PodCIDR: poolIPv6 }),
    },
    hubble: { enabled: isOn("enable-hubble"), ...hubble },
    encryption: isOn("enable-wireguard") ? "wireguard" : isOn("enable-ipsec") ? "ipsec" : "none",
    l7Proxy: isOn("enable-l7-proxy", true),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
