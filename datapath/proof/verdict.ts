import type { NodeEvidence, RouteEvidence } from "./evidence.ts";
import { carrierOf } from "./evidence.ts";
import { containsAddress, containsCidr, prefixLength } from "../cidr.ts";
import { describeLinkPlan, routeWords, type BgpPeerPlan, type NodePlan, type RoutePlan } from "../plan/plan.ts";
import type { Check, Verdict } from "../run/run.ts";

/** What the judge has to know of a node beside its plan. */
export interface JudgedNode {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  readonly pod: { readonly address: string };
}

/**
 * How the kernel's routes say that a BGP daemon set them: BIRD, FRR (bgp, zebra), and kube-router, whose 17 newer iproute2
 * calls mrouted (linux/rtnetlink.h).
 */
const bgpProtocols: ReadonlySet<string> = new Set(["bird", "bgp", "zebra", "17", "mrouted"]);

/** How the kernel's routes say that the operating system set them: for an address of a device, by DHCP, or as somebody configured. */
const systemProtocols: ReadonlySet<string> = new Set(["kernel", "dhcp", "ra", "static"]);

/** A contradiction outweighs missing evidence, and missing evidence outweighs any number of confirmations. */
export function verdictOf(checks: readonly Check[]): Verdict {
  if (checks.some(({ ok }) => ok === false)) return "contradicted";
  return checks.length === 0 || checks.some(({ ok }) => ok === null) ? "incomplete" : "confirmed";
}

/**
 * Judges what was read on one node against what had to hold there.
 * @param pool the CIDR that holds every pod CIDR. It may hold much else: the chart's default is 10.0.0.0/8
 * @param probed the peers to which paths were probed, and the one whose address the masquerade check was made with
 */
export function judge(
  plan: NodePlan,
  evidence: NodeEvidence,
  nodes: readonly JudgedNode[],
  pool: string,
  probed: { readonly pathMtu: readonly string[]; readonly masquerade?: string },
): Check[] {
  const self = nodes.find(({ name }) => name === plan.node);
  const peers = nodes.filter(({ name }) => name !== plan.node);
  const check = (name: string, expected: string, found: string | undefined): Check => ({
    node: plan.node,
    name,
    expected,
    found: found ?? `not read${evidence.failures.length > 0 ? `: ${evidence.failures.join("; ")}` : ""}`,
    ok: found === undefined ? null : found === expected,
  });

  const links = Object.entries(plan.links).map(([name, link]) =>
    check(`link ${name}`, describeLinkPlan(link), evidence.links && describeLink(name, evidence)),
  );

  // Also to nodes where no pod of ours stands: agents have routes to every node.
  const routes = Object.entries(plan.routes).flatMap(([podCidr, planned]): Check[] => {
    const peer = peers.find((candidate) => candidate.podCidr === podCidr);
    // One destination may have several routes, by metric.
    const found = evidence.routes?.filter(({ destination }) => destination === podCidr);
    const lookedUp = peer && evidence.routeTo?.[peer.pod.address];
    // A route of its own has to stand, or none at all where the default route is what carries the pods.
    const own = planned.from === "default" ? "none of its own" : routeWords(planned).join(" ");
    return [
      planned.from === "bgp"
        ? judgeLearned(`route to ${podCidr}`, planned, found)
        : check(
            `route to ${podCidr}`,
            own,
            found && (found.map((route) => describeRoute(route, planned)).join(", and ") || "none of its own"),
          ),
      ...(peer === undefined
        ? []
        : [
            check(
              `route looked up for ${peer.name}'s pod`,
              routeWords(planned).join(" "),
              evidence.routeTo && (lookedUp === undefined ? "no route" : describeRoute(lookedUp, planned)),
            ),
          ]),
    ];
  });

  const gateways = new Set(
    Object.values(plan.routes).flatMap(({ via, from }) => (from === "default" && via ? [via] : [])),
  );
  const strays = evidence.routes?.filter(
    (route) =>
      plan.routes[route.destination] === undefined && (takesPart(route) || isForeign(route) || isForAll(route)),
  );
  const leftovers = check(
    "other routes to pods",
    "none",
    strays && (strays.map((route) => `${route.destination} ${describeRoute(route, { via: "" })}`).join(", ") || "none"),
  );

  const podMtu = evidence.podDefaultRoute?.mtuBytes;
  // Cilium writes the MTU also where it is the device's own.
  const isDevices = podMtu === undefined || (plan.podRouteMtuBytes === undefined && podMtu === plan.pathMtuBytes);
  const podRoute = check(
    "MTU on the pod's default route",
    plan.podRouteMtuBytes === undefined ? "the device's" : `${plan.podRouteMtuBytes}`,
    evidence.podDefaultRoute && (isDevices ? "the device's" : `${podMtu}`),
  );

  const pathMtu = probed.pathMtu.map((peer) => {
    const found = evidence.pathMtu[peer];
    return check(
      `path MTU to ${peer}'s pod`,
      `${plan.pathMtuBytes} bytes`,
      found && (found.largestBytes === undefined ? "no packet passes" : `${found.largestBytes} bytes`),
    );
  });

  return [
    ...links,
    ...routes,
    ...(plan.bgp?.peers ?? []).map(judgeSession),
    leftovers,
    podRoute,
    ...pathMtu,
    ...judgeWire(plan, evidence, check),
    ...judgeMasquerade(),
  ];

  /** Whether a route takes some of a peer's pods out of the peer's own route. */
  function takesPart({ destination }: RouteEvidence): boolean {
    return peers.some(({ podCidr }) => holds(podCidr, destination));
  }

  /** Whether a route leads to what may be another node's pod CIDR: such a route is left of a node that is gone. */
  function isForeign({ destination, protocol = "boot" }: RouteEvidence): boolean {
    return (
      destination.includes("/") &&
      nodes.some(({ podCidr }) => prefixLength(podCidr) === prefixLength(destination)) &&
      containsCidr(pool, destination) &&
      destination !== self?.podCidr &&
      !systemProtocols.has(protocol)
    );
  }

  /** Whether one route for all pods leads elsewhere than the default route, which should carry them; others are more specific. */
  function isForAll({ destination, via }: RouteEvidence): boolean {
    return (
      gateways.size > 0 &&
      !(via !== undefined && gateways.has(via)) &&
      peers.length > 0 &&
      peers.every(({ podCidr }) => holds(destination, podCidr))
    );
  }

  /** A route that stands by somebody else's word is not BGP's, though packets go the same way. */
  function judgeLearned(name: string, planned: RoutePlan, found: readonly RouteEvidence[] | undefined): Check {
    const words = routeWords(planned).join(" ");
    const expected = `${words}, learned by BGP`;
    if (found === undefined) return check(name, expected, undefined);
    if (found.length === 0) return check(name, expected, "none of its own");
    const described = found.map((route) => `${describeRoute(route, planned)}, proto ${route.protocol ?? "boot"}`);
    const [only, another] = found;
    return {
      ...check(name, expected, described.join(", and ")),
      ok:
        only !== undefined &&
        another === undefined &&
        describeRoute(only, planned) === words &&
        bgpProtocols.has(only.protocol ?? "boot"),
    };
  }

  function judgeSession(peer: BgpPeerPlan): Check {
    const name = `BGP session with ${peer.name}`;
    const session = evidence.bgpSessions?.[peer.name];
    if (session === undefined) return check(name, "Established", evidence.bgpSessions && "no such session");
    const { state, learned, announced } = session;
    const isUp = state === "Established";
    return {
      ...check(name, "Established", isUp ? `${state}, ${learned} learned, ${announced} announced` : state),
      // A session over which nothing was announced carries nothing.
      ok: isUp && announced > 0,
    };
  }

  function judgeMasquerade(): Check[] {
    const peer = nodes.find(({ name }) => name === probed.masquerade);
    if (peer === undefined || self === undefined) return [];
    const { masquerade } = plan;
    const own = `${self.pod.address} (the pod's own)`;
    const translated = `${self.address} (masqueraded)`;
    const seen = evidence.masquerade?.seenFrom;
    const name = `source of the pod's packets at ${peer.name}`;
    const known = new Map([
      [self.pod.address, own],
      [self.address, translated],
    ]);
    const found = seen && (known.get(seen) ?? `${seen} (neither the pod's nor the node's)`);
    const isExempt = masquerade === undefined || containsAddress(masquerade.excludedCidr, peer.address);
    if (!isExempt && masquerade.exceptNodes === "at first") {
      const judged = check(name, `${own} or ${translated}`, found);
      return [found === undefined ? judged : { ...judged, ok: found === own || found === translated }];
    }
    return [check(name, isExempt || masquerade.exceptNodes === "always" ? own : translated, found)];
  }
}

