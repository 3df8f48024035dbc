import type { Datapath, IpamMode } from "../config/datapath.ts";

/** Who gives pods their addresses, and out of what. */
export interface PodAddresses {
  readonly mode: IpamMode;
  /** CIDR of Cilium's own pool. */
  readonly pool: string;
}

/** What a datapath asks for. */
export function podAddresses({ ipam }: Datapath): PodAddresses {
  return { mode: ipam.mode, pool: ipam.clusterPoolIPv4PodCIDR };
}

const wayOut = "or cilium.strategy: replace, which gives nodes new pod CIDRs and makes every pod anew.";

/**
 * Why a standing Cilium can't be given other pod addresses: nodes keep their pod CIDRs and pods their addresses, and others
 * may get the same (cilium/cilium#27164: no migration). Text for a person, with the way out; nothing where all stays.
 * @param configured data of the ConfigMap `cilium-config`; absent where no Cilium stands
 */
export function foreignAddresses(
  configured: Readonly<Record<string, string>> | undefined,
  wanted: PodAddresses,
): string | undefined {
  if (configured === undefined) return undefined;
  // Its chart's default (1.13.4 values.yaml).
  const mode = configured["ipam"] ?? "cluster-pool";
  if (mode !== wanted.mode) {
    return (
      `Pods of this cluster have their addresses by ipam.mode ${mode}, and this datapath wants ${wanted.mode}: ` +
      `Cilium can't change that on a cluster that stands.\nWrite datapath.ipam.mode: ${mode} where the routes allow it, ${wayOut}`
    );
  }
  const pools = configured["cluster-pool-ipv4-cidr"]?.split(/[\s,]+/).filter(Boolean);
  if (!mode.startsWith("cluster-pool") || pools === undefined || pools.includes(wanted.pool)) return undefined;
  return (
    `Pods of this cluster have their addresses out of ${pools.join(" and ")}, and this datapath wants ${wanted.pool}: ` +
    `Cilium can't change that on a cluster that stands.\nWrite datapath.ipam.clusterPoolIPv4PodCIDR: ${pools[0] ?? ""}, ${wayOut}`
  );
}
