import { z } from "zod";
import keys from "./chart-keys.json" with { type: "json" };

/** A value as JSON and YAML know it. */
export type ChartValue = z.core.util.JSONType;

const valueType = z.enum(["array", "boolean", "number", "object", "string"]);
export type ChartType = z.infer<typeof valueType>;

const chart = z
  .object({
    chart: z.literal("cilium"),
    version: z.string(),
    values: z.record(z.string(), z.object({ types: z.array(valueType), default: z.json().optional() })),
  })
  .parse(keys);

/** The version of Cilium and of its chart that all of this is about. */
export const chartVersion = chart.version;

/** What the chart takes at a path. An object is open: what stands inside is not the chart's to know. */
export interface ChartKey {
  readonly types: readonly ChartType[];
  /** Absent where the chart leaves the value unset. */
  readonly default?: ChartValue;
}

/**
 * Every value path of the chart: those of its values.yaml, those that it documents and leaves unset, and those that only its
 * templates read. Helm silently ignores any other.
 */
export const chartKeys: ReadonlyMap<string, ChartKey> = new Map(
  Object.entries(chart.values).map(([path, { types, default: value }]) => [
    path,
    { types, ...(value === undefined ? {} : { default: value }) },
  ]),
);

const branches: ReadonlySet<string> = new Set(
  [...chartKeys.keys()].flatMap((path) => {
    const parts = path.split(".");
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("."));
  }),
);

/** Whether there are value paths below a path. */
export function isBranch(path: string): boolean {
  return branches.has(path);
}

/** What a value is to the chart; nothing for null, which unsets. */
export function chartTypeOf(value: ChartValue): ChartType | undefined {
  if (value === null) return undefined;
  return Array.isArray(value) ? "array" : valueType.parse(typeof value);
}

/**
 * Paths that other versions of Cilium have, or that people expect, and what to write for 1.13.4. A path that only later charts
 * have would be ignored silently, and the datapath of the chart's defaults measured in its name.
 */
export const otherVersions: ReadonlyMap<string, string> = new Map([
  [
    "routingMode",
    "It came with 1.14. Before that it is tunnel, which datapath.mode says: native for tunnel: disabled.",
  ],
  ["tunnelProtocol", "It came with 1.14. Before that it is tunnel, which datapath.mode says: vxlan or geneve."],
  ["enableIPv4BIGTCP", "IPv4 BIG TCP came with 1.14. For IPv6 write datapath.ipv6.bigTCP."],
  ["nativeRoutingCIDR", "It became ipv4NativeRoutingCIDR with 1.11: write datapath.ipv4NativeRoutingCIDR."],
  ["masquerade", "It became enableIPv4Masquerade with 1.10: write datapath.masquerade.ipv4."],
  ["bpf.hostRouting", "The chart says it the other way round, as bpf.hostLegacyRouting: write datapath.hostRouting."],
  ["bpf.datapathMode", "netkit came with 1.16. Leave it out."],
  ["hostServices.enabled", "It became socketLB.enabled with 1.12: write datapath.kubeProxyReplacement."],
  ["bpf.lbMode", "The chart says loadBalancer.mode: write datapath.loadBalancer.mode."],
  ["l2announcements.enabled", "L2 announcements came with 1.14. Leave it out."],
  ["envoy.enabled", "Envoy as a DaemonSet came with 1.14. datapath.l7Proxy turns the built-in one on and off."],
  ["bandwidthManager", "It became bandwidthManager.enabled with 1.11: write datapath.bandwidthManager."],
  ["mtu", "The chart says MTU: write datapath.mtuBytes."],
]);
