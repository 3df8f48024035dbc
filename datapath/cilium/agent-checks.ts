import { z } from "zod";
import type { Datapath } from "../config/datapath.ts";
import type { PlannedFeature } from "./features.ts";
import type { FoundOnNode } from "./found-features.ts";
import { tunnelPort } from "../plan/plan.ts";
import type { Check } from "../run/run.ts";

/** What one agent says of itself, and what the API says of it. A field is absent where it could not be read. */
export interface AgentEvidence {
  readonly node: string;
  /** Why something is absent, in the words of the tool that failed. */
  readonly failures: readonly string[];
  /** When its pod was made, and when the data of cilium-config was written last: milliseconds since 1970, to a second. */
  readonly createdAt?: number;
  readonly configuredAt?: number;
  /** `cilium config -r -o json`: its options after all fallbacks. */
  readonly options?: unknown;
  /** By other node's name, why cilium-health does not reach its host or the endpoint there; absent entries are reached. */
  readonly health?:
    | { readonly peers: readonly { readonly name: string; readonly host?: string; readonly endpoint?: string }[] }
    | "switched off";
  /** `cilium bpf tunnel list`. Read in tunnel mode alone: after a switch to native old rows stay. */
  readonly tunnelMap?: Readonly<Record<string, string>>;
  /** What its options, its status and its log show of the features. */
  readonly features?: FoundOnNode;
}

/** What the judge of agents has to know of a node. */
export interface AgentNode {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
}

const cidr = z.object({ IP: z.string(), Mask: z.base64() }).nullable();
const options = z.object({
  Tunnel: z.string(),
  TunnelPort: z.number(),
  EnableAutoDirectRouting: z.boolean(),
  IPv4NativeRoutingCIDR: cidr,
});

/**
 * Judges Cilium's own word on one node, in the order of its strength: the options in effect, whether they are those of the
 * current ConfigMap, the tunnel map, what cilium-health reaches, and feature by feature what is in effect against what was to be.
 * Not used, because they hold in every datapath: pods that are ready, pings, `--datapath-mode`, `(Direct Routing)` in
 * `cilium status`, and in native mode the tunnel map.
 * @param planned the features as they should be in effect; a fallback that was foreseen is no contradiction
 */
export function judgeAgent(
  datapath: Datapath,
  evidence: AgentEvidence,
  nodes: readonly AgentNode[],
  planned: readonly PlannedFeature[],
): Check[] {
  const { node, failures } = evidence;
  const check = (name: string, expected: string, found: string | undefined): Check => ({
    node,
    name,
    expected,
    found: found ?? `not read${failures.length > 0 ? `: ${failures.join("; ")}` : ""}`,
    ok: found === undefined ? null : found === expected,
  });
  const peers = nodes.filter(({ name }) => name !== node);
  return [
    ...judgeOptions(datapath, evidence.options, check),
    check(startName, "after the last change of cilium-config", startOf(evidence)),
    ...(datapath.mode === "native"
      ? []
      : peers.map((peer) =>
          check(
            `tunnel map for ${peer.podCidr}`,
            peer.address,
            evidence.tunnelMap && (evidence.tunnelMap[networkOf(peer.podCidr)] ?? "no row"),
          ),
        )),
    ...judgeHealth(evidence, peers, check),
    ...planned.flatMap(({ name, effective }): Check[] => {
      // Routing has checks of its own; of the Hubble's parts that no agent speaks of there is nothing to judge.
      const found = evidence.features?.values[name];
      if (name === "routing" || (evidence.features !== undefined && found === undefined)) return [];
      const reason = evidence.features?.reasons[name];
      const because = found === effective || reason === undefined ? "" : `, ${reason}`;
      return [check(`feature ${name}`, effective, found === undefined ? undefined : `${found}${because}`)];
    }),
  ];
}

const startName = "start of the agent";

type MakeCheck = (name: string, expected: string, found: string | undefined) => Check;

