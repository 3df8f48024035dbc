import ipaddr from "ipaddr.js";

/** An IPv4 network: its first address as a number, and its prefix length. */
interface Network {
  readonly base: number;
  readonly prefixLength: number;
}

/**
 * Reads `a.b.c.d/n`. Throws where the text is no IPv4 CIDR, or has host bits set (10.42.0.1/16), which tools treat in
 * different ways.
 */
function parseCidr(cidr: string): Network {
  const [address, prefixLength] = ipaddr.IPv4.parseCIDR(cidr);
  const base = toNumber(address);
  if (base % 2 ** (32 - prefixLength) !== 0) throw new Error(`${cidr} has host bits set`);
  return { base, prefixLength };
}

function toNumber(address: ipaddr.IPv4): number {
  return address.octets.reduce((number, octet) => number * 256 + octet, 0);
}

function toText(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Whether a text is an IPv4 CIDR with no host bits set, in four-part notation. */
export function isCidr(text: string): boolean {
  if (!/^\d+\.\d+\.\d+\.\d+\/\d+$/.test(text)) return false;
  try {
    parseCidr(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether a text is an IPv6 CIDR with no host bits set. */
export function isIpv6Cidr(text: string): boolean {
  try {
    const [address, length] = ipaddr.IPv6.parseCIDR(text);
    return (
      !text.includes("%") && ipaddr.IPv6.networkAddressFromCIDR(text).toString() === address.toString() && length <= 128
    );
  } catch {
    return false;
  }
}

/** The prefix length of an IPv6 CIDR. Throws where the text is none. */
export function ipv6PrefixLength(cidr: string): number {
  return ipaddr.IPv6.parseCIDR(cidr)[1];
}

/** Whether every address of the IPv6 CIDR `inner` lies in `outer`. */
export function containsIpv6Cidr(outer: string, inner: string): boolean {
  const [address, length] = ipaddr.IPv6.parseCIDR(inner);
  const network = ipaddr.IPv6.parseCIDR(outer);
  return network[1] <= length && address.match(network);
}

/** An IPv4 CIDR with its host bits cleared: 10.42.0.0/16 for 10.42.0.1/16. Nothing where the text is no CIDR at all. */
export function withoutHostBits(text: string): string | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+\/\d+$/.test(text)) return undefined;
  try {
    return `${ipaddr.IPv4.networkAddressFromCIDR(text).toString()}/${ipaddr.IPv4.parseCIDR(text)[1]}`;
  } catch {
    return undefined;
  }
}

/** Number of addresses in a CIDR, network and broadcast address among them. */
export function addressCount(cidr: string): number {
  return 2 ** (32 - parseCidr(cidr).prefixLength);
}

/** The prefix length of a CIDR. */
export function prefixLength(cidr: string): number {
  return parseCidr(cidr).prefixLength;
}

/** The address `index` places after a CIDR's first. Throws a RangeError outside the CIDR. */
export function addressAt(cidr: string, index: number): string {
  if (index < 0 || index >= addressCount(cidr)) throw new RangeError(`${cidr} has no address ${index}`);
  return toText(parseCidr(cidr).base + index);
}

/** Number of subnets of a prefix length in a CIDR; 0 where they would be larger than it. */
export function subnetCount(cidr: string, length: number): number {
  const network = parseCidr(cidr);
  return length < network.prefixLength ? 0 : 2 ** (length - network.prefixLength);
}

/** The subnet `index` (from 0) of a prefix length in a CIDR. Throws a RangeError where there is none. */
export function subnetAt(cidr: string, length: number, index: number): string {
  if (index < 0 || index >= subnetCount(cidr, length))
    throw new RangeError(`${cidr} has no subnet ${index} of /${length}`);
  return `${toText(parseCidr(cidr).base + index * 2 ** (32 - length))}/${length}`;
}

/** Whether an IPv4 address lies in a CIDR. */
export function containsAddress(cidr: string, address: string): boolean {
  return ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(cidr));
}

/** Whether every address of `inner` lies in `outer`. */
export function containsCidr(outer: string, inner: string): boolean {
  const { base, prefixLength: length } = parseCidr(inner);
  return prefixLength(outer) <= length && containsAddress(outer, toText(base));
}

/** Whether two CIDRs have an address in common. */
export function overlap(one: string, other: string): boolean {
  return containsCidr(one, other) || containsCidr(other, one);
}

/** The smallest CIDR that holds all of some. Throws a RangeError where there are none. */
export function commonCidr(cidrs: readonly string[]): string {
  const [first] = cidrs;
  if (first === undefined) throw new RangeError("no CIDRs");
  for (let length = prefixLength(first); length > 0; length -= 1) {
    const candidate = withoutHostBits(`${first.split("/")[0] ?? ""}/${length}`) ?? first;
    if (cidrs.every((cidr) => containsCidr(candidate, cidr))) return candidate;
  }
  return "0.0.0.0/0";
}
