import { z } from "zod";

/**
 * Lines of `cilium status` by their heads: `Host Routing` to `Legacy`. What stands below a head (tables of controllers and nodes)
 * is left out.
 */
export function parseStatusLines(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").flatMap((line): [string, string][] => {
      const found = /^(?<head>[A-Z][^:]*):\s*(?<value>.*)$/.exec(line)?.groups;
      return found === undefined ? [] : [[found["head"] ?? "", (found["value"] ?? "").trim()]];
    }),
  );
}

/** What one node's agent can reach of another, in cilium-health's own words. Absent: it was reached. */
export interface HealthOfPeer {
  readonly name: string;
  readonly host?: string;
  readonly endpoint?: string;
}

export interface Health {
  readonly local: string;
  readonly peers: readonly HealthOfPeer[];
}

const probe = z.object({ status: z.string().optional() });
const path = z.object({ "primary-address": z.object({ icmp: probe.optional(), http: probe.optional() }).optional() });
const health = z.object({
  local: z.object({ name: z.string() }),
  nodes: z.array(z.object({ name: z.string(), host: path.optional(), "health-endpoint": path.optional() })),
});

/** Reads `cilium-health status --probe -o json`: a `status` is there only where a probe failed. Throws where the text is not that. */
export function parseHealth(json: string): Health {
  const { local, nodes } = health.parse(JSON.parse(json));
  return {
    local: local.name,
    peers: nodes.map(({ name, host, "health-endpoint": endpoint }) => {
      const [hostFailure, endpointFailure] = [failureOf(host), failureOf(endpoint)];
      return {
        name,
        ...(hostFailure === undefined ? {} : { host: hostFailure }),
        ...(endpointFailure === undefined ? {} : { endpoint: endpointFailure }),
      };
    }),
  };
}

function failureOf(found: z.infer<typeof path> | undefined): string | undefined {
  const address = found?.["primary-address"];
  if (address === undefined) return "not probed";
  const failures = (["icmp", "http"] as const).flatMap((kind) => {
    const probed = address[kind];
    if (probed === undefined) return [`${kind}: not probed`];
    return probed.status === undefined || probed.status === "" ? [] : [`${kind}: ${probed.status}`];
  });
  return failures.length === 0 ? undefined : failures.join("; ");
}

/**
 * Rows of `cilium bpf tunnel list`: outer destination by the first address of the pod CIDR. Empty where there is no map, which is
 * so on a node that never had a tunnel.
 */
export function parseTunnelMap(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").flatMap((line): [string, string][] => {
      const found = /^(?<network>\d+(?:\.\d+){3})\s+(?<endpoint>\d+(?:\.\d+){3}):/.exec(line)?.groups;
      return found === undefined ? [] : [[found["network"] ?? "", found["endpoint"] ?? ""]];
    }),
  );
}