function judgeOptions(datapath: Datapath, found: unknown, check: MakeCheck): Check[] {
  const parsed = options.safeParse(found).data;
  const isNative = datapath.mode === "native";
  const direct = isNative && datapath.routes.kind === "direct";
  const native = isNative ? datapath.ipv4NativeRoutingCIDR : undefined;
  return [
    check("agent option tunnel", isNative ? "disabled" : datapath.mode, parsed?.Tunnel),
    ...(isNative
      ? []
      : [check("agent option tunnel-port", `${tunnelPort(datapath)}`, parsed && `${parsed.TunnelPort}`)]),
    check("agent option auto-direct-node-routes", `${direct}`, parsed && `${parsed.EnableAutoDirectRouting}`),
    ...(native === undefined
      ? []
      : [
          check(
            "agent option ipv4-native-routing-cidr",
            native,
            parsed && (parsed.IPv4NativeRoutingCIDR === null ? "none" : cidrText(parsed.IPv4NativeRoutingCIDR)),
          ),
        ]),
  ];
}

const healthOptions = z.object({ EnableHealthChecking: z.boolean() });

/** Whether an agent's options switch cilium-health off; an agent whose options can't be read may have it. */
export function hasNoHealth(found: unknown): boolean {
  return healthOptions.safeParse(found).data?.EnableHealthChecking === false;
}

/**
 * What stands of the Hubble beside the agents, against what was asked for; what was not asked for is nobody's contradiction.
 * @param found `on`, or why not; absent where it can't be read
 */
export function judgeHubble(
  planned: readonly PlannedFeature[],
  found: Readonly<Record<string, string>> | undefined,
  failure?: string,
): Check[] {
  return planned
    .filter(({ name, effective }) => /^Hubble (?:relay|UI)$/.test(name) && effective === "on")
    .map(({ name }): Check => {
      const value = found?.[name];
      return {
        node: "cluster",
        name: `feature ${name}`,
        expected: "on",
        found: value ?? `not read${failure === undefined ? "" : `: ${failure}`}`,
        ok: value === undefined ? null : value === "on",
      };
    });
}

/** Go prints a network's mask as the base64 of its four bytes. */
function cidrText({ IP, Mask }: { IP: string; Mask: string }): string {
  const bits = [...Buffer.from(Mask, "base64")].map((byte) => byte.toString(2).replaceAll("0", "").length);
  return `${IP}/${bits.reduce((sum, count) => sum + count, 0)}`;
}

function startOf({ createdAt, configuredAt }: AgentEvidence): string | undefined {
  if (createdAt === undefined || configuredAt === undefined) return undefined;
  if (createdAt >= configuredAt) return "after the last change of cilium-config";
  const time = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(".000Z", "Z");
  return `${time(createdAt)}, before the last change of cilium-config at ${time(configuredAt)}`;
}

/**
 * Health endpoints are judged only where the node reaches its own: where it does not, they don't work there at all, say nothing of
 * the way between nodes, and leave the check open. Where health checking is switched off there is nothing to judge.
 */
function judgeHealth({ node, health }: AgentEvidence, peers: readonly AgentNode[], check: MakeCheck): Check[] {
  if (health === "switched off") return [];
  const all = "all reached";
  const unreached = (part: "host" | "endpoint"): string | undefined => {
    if (health === undefined) return undefined;
    const failures = peers.flatMap(({ name }) => {
      const probed = health.peers.find((peer) => peer.name === name);
      const failure = probed === undefined ? "not known to cilium-health" : probed[part];
      return failure === undefined ? [] : [`${name}: ${failure}`];
    });
    return failures.length === 0 ? all : failures.join("; ");
  };
  const endpoints = check("cilium-health, endpoints on other nodes", all, unreached("endpoint"));
  const hasEndpoints = health === undefined || reachesOwnEndpoint(node, health);
  const unjudged = { found: "not judged: the node does not reach its own endpoint either", ok: null };
  return [
    check("cilium-health, hosts of other nodes", all, unreached("host")),
    hasEndpoints ? endpoints : { ...endpoints, ...unjudged },
  ];
}

type Health = Exclude<NonNullable<AgentEvidence["health"]>, string>;

function reachesOwnEndpoint(node: string, { peers }: Health): boolean {
  const own = peers.find(({ name }) => name === node);
  return own !== undefined && own.endpoint === undefined;
}

/**
 * Whether asking again could show no more. Peers that have just started don't answer yet, and routes by BGP come a while after the
 * agents (seen on the real agent: Ready, and 12 s later the last session).
 */
export function isHealthSettled(node: string, health: Health): boolean {
  const countsEndpoints = reachesOwnEndpoint(node, health);
  return health.peers.every(
    ({ name, host, endpoint }) => name === node || (host === undefined && (!countsEndpoints || endpoint === undefined)),
  );
}

function networkOf(podCidr: string): string {
  return podCidr.split("/")[0] ?? podCidr;
}
