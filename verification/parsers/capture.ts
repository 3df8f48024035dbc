import ipaddr from "ipaddr.js";
import type { WireEvidence } from "../../datapath/proof/evidence.ts";

/** Bytes of each packet that the capture has to keep: Ethernet, outer IPv4, UDP, tunnel header with options, inner Ethernet and IPv4. */
export const snapLengthBytes = 160;

const ethernetHeaderBytes = 14;
const udpHeaderBytes = 8;
/** VXLAN's header, and Geneve's without its options (RFC 7348 section 5, RFC 8926 section 3.4). */
const tunnelHeaderBytes = 8;
const etherTypeIPv4 = 0x0800;
const protocols = { icmp: 1, ipip: 4, udp: 17, gre: 47, esp: 50 } as const;
/** Cilium's WireGuard port: what it carries can't be looked into. */
const wireGuardPort = 51871;

/** An IPv4 header, as far as the counts need it. */
export interface IPv4Header {
  /** Of the whole packet, in bytes. */
  readonly length: number;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly payload: Buffer;
}

/**
 * Reads a classic pcap file of link type Ethernet, as `tcpdump -w` writes it; a record that is cut short at the end is left
 * out. Throws where it is no such file.
 */
export function* frames(pcap: Buffer): Generator<Buffer> {
  if (pcap.length < 24) throw new Error("the capture is empty: tcpdump wrote no file header");
  const magic = pcap.readUInt32LE(0);
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) throw new Error("the capture is no little-endian pcap file");
  if (pcap.readUInt32LE(20) !== 1) throw new Error("the capture's link type is not Ethernet");
  for (let offset = 24; offset + 16 <= pcap.length;) {
    const end = offset + 16 + pcap.readUInt32LE(offset + 8);
    if (end > pcap.length) return;
    yield pcap.subarray(offset + 16, end);
    offset = end;
  }
}

/** The IPv4 header behind an Ethernet header; nothing where there is none. */
function ipv4Behind(frame: Buffer): IPv4Header | undefined {
  if (frame.length < ethernetHeaderBytes || frame.readUInt16BE(12) !== etherTypeIPv4) return undefined;
  return ipv4(frame.subarray(ethernetHeaderBytes));
}

/** A fragment but the first has no header behind IPv4's: what stands there would be misread. */
function ipv4(packet: Buffer): IPv4Header | undefined {
  if (packet.length < 20 || packet.readUInt8(0) >> 4 !== 4) return undefined;
  const isLaterFragment = (packet.readUInt16BE(6) & 0x1fff) !== 0;
  const address = (offset: number): string => packet.subarray(offset, offset + 4).join(".");
  return {
    length: packet.readUInt16BE(2),
    protocol: packet.readUInt8(9),
    source: address(12),
    destination: address(16),
    payload: isLaterFragment ? Buffer.alloc(0) : packet.subarray((packet.readUInt8(0) & 0x0f) * 4),
  };
}

/** How many packets tcpdump says that the kernel dropped before it had them; 0 where it does not say. */
export function droppedByKernel(stderr: string): number {
  return Number(/^(\d+) packets? dropped by kernel/m.exec(stderr)?.[1] ?? 0);
}

/** Source addresses of the ICMP packets to an address in a capture that have a certain length, each once. */
export function icmpSources(pcap: Buffer, { to, bytes }: { readonly to: string; readonly bytes: number }): string[] {
  const sources = [...frames(pcap)].flatMap((frame) => {
    const header = ipv4Behind(frame);
    const isWanted = header?.protocol === protocols.icmp && header.destination === to && header.length === bytes;
    return isWanted ? [header.source] : [];
  });
  return [...new Set(sources)];
}

/**
 * Counts what a capture on a node's NIC shows of packets between pods on different nodes: bare ones by their outer header
 * (the inner one of a tunnelled packet is never taken for it), tunnelled ones by what carries them, on whatever port. What can't be
 * looked into (GRE, ESP, WireGuard) counts where it goes from one node to another.
 * @param nodes the pod CIDR and the address of every node
 */
export function countPackets(
  pcap: Buffer,
  nodes: readonly { readonly podCidr: string; readonly address: string }[],
): WireEvidence {
  const cidrs = nodes.map(({ podCidr }) => ipaddr.IPv4.parseCIDR(podCidr));
  const addresses = new Set(nodes.map(({ address }) => address));
  const isNodeToNode = ({ source, destination }: IPv4Header): boolean =>
    addresses.has(source) && addresses.has(destination);
  const cidrOf = (address: string): number => cidrs.findIndex((cidr) => ipaddr.IPv4.parse(address).match(cidr));
  const isPodToPod = (header: IPv4Header | undefined): boolean => {
    if (header === undefined) return false;
    const from = cidrOf(header.source);
    const to = cidrOf(header.destination);
    return from >= 0 && to >= 0 && from !== to;
  };

  const encapsulated: Record<string, number> = {};
  let bare = 0;
  let captured = 0;
  for (const frame of frames(pcap)) {
    captured += 1;
    const outer = ipv4Behind(frame);
    if (outer === undefined) continue;
    const carrier = isPodToPod(outer) ? undefined : carrierOf(outer, { isPodToPod, isNodeToNode });
    if (isPodToPod(outer)) bare += 1;
    else if (carrier !== undefined) encapsulated[carrier] = (encapsulated[carrier] ?? 0) + 1;
  }
  return { encapsulated, bare, captured };
}

/** What carries a pod packet, named by protocol and port; nothing where no pod packet is inside. */
function carrierOf(
  outer: IPv4Header,
  {
    isPodToPod,
    isNodeToNode,
  }: {
    readonly isPodToPod: (header: IPv4Header | undefined) => boolean;
    readonly isNodeToNode: (header: IPv4Header) => boolean;
  },
): string | undefined {
  const { protocol, payload } = outer;
  switch (protocol) {
    case protocols.ipip:
      return isPodToPod(ipv4(payload)) ? "IPIP" : undefined;
    case protocols.gre:
      return isNodeToNode(outer) ? "GRE" : undefined;
    case protocols.esp:
      return isNodeToNode(outer) ? "ESP" : undefined;
    case protocols.udp: {
      if (payload.length < udpHeaderBytes) return undefined;
      const port = payload.readUInt16BE(2);
      const tunnel = payload.subarray(udpHeaderBytes);
      if (port === wireGuardPort) return isNodeToNode(outer) ? `UDP ${port}` : undefined;
      if (tunnel.length < tunnelHeaderBytes) return undefined;
      const geneveOptionBytes = (tunnel.readUInt8(0) & 0x3f) * 4;
      const carriesPod = [0, geneveOptionBytes].some((options) =>
        isPodToPod(ipv4Behind(tunnel.subarray(tunnelHeaderBytes + options))),
      );
      return carriesPod ? `UDP ${port}` : undefined;
    }
    default:
      return undefined;
  }
}
