import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressAt,
  addressCount,
  containsAddress,
  containsCidr,
  containsIpv6Cidr,
  ipv6PrefixLength,
  isCidr,
  isIpv6Cidr,
  overlap,
  prefixLength,
  subnetAt,
  subnetCount,
  withoutHostBits,
} from "../../datapath/cidr.ts";

/** Every address of a small CIDR, counted one by one: what the functions are held against. */
function everyAddress(cidr: string): string[] {
  const [address = "", length = ""] = cidr.split("/");
  const octets = address.split(".").map(Number);
  const addresses: string[] = [];
  for (let left = 2 ** (32 - Number(length)); left > 0; left--) {
    addresses.push(octets.join("."));
    for (let place = 3; place >= 0; place--) {
      octets[place] = ((octets[place] ?? 0) + 1) % 256;
      if (octets[place] !== 0) break;
    }
  }
  return addresses;
}

/** CIDRs of 64 addresses at most, close enough to each other to overlap often, some across an octet's end. */
const smallCidr = fc
  .record({ length: fc.integer({ min: 26, max: 32 }), place: fc.integer({ min: 0, max: 511 }) })
  .map(({ length, place }) => {
    const base = 254 * 256 + place - (place % 2 ** (32 - length));
    return `10.0.${Math.floor(base / 256)}.${base % 256}/${length}`;
  })
  .filter((cidr) => isCidr(cidr));

describe("CIDR functions", () => {
  it("agree with counting addresses one by one", () => {
    fc.assert(
      fc.property(smallCidr, smallCidr, (one, other) => {
        const addresses = everyAddress(one);
        const others = new Set(everyAddress(other));
        assert.equal(addressCount(one), addresses.length);
        assert.deepEqual(
          addresses.map((_, index) => addressAt(one, index)),
          addresses,
        );
        assert.equal(
          overlap(one, other),
          addresses.some((address) => others.has(address)),
        );
        assert.equal(
          containsCidr(other, one),
          addresses.every((address) => others.has(address)),
        );
        for (const address of addresses) assert.equal(containsAddress(other, address), others.has(address));
      }),
      { numRuns: 500 },
    );
  });

  it("cut a network into subnets that fill it without a gap", () => {
    fc.assert(
      fc.property(smallCidr, fc.integer({ min: 0, max: 32 }), (cidr, length) => {
        const count = subnetCount(cidr, length);
        if (length < prefixLength(cidr)) {
          assert.equal(count, 0);
          return;
        }
        const subnets = Array.from({ length: count }, (_, index) => subnetAt(cidr, length, index));
        assert.deepEqual(subnets.flatMap(everyAddress), everyAddress(cidr));
      }),
    );
  });

  it("hold at both ends of the address space", () => {
    assert.equal(addressCount("0.0.0.0/0"), 2 ** 32);
    assert.equal(addressAt("0.0.0.0/0", 2 ** 32 - 1), "255.255.255.255");
    assert.equal(subnetAt("0.0.0.0/0", 30, 2 ** 30 - 1), "255.255.255.252/30");
    assert.ok(overlap("0.0.0.0/0", "255.255.255.255/32"));
  });

  it("refuse an address or subnet outside the network", () => {
    assert.throws(() => addressAt("10.0.0.0/30", 4), { name: "RangeError", message: "10.0.0.0/30 has no address 4" });
    assert.throws(() => subnetAt("10.0.0.0/30", 31, 2), {
      name: "RangeError",
      message: "10.0.0.0/30 has no subnet 2 of /31",
    });
  });

  it("take only four-part notation without host bits for a CIDR", () => {
    for (const cidr of ["0.0.0.0/0", "10.42.0.0/16", "10.42.0.1/32"]) assert.ok(isCidr(cidr), cidr);
    for (const text of [
      "",
      "10.42.0.0",
      "10.42/16",
      "10.42.0.1/16",
      "10.42.0.0/33",
      "256.0.0.0/8",
      "fd00::/8",
      " 10.0.0.0/8",
    ]) {
      assert.ok(!isCidr(text), text);
    }
  });

  it("clear host bits, and give up on what is no CIDR", () => {
    assert.equal(withoutHostBits("10.42.3.7/16"), "10.42.0.0/16");
    assert.equal(withoutHostBits("10.42.3.7/99"), undefined);
    assert.equal(withoutHostBits("a"), undefined);
  });

  it("know IPv6 networks", () => {
    for (const cidr of ["fd00::/104", "::/0", "2001:db8::/32"]) assert.ok(isIpv6Cidr(cidr), cidr);
    for (const text of ["fd00::1/104", "fd00::", "10.0.0.0/8", "fd00::/129", "fe80::%eth0/64", ""]) {
      assert.ok(!isIpv6Cidr(text), text);
    }
    assert.equal(ipv6PrefixLength("fd00::/104"), 104);
    assert.ok(containsIpv6Cidr("fd00::/96", "fd00::/104"));
    assert.ok(!containsIpv6Cidr("fd00::/104", "fd00::/96"));
    assert.ok(!containsIpv6Cidr("fd01::/96", "fd00::/104"));
  });
});
