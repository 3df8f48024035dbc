import type { NodeEvidence, RouteEvidence } from "./evidence.ts";
import { carrierOf } from "./evidence.ts";
import { containsAddress, containsCidr } from "../cidr.ts";
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

/** A contradiction outweighs missing evidence, and missing evidence outweighs any number of confirmations. */
export function verdictOf(checks: readonly Check[]): Verdict {
  if (checks.some(({ ok }) => ok === false)) return "contradicted";
  return checks.length === 0 || checks.some(({ ok }) => ok === null) ? "incomplete" : "confirmed";
}

/**
 * Judges what was read on one node against what had to hold there.
 * @param pool the CIDR that holds every pod CIDR: a route into it that is not planned is a leftover
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

  const routes = peers.flatMap((peer): Check[] => {
    const planned = plan.routes[peer.podCidr];
    if (planned === undefined) return [];
    const found = evidence.routes?.find(({ destination }) => destination === peer.podCidr);
    const lookedUp = evidence.routeTo[peer.pod.address];
    // A route of its own has to stand, or none at all where the default route is what carries the pods.
    const own = planned.from === "default" ? "none of its own" : routeWords(planned).join(" ");
    return [
      planned.from === "bgp"
        ? judgeLearned(`route to ${peer.podCidr}`, planned, found)
        : check(
            `route to ${peer.podCidr}`,
            own,
            evidence.routes && (found === undefined ? "none of its own" : describeRoute(found, planned)),
          ),
      check(
        `route looked up for ${peer.name}'s pod`,
        routeWords(planned).join(" "),
        evidence.routes && (lookedUp === undefined ? "no route" : describeRoute(lookedUp, planned)),
      ),
    ];
  });

  const gateways = new Set(Object.values(plan.routes).map(({ via, from }) => (from === "default" ? via : undefined)));
  const strays = evidence.routes?.filter(
    ({ destination, via }) =>
      plan.routes[destination] === undefined &&
      // One route for all pods may lead where the default route would.
      !(via !== undefined && gateways.has(via) && isWhole(destination, pool)) &&
      containsAddress(pool, networkOf(destination)) &&
      !(self !== undefined && holds(self.podCidr, destination)),
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

  /** A route that stands by somebody else's word is not BGP's, though packets go the same way. */
  function judgeLearned(name: string, planned: RoutePlan, found: RouteEvidence | undefined): Check {
    const words = routeWords(planned).join(" ");
    const expected = `${words}, learned by BGP`;
    if (evidence.routes === undefined) return check(name, expected, undefined);
    if (found === undefined) return check(name, expected, "none of its own");
    const { protocol } = found;
    const described = describeRoute(found, planned);
    return {
      ...check(name, expected, `${described}, proto ${protocol ?? "boot"}`),
      ok: described === words && protocol !== undefined && bgpProtocols.has(protocol),
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
    const found = seen === undefined ? undefined : seen === self.address ? translated : `${seen} (the pod's own)`;
    const isExempt = masquerade === undefined || containsAddress(masquerade.excludedCidr, peer.address);
    if (!isExempt && masquerade.exceptNodes === "at first") {
      const judged = check(name, `${own} or ${translated}`, found);
      return [found === undefined ? judged : { ...judged, ok: found === own || found === translated }];
    }
    return [check(name, isExempt || masquerade.exceptNodes === "always" ? own : translated, found)];
  }
}

/** Whether a CIDR holds all of a destination, which is one too or an address. */
function holds(cidr: string, destination: string): boolean {
  return destination.includes("/") ? containsCidr(cidr, destination) : containsAddress(cidr, destination);
}

/** Whether a destination holds the whole pool of pod CIDRs. */
function isWhole(destination: string, pool: string): boolean {
  return destination.includes("/") && containsCidr(destination, pool);
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

/** The address part of a route's destination; `default` lies in no pod CIDR. */
function networkOf(destination: string): string {
  return destination === "default" ? "0.0.0.0" : (destination.split("/")[0] ?? destination);
}
