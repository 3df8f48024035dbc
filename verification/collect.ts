import { randomInt } from "node:crypto";
import type { NodeEvidence, PathMtuEvidence, RouteEvidence, WireEvidence } from "../datapath/proof/evidence.ts";
import type { Host, Hosts, RunningCommand } from "./hosts/host.ts";
import { countPackets, droppedByKernel, icmpSources, snapLengthBytes } from "./parsers/capture.ts";
import { parseBirdSessions } from "./parsers/bird.ts";
import { parseLinks, parseRoutes } from "./parsers/iproute.ts";
import { asError } from "./as-error.ts";

/** What the collector has to know of a node: names and addresses, all known before anything is made. */
export interface CollectedNode {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  readonly pod: { readonly address: string };
  /** The NIC towards the other nodes. */
  readonly device: string;
}

const commandTimeoutSeconds = 20;
/** IPv4 and ICMP header of a ping, in bytes. */
const pingHeaderBytes = 28;
/** Smallest packet that every IPv4 link has to carry (RFC 791). */
const smallestPacketBytes = 68;

/**
 * Every packet handed over and written at once, so that the last one before the end is not lost; names not looked up. As root to its end: changing its user would lose it the signal that it
 * gets when this process dies.
 */
function tcpdump({ device }: CollectedNode): string[] {
  return ["tcpdump", "-Z", "root", "-i", device, "-n", "-U", "--immediate-mode"];
}

