import { z } from "zod";
import type { PlannedFeature } from "./features.ts";
import type { Check, Feature } from "../run/run.ts";

/** What one node shows of the features, by the feature's name, in the words of `featuresOf`. */
export interface FoundOnNode {
  readonly node: string;
  readonly values: Readonly<Record<string, string>>;
  /** Why a feature is not in effect, by its name, in the words of whoever gave it up. */
  readonly reasons: Readonly<Record<string, string>>;
}

/**
 * Requested against effective, in the order of `planned`. A feature that nodes show differently names the nodes; one that not
 * every node shows has no effective value, because half of the evidence confirms nothing. What agents logged of a feature that is in
 * effect all the same stands as its reason, too; and of IPv6 there is the agents' word alone.
 */
export function featuresFound(planned: readonly PlannedFeature[], found: readonly FoundOnNode[]): Feature[] {
  return planned.map(({ name, requested, effective: predicted, reason: expectedReason }): Feature => {
    const silent = found.filter(({ values }) => values[name] === undefined).map(({ node }) => node);
    if (found.length === 0 || silent.length > 0) {
      const where = silent.length === found.length ? "nothing shows it" : `nothing shows it on ${silent.join(", ")}`;
      return { name, requested, reason: where };
    }
    const values = [...new Set(found.map((one) => one.values[name] ?? ""))];
    const [only = ""] = values;
    const nodesWith = (value: string): string =>
      found
        .filter((one) => one.values[name] === value)
        .map(({ node }) => node)
        .join(", ");
    const effective = values.length === 1 ? only : values.map((value) => `${value} on ${nodesWith(value)}`).join("; ");
    const told = [...new Set(found.flatMap(({ reasons }) => reasons[name] ?? []))];
    if (effective === requested) {
      const remark = told[0] ?? (name.startsWith("IPv6") && effective === "on" ? unprovenIPv6 : undefined);
      return { name, requested, effective, ...(remark === undefined ? {} : { reason: remark }) };
    }
    const known = effective === predicted && expectedReason !== undefined ? [expectedReason] : [];
    const [reason] = [...told, ...known];
    return { name, requested, effective, ...(reason === undefined ? {} : { reason }) };
  });
}

const unprovenIPv6 = "The agents say so; links, routes and packets are proven for IPv4 alone.";

const agentOptions = z.object({
  Tunnel: z.enum(["vxlan", "geneve", "disabled"]),
  EnableAutoDirectRouting: z.boolean(),
  EnableNodePort: z.boolean(),
  EnableBandwidthManager: z.boolean(),
  EnableBBR: z.boolean(),
  EnableIPv6: z.boolean(),
  EnableIPv6BIGTCP: z.boolean(),
  EnableEndpointRoutes: z.boolean(),
  EnableL7Proxy: z.boolean(),
  EnableHubble: z.boolean(),
  InstallNoConntrackIptRules: z.boolean(),
  NodePortMode: z.enum(["snat", "dsr", "hybrid"]),
  NodePortAlg: z.enum(["random", "maglev"]),
  NodePortAcceleration: z.string(),
});

// The agent leaves out what is false.
const enabled = z.object({ enabled: z.boolean().default(false) }).prefault({});
const agentStatus = z.object({
  "kube-proxy-replacement": z.object({
    mode: z.string(),
    features: z
      .object({
        nodePort: enabled,
        externalIPs: enabled,
        hostPort: enabled,
        socketLB: enabled,
        sessionAffinity: enabled,
      })
      .prefault({}),
  }),
  masquerading: z.object({
    enabled: z.boolean().default(false),
    mode: z.string().optional(),
    enabledProtocols: z.object({ ipv4: z.boolean().default(false), ipv6: z.boolean().default(false) }).prefault({}),
  }),
  "host-routing": z.object({ mode: z.string() }),
  encryption: z.object({ mode: z.string() }).optional(),
});

const parts = ["nodePort", "externalIPs", "hostPort", "socketLB", "sessionAffinity"] as const;
const words: Readonly<Record<string, string>> = {
  vxlan: "VXLAN",
  geneve: "Geneve",
  snat: "SNAT",
  dsr: "DSR",
  maglev: "Maglev",
  IPsec: "IPsec",
  Wireguard: "WireGuard",
};
const onOff = (value: boolean): string => (value ? "on" : "off");