/** Whether one destination, a CIDR or an address, holds all of another; `default` holds none, and none holds it. */
function holds(outer: string, inner: string): boolean {
  if (!outer.includes("/") || inner === "default") return false;
  return inner.includes("/") ? containsCidr(outer, inner) : containsAddress(outer, inner);
}

function judgeWire(
  { wire: planned }: NodePlan,
  { wire: found }: NodeEvidence,
  check: (name: string, expected: string, found: string | undefined) => Check,
): Check[] {
  const some = "some";
  const none = "none";
  const amount = (count: number): string => (count > 0 ? some : none);
  const expectedCarrier = carrierOf(planned);
  const carriers = new Set([
    ...(expectedCarrier === undefined ? [] : [expectedCarrier]),
    ...Object.keys(found?.encapsulated ?? {}),
  ]);
  const counted = (name: string, expected: string, count: number | undefined): Check => {
    const judged = check(name, expected, count === undefined ? undefined : amount(count));
    if (count === 0 && expected === some && found?.lost !== undefined) {
      return { ...judged, found: `none seen, but ${found.lost}`, ok: null };
    }
    return count === undefined || count === 0 ? judged : { ...judged, found: `${count} packets` };
  };
  return [
    ...[...carriers].map((carrier) =>
      counted(
        `pod packets on the wire inside ${carrier}`,
        carrier === expectedCarrier ? some : none,
        found && (found.encapsulated[carrier] ?? 0),
      ),
    ),
    ...(carriers.size === 0 ? [counted("pod packets on the wire inside a tunnel", none, found && 0)] : []),
    counted("pod packets on the wire, bare", planned.pods === "bare" ? some : none, found?.bare),
  ];
}

function describeLink(name: string, evidence: NodeEvidence): string {
  const link = evidence.links?.find((candidate) => candidate.name === name);
  if (link === undefined) return "absent";
  return [
    link.kind ?? "no tunnel",
    ...(link.port === undefined ? [] : [`UDP ${link.port}`]),
    link.up ? "up" : "down",
  ].join(", ");
}

/** In the plan's terms: what the plan leaves open (a next hop that Cilium chooses) is not compared. */
function describeRoute(route: RouteEvidence, planned: Pick<RoutePlan, "via">): string {
  const { via, ...rest } = route;
  return routeWords(planned.via === undefined || via === undefined ? rest : { via, ...rest }).join(" ");
}