/** Runs a command that has to succeed, and gives its output. Rejects with the command and what it said. */
async function output(host: Host, command: readonly string[], stdin?: string): Promise<Buffer> {
  const result = await host.run(command, {
    timeoutSeconds: commandTimeoutSeconds,
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (result.exitCode !== 0)
    throw new Error(`${command.join(" ")}: ${result.stderr.trim() || `exit status ${result.exitCode}`}`);
  return result.stdout;
}

/**
 * Ordered pairs of nodes whose path is probed: all of them up to eight nodes; beyond that each node with its two
 * neighbours in the order of the nodes, so that the work grows with the number of nodes and every node sends and receives.
 */
export function probedPairs<Node>(nodes: readonly Node[]): [Node, Node][] {
  return nodes.flatMap((from, index) =>
    nodes
      .filter((_, other) => {
        const distance = (other - index + nodes.length) % nodes.length;
        return distance !== 0 && (nodes.length <= 8 || distance === 1 || distance === nodes.length - 1);
      })
      .map((to): [Node, Node] => [from, to]),
  );
}

/** Where the embedded lab keeps its daemons' sockets (scripts/namespaces/bgp.sh): named from there, as a socket's path is short. */
const daemonsFolder = "/run/datapath-lab";

/**
 * Reads what stands on one node: links, routes, route lookups, the pod's own route. What can't be read is named in `failures`.
 * @param daemonNamespace the namespace whose BGP daemon is asked for its sessions; nobody is asked where absent
 */
export async function collectStanding(
  hosts: Hosts,
  node: CollectedNode,
  peers: readonly CollectedNode[],
  daemonNamespace?: string,
): Promise<Pick<NodeEvidence, "failures" | "links" | "routes" | "routeTo" | "podDefaultRoute" | "bgpSessions">> {
  const failures: string[] = [];
  const attempt = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  const host = hosts.node(node.name);
  const [links, routes, lookups, podRoutes, bgpSessions] = await Promise.all([
    attempt(async () => parseLinks((await output(host, ["ip", "-d", "-j", "link"])).toString())),
    attempt(async () => parseRoutes((await output(host, ["ip", "-4", "-j", "route"])).toString())),
    attempt(() => lookUpRoutes(host, peers)),
    attempt(async () => parseRoutes((await output(hosts.pod(node.name), ["ip", "-4", "-j", "route"])).toString())),
    daemonNamespace === undefined ? undefined : attempt(() => readSessions(host, daemonNamespace)),
  ]);
  const podDefaultRoute = podRoutes?.find(({ destination }) => destination === "default");
  return {
    failures,
    ...(lookups === undefined ? {} : { routeTo: lookups }),
    ...(links === undefined ? {} : { links }),
    ...(routes === undefined ? {} : { routes }),
    ...(podDefaultRoute === undefined ? {} : { podDefaultRoute }),
    ...(bgpSessions === undefined ? {} : { bgpSessions }),
  };
}

/** Sessions of the BIRD of one namespace; none where none runs there. */
async function readSessions(host: Host, namespace: string): Promise<NonNullable<NodeEvidence["bgpSessions"]>> {
  const birdc = ["env", "-C", daemonsFolder, "birdc", "-s", `${namespace}.bird.ctl`];
  const result = await host.run([...birdc, "show", "protocols", "all"], { timeoutSeconds: commandTimeoutSeconds });
  // The answer of birdc where nobody listens: that is a finding, not a failure to look.
  if (/Unable to connect to server control socket/.test(`${result.stdout.toString()}${result.stderr}`)) return {};
  return parseBirdSessions(result.stdout.toString());
}

/**
 * Asks the kernel for the route to each peer's pod, in one process however many peers there are. An answer is missing where the
 * kernel knows no route. Rejects where it was not asked about every peer.
 */
export async function lookUpRoutes(
  host: Host,
  peers: readonly CollectedNode[],
): Promise<Record<string, RouteEvidence>> {
  const batch = peers.map(({ pod }) => `route get ${pod.address}\n`).join("");
  // -force goes on after a peer that no route leads to; its line is then missing.
  const result = await host.run(["ip", "-4", "-j", "-force", "-batch", "-"], {
    timeoutSeconds: commandTimeoutSeconds,
    stdin: batch,
  });
  const found = result.stdout
    .toString()
    .split("\n")
    .filter((line) => line.trim() !== "")
    .flatMap((line) => parseRoutes(line));
  // One line a refusal of the kernel's: `RTNETLINK answers: Network is unreachable`.
  const refused = [...result.stderr.matchAll(/^RTNETLINK answers: /gm)].length;
  if (found.length + refused < peers.length) {
    const said = result.stderr.trim() || `exit status ${result.exitCode}`;
    throw new Error(`ip route get: ${found.length} of ${peers.length} answers: ${said}`);
  }
  return Object.fromEntries(found.map((route) => [route.destination, route]));
}

/**
 * Finds the largest unfragmented packet from one pod to another. The planned size is tried first, and one byte more: only
 * where these two do not settle it, the size is searched.
 */
export async function probePathMtu(pod: Host, address: string, plannedBytes: number): Promise<PathMtuEvidence> {
  const passes = async (bytes: number): Promise<boolean> => {
    // ping waits for an answer also where the kernel refused the packet: most probes are refused, and need not wait long.
    for (const waitSeconds of ["0.2", "1"]) {
      const command = ["ping", "-M", "do", "-c", "1", "-W", waitSeconds, "-s", `${bytes - pingHeaderBytes}`, address];
      const { exitCode, stdout, stderr } = await pod.run(command, { timeoutSeconds: 10 });
      if (exitCode === 0) return true;
      // A refusal is an answer; silence may be one lost packet.
      if (/message too long|Frag needed/i.test(`${stdout.toString()}${stderr}`)) return false;
    }
    return false;
  };
  const [planned, above] = await Promise.all([passes(plannedBytes), passes(plannedBytes + 1)]);
  if (planned && !above) return { largestBytes: plannedBytes };
  let low = planned ? plannedBytes + 1 : smallestPacketBytes;
  let high = planned ? 65535 : plannedBytes;
  if (!planned && !(await passes(low))) return {};
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await passes(middle)) low = middle;
    else high = middle;
  }
  return { largestBytes: low };
}

/** What a capture on one node's NIC showed. */
export interface Captured {
  readonly wire: WireEvidence;
  /** Source addresses under which pings by `pingNode` arrived at this node's own address. */
  readonly pingedFrom: readonly string[];
}

/** Packets after which a capture ends by itself. */
const fullCapture = 20_000;