/** Log lines in which the agent gives up a feature (1.13.4 daemon/cmd, pkg/bandwidth, pkg/datapath/linux/bigtcp). */
const fallbackLines: readonly { readonly feature: string; readonly pattern: RegExp }[] = [
  { feature: "masquerading", pattern: /Falling back to iptables-based masquerading|Auto-disabling .*masquerad/ },
  { feature: "host routing", pattern: /Falling back to legacy host routing|falling back to \\?"enable-host-legacy-/ },
  {
    feature: "bandwidth manager",
    pattern: /bandwidth manager .*Disabling the feature\.|Disabling the bandwidth manager\./,
  },
  {
    feature: "IPv6 BIG TCP",
    pattern: /Cannot enable --enable-ipv6-big-tcp|IPv6 BIG TCP .*Disabling the feature\.|Could not modify gro_max_size/,
  },
  { feature: "routing", pattern: /Unable to install direct node route|must be directly reachable/ },
];

/**
 * What an agent of 1.13 says of itself.
 * @param about `options`: `cilium config -r -o json`, after all fallbacks; `status`: `cilium status -o json`; `log`: the
 * agent's log, info lines too; `requested`: the routing asked for, which the agent can only half confirm (it does not know
 * whether a router or a daemon carries the routes)
 * @throws ZodError where a JSON value has another shape than the agent's
 */
export function foundByAgent(
  node: string,
  about: { readonly options: unknown; readonly status: unknown; readonly log: string; readonly requested: string },
): FoundOnNode {
  const options = agentOptions.parse(about.options);
  const status = agentStatus.parse(about.status);
  const replacement = status["kube-proxy-replacement"];
  const replaced = parts.filter((part) => replacement.features[part].enabled);
  const mode = replacement.mode.toLowerCase();
  const { masquerading, encryption } = status;
  const families = [
    ...(masquerading.enabledProtocols.ipv4 ? ["IPv4"] : []),
    ...(masquerading.enabledProtocols.ipv6 ? ["IPv6"] : []),
  ];
  // Without NodePort in BPF the agent balances nothing, whatever its options say; kube-proxy does what the defaults would.
  const balancing = (value: string, defaults: string): string => {
    const inEffect = options.EnableNodePort ? value : defaults;
    return words[inEffect] ?? inEffect;
  };
  const values = {
    routing: foundRouting(options, about.requested),
    "kube-proxy replacement":
      mode === "partial" ? (replaced.length === 0 ? "partial, of nothing" : `partial: ${replaced.join(", ")}`) : mode,
    masquerading:
      masquerading.enabled && families.length > 0
        ? `${masquerading.mode?.toLowerCase() === "bpf" ? "BPF" : "iptables"}, ${families.join(" and ")}`
        : "off",
    "host routing": status["host-routing"].mode === "BPF" ? "BPF" : "legacy",
    "bandwidth manager": onOff(options.EnableBandwidthManager),
    BBR: onOff(options.EnableBandwidthManager && options.EnableBBR),
    IPv6: onOff(options.EnableIPv6),
    "IPv6 BIG TCP": onOff(options.EnableIPv6BIGTCP),
    "load balancer mode": balancing(options.NodePortMode, "snat"),
    "load balancer algorithm": balancing(options.NodePortAlg, "random"),
    "XDP acceleration": onOff(options.EnableNodePort && options.NodePortAcceleration === "native"),
    "conntrack bypass": onOff(options.InstallNoConntrackIptRules),
    "endpoint routes": onOff(options.EnableEndpointRoutes),
    encryption:
      encryption === undefined || encryption.mode === "Disabled" ? "off" : (words[encryption.mode] ?? encryption.mode),
    "L7 proxy": onOff(options.EnableL7Proxy),
    Hubble: onOff(options.EnableHubble),
  };
  const lines = about.log.split("\n");
  const reasons = Object.fromEntries(
    fallbackLines.flatMap(({ feature, pattern }): [string, string][] => {
      const line = lines.find((one) => pattern.test(one));
      return line === undefined ? [] : [[feature, `the agent says: ${messageOf(line)}`]];
    }),
  );
  return { node, values, reasons };
}

function foundRouting({ Tunnel, EnableAutoDirectRouting }: z.infer<typeof agentOptions>, requested: string): string {
  if (Tunnel !== "disabled") return words[Tunnel] ?? Tunnel;
  const isDirect = requested.startsWith("native, direct");
  if (requested.startsWith("native") && isDirect === EnableAutoDirectRouting) return requested;
  return EnableAutoDirectRouting ? "native, direct routes" : "native, no routes of the agent's own";
}

/** Every line of an agent's log in which it gives up a feature, in its own words, each once. */
export function fallbacksIn(log: string): string[] {
  const lines = log.split("\n").filter((line) => fallbackLines.some(({ pattern }) => pattern.test(line)));
  return [...new Set(lines.map(messageOf))];
}

/** Whether a log still has what the agent says first: its options. A container's log is cut off at its beginning once it is long. */
export function reachesStart(log: string): boolean {
  return /^.*msg="\s*--[a-z0-9-]+='/m.test(log);
}

/** `msg` and `error` of a line as the agent logs it (logrus): `level=warning msg="…" error="…"`. */
function messageOf(line: string): string {
  const field = (name: string): string | undefined => {
    const quoted = new RegExp(String.raw`\b${name}=("(?:[^"\\]|\\.)*")`).exec(line)?.[1];
    return quoted === undefined ? undefined : z.string().safeParse(JSON.parse(quoted)).data;
  };
  return [field("msg") ?? line.trim(), field("error")].filter((part) => part !== undefined).join(" ");
}

const routingChecks = /^(?:link |route |other routes|pod packets on the wire)/;

/**
 * What the checks of the embedded lab show, where no agent speaks for itself: routing, as long as every check of links, routes
 * and wire could be judged, and masquerading. The rest is no feature of a kernel alone and is not in effect there.
 */
export function foundByChecks(planned: readonly PlannedFeature[], checks: readonly Check[]): FoundOnNode[] {
  const nodes = [...new Set(checks.map(({ node }) => node))];
  const routings = routingByChecks(planned, checks);
  const families = planned.find(({ name }) => name === "masquerading")?.requested;
  return nodes.map((node) => {
    const own = checks.filter((check) => check.node === node);
    const routing = routings.get(node);
    const source = own.find(({ name }) => name.startsWith("source of the pod's packets"));
    const unspoken = Object.fromEntries(
      planned
        .filter(({ name }) => name !== "routing" && name !== "masquerading")
        .map(({ name, effective }): [string, string] => [name, effective]),
    );
    return {
      node,
      values: {
        ...unspoken,
        ...(routing?.value === undefined ? {} : { routing: routing.value }),
        ...(source === undefined || source.ok === null || families === undefined
          ? {}
          : { masquerading: source.found.endsWith("(masqueraded)") ? masqueraded(families) : "off" }),
      },
      reasons: routing?.reason === undefined ? {} : { routing: routing.reason },
    };
  });
}

/**
 * What the checks of links, routes and wire show of the routing, by node: what was asked for where all of them hold, something else
 * where one does not, and nothing where they could not all be judged.
 */
function routingByChecks(
  planned: readonly PlannedFeature[],
  checks: readonly Check[],
): ReadonlyMap<string, { readonly value?: string; readonly reason?: string }> {
  const requested = planned.find(({ name }) => name === "routing")?.requested;
  const nodes = [...new Set(checks.map(({ node }) => node))];
  return new Map(
    nodes.map((node): [string, { value?: string; reason?: string }] => {
      const own = checks.filter((check) => check.node === node && routingChecks.test(check.name));
      const wrong = own.find(({ ok }) => ok === false);
      if (wrong !== undefined) {
        const reason = `${node}: ${wrong.name} is ${wrong.found}, not ${wrong.expected}`;
        return [node, { value: "something else", reason }];
      }
      const isJudged = own.length > 0 && own.every(({ ok }) => ok !== null);
      return [node, isJudged && requested !== undefined ? { value: requested } : {}];
    }),
  );
}

/**
 * What agents say of themselves, with the routing as the checks show it: an agent whose options are the ones asked for may stand on a
 * node whose routes or packets are not. One that admits another routing is believed.
 */
export function withRoutingOfChecks(
  planned: readonly PlannedFeature[],
  found: readonly FoundOnNode[],
  checks: readonly Check[],
): FoundOnNode[] {
  const requested = planned.find(({ name }) => name === "routing")?.requested;
  const routings = routingByChecks(planned, checks);
  return found.map((one): FoundOnNode => {
    const { routing: said, ...values } = one.values;
    const shown = routings.get(one.node);
    if (said !== requested || said === undefined || shown === undefined) return one;
    return {
      node: one.node,
      values: shown.value === undefined ? values : { ...values, routing: shown.value },
      reasons: shown.reason === undefined ? one.reasons : { ...one.reasons, routing: shown.reason },
    };
  });
}

/** The embedded lab masquerades IPv4 with netfilter, whatever was asked for. */
function masqueraded(requested: string): string {
  return requested.startsWith("iptables") ? requested : "iptables, IPv4";
}
