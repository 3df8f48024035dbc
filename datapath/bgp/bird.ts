import type { BgpPeerPlan, BgpPlan } from "../plan/plan.ts";

/**
 * BIRD 2 retries a session that failed after a minute, and waits 5 s before the first try; a lab's nodes start together, so
 * that most first tries fail. In seconds.
 */
const timing = [
  "  connect delay time 1;",
  "  connect retry time 2;",
  "  error wait time 1, 4;",
  "  hold time 9;",
  "  keepalive time 3;",
];

/**
 * The configuration of a node's BIRD 2: announces the pod CIDR, learns its peers'. Every value in it was parsed as an address, a
 * CIDR, a number or a node's name before.
 * @param address the node's own, which is its router id as well
 * @param pool the CIDR that holds every pod CIDR: nothing else is learned
 */
export function nodeBird(
  plan: BgpPlan,
  { address, pool }: { readonly address: string; readonly pool: string },
): string {
  return [
    ...preamble(address),
    // Announced, and kept from the kernel: the node knows its own pods one by one.
    "protocol static pods {",
    "  ipv4;",
    `  route ${plan.announces} blackhole;`,
    "}",
    ...kernelProtocol(plan.installs),
    ...plan.peers.flatMap((peer) => session(peer, plan.asn, pool, "where source = RTS_STATIC")),
    "",
  ].join("\n");
}

/**
 * The configuration of the BIRD 2 of a router between the nodes: learns every pod CIDR and forwards, announces nothing.
 * @param asn the router's own AS number
 */
export function routerBird(
  nodes: readonly BgpPeerPlan[],
  { address, asn, pool }: { readonly address: string; readonly asn: number; readonly pool: string },
): string {
  return [
    ...preamble(address),
    ...kernelProtocol(true),
    ...nodes.flatMap((node) => session(node, asn, pool, "none")),
    "",
  ].join("\n");
}

function preamble(address: string): string[] {
  return ["log stderr { bug, fatal, error, warning };", `router id ${address};`, "protocol device { scan time 5; }"];
}

function kernelProtocol(installs: boolean): string[] {
  const exported = installs ? "where source = RTS_BGP" : "none";
  return ["protocol kernel {", "  scan time 5;", `  ipv4 { import none; export ${exported}; };`, "}"];
}

/** What a session's name begins with; its peer's name follows. Without it a peer named as a word of BIRD's language would break it. */
export const sessionPrefix = "to-";

function session({ name, address, asn }: BgpPeerPlan, localASN: number, pool: string, exported: string): string[] {
  return [
    `protocol bgp '${sessionPrefix}${name}' {`,
    `  local as ${localASN};`,
    `  neighbor ${address} as ${asn};`,
    "  direct;",
    ...timing,
    `  ipv4 { import where net ~ [ ${pool}+ ]; export ${exported}; next hop self; };`,
    "}",
  ];
}