/** Length of the packets of `pingNode`, in bytes: by it they are told from anybody else's pings. */
const markedPacketBytes = 105;

/**
 * Lets a node's pod ping the address of another node, which lies outside every pod CIDR. Gives what ping complained of.
 *
 * Under an identifier of its own: ping takes its process id for one, which in a pod made anew is the one that it was before, and
 * the kernel still translates such a flow as it did then (nf_conntrack_icmp_timeout: 30 s).
 */
export async function pingNode(hosts: Hosts, from: CollectedNode, to: CollectedNode): Promise<string> {
  const size = `${markedPacketBytes - pingHeaderBytes}`;
  const ping = ["ping", "-c", "2", "-i", "0.02", "-W", "1", "-s", size, to.address];
  const pod = hosts.pod(from.name);
  const limit = { timeoutSeconds: 10 };
  const marked = await pod.run([...ping, "-e", `${randomInt(1, 65_536)}`], limit);
  // iputils before 20210722 knows no identifiers.
  const isRefused = /invalid option|unrecognized option/.test(marked.stderr);
  return (isRefused ? await pod.run(ping, limit) : marked).stderr.trim();
}

/**
 * Captures on every node's NIC while `load` runs, counts pod packets by their outer header, and tells who pinged the node. The pings
 * have a capture of their own: the other may be full of somebody else's packets before they come.
 * @returns what was captured, by the node's name, and what `load` gave
 */
export async function captureDuring<Loaded>(
  hosts: Hosts,
  nodes: readonly CollectedNode[],
  load: () => Promise<Loaded>,
): Promise<{ readonly captured: ReadonlyMap<string, Captured | Error>; readonly loaded: Loaded }> {
  const pods = nodes.map(({ podCidr }) => `net ${podCidr}`).join(" or ");
  const captures = nodes.map((node) => {
    const start = (filter: string): RunningCommand =>
      hosts
        .node(node.name)
        .start([...tcpdump(node), "-s", `${snapLengthBytes}`, "-c", `${fullCapture}`, "-w", "-", filter]);
    return {
      node,
      // Everything that is a pod packet, or could carry one between nodes: UDP, IPIP (4), GRE (47), ESP (50).
      packets: start(`ip and (${pods} or (host ${node.address} and (udp or proto 4 or proto 47 or proto 50)))`),
      pings: start(`icmp[icmptype] == icmp-echo and dst ${node.address} and ip[2:2] == ${markedPacketBytes}`),
    };
  });
  const begun = await Promise.allSettled(
    captures.map(({ packets, pings }) =>
      Promise.all([packets, pings].map((capture) => capture.waitForOutput("listening on", 10))),
    ),
  );
  const loaded = await load();
  const counted = captures.map(async ({ node, packets, pings }, index): Promise<[string, Captured | Error]> => {
    const ended = await Promise.all([packets.stop(), pings.stop()]).catch(asError);
    const start = begun[index];
    if (start?.status === "rejected") return [node.name, asError(start.reason)];
    if (ended instanceof Error) return [node.name, ended];
    try {
      const [seen, pinged] = ended;
      const pingedFrom = icmpSources(pinged.stdout, { to: node.address, bytes: markedPacketBytes });
      return [node.name, { wire: withLosses(countPackets(seen.stdout, nodes), seen.stderr), pingedFrom }];
    } catch (error) {
      return [node.name, asError(error)];
    }
  });
  return { captured: new Map(await Promise.all(counted)), loaded };
}

/** What a capture counted, with why it may have missed packets. */
function withLosses(wire: WireEvidence, stderr: string): WireEvidence {
  const dropped = droppedByKernel(stderr);
  const losses = [
    ...(wire.captured >= fullCapture ? [`the capture was full after ${fullCapture} packets`] : []),
    ...(dropped > 0 ? [`the kernel dropped ${dropped} packets before they were captured`] : []),
  ];
  return losses.length === 0 ? wire : { ...wire, lost: losses.join(", and ") };
}
