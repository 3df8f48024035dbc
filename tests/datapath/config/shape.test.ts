import assert from "node:assert/strict";
import fc from "fast-check";
import { checkLabConfig, parseLabConfig } from "../../../datapath/config/index.ts";
import { ConfigError } from "../../../datapath/findings.ts";
import { madeDatapath } from "../made-configs.ts";

/** What is wrong with a config, a line each. */
function wrong(raw: unknown): string[] {
  return checkLabConfig(raw).findings.map(({ key, message, wayOut }) => `${key}: ${message} ${wayOut}`);
}

describe("A config of the wrong shape", () => {
  const cases: readonly { readonly name: string; readonly raw: unknown; readonly says: readonly string[] }[] = [
    {
      name: "that is no map at all",
      raw: 5,
      says: [": 5 is not a map of keys. Write a map of keys."],
    },
    {
      name: "with a word that a mode is not",
      raw: { datapath: { mode: "vxlna" } },
      says: [
        'datapath.mode: "vxlna" is not one of vxlan, geneve, native. Did you mean vxlan? Write one of vxlan, geneve, native.',
      ],
    },
    {
      name: "without what has to be there",
      raw: { datapath: { mode: "native", routes: { kind: "bgp", speaker: "cilium", peer: {} } } },
      says: ["datapath.routes.peer.address: This key is missing. Write text (Address of the router)."],
    },
    {
      name: "with a key that Cilium's later charts have",
      raw: { datapath: { mode: "native", routingMode: "native", tunnel: "disabled" } },
      says: [
        "datapath.routingMode: There is no such key. Write datapath.mode: native, or vxlan or geneve. routingMode came with Cilium 1.14.",
        "datapath.tunnel: There is no such key. Write datapath.mode: vxlan, geneve, or native for what the chart calls tunnel: disabled.",
      ],
    },
    {
      name: "with a mistyped key",
      raw: { datapath: { mode: "vxlan", hubbel: { relay: true } } },
      says: ["datapath.hubbel: There is no such key. Did you mean datapath.hubble?"],
    },
    {
      name: "with a key in the wrong place",
      raw: { datapath: { mode: "vxlan", bbr: true } },
      says: ["datapath.bbr: There is no such key. Did you mean datapath.bandwidthManager.bbr?"],
    },
    {
      name: "with a key that nothing is like",
      raw: { cluster: { colour: "red" } },
      says: ["cluster.colour: There is no such key. Keys in cluster: serviceCIDR, clusterDNS, clusterDomain."],
    },
    {
      name: "with a tunnel's key in native mode",
      raw: { datapath: { mode: "native", tunnelPort: 4789 } },
      says: ["datapath.tunnelPort: There is no such key. Leave it out: it belongs to mode: vxlan and mode: geneve."],
    },
    {
      name: "with values of the wrong type, among them a true where a word has to be",
      raw: {
        datapath: { mode: "vxlan", kubeProxyReplacement: true, tunnelPort: "4789" },
        verification: { streams: [1, "4"] },
      },
      says: [
        'datapath.tunnelPort: "4789" is not a number. Write a number (UDP port; where absent 8472 for VXLAN, 6081 for Geneve).',
        "datapath.kubeProxyReplacement.mode: true is not one of disabled, partial, strict. Write one of disabled, partial, strict.",
        'verification.streams[1]: "4" is not a number. Write a number.',
      ],
    },
    {
      name: "with numbers out of range",
      raw: { datapath: { mode: "vxlan", tunnelPort: 0 }, machines: { kind: "namespaces", count: 65 } },
      says: [
        "machines.count: 65 is too large. Write at most 64 (Number of nodes, 2 to 64).",
        "datapath.tunnelPort: 0 is too small. Write at least 1 (UDP port; where absent 8472 for VXLAN, 6081 for Geneve).",
      ],
    },
    {
      name: "with CIDRs that have host bits, or are none",
      raw: {
        machines: { kind: "namespaces", network: "172.30.0.1/24" },
        datapath: {
          mode: "vxlan",
          ipam: { clusterPoolIPv4PodCIDR: "10.42/16", clusterPoolIPv6PodCIDR: "fd00::1/104" },
        },
      },
      says: [
        'machines.network: "172.30.0.1/24" is no IPv4 CIDR without host bits. Write 172.30.0.0/24.',
        'datapath.ipam.clusterPoolIPv4PodCIDR: "10.42/16" is no IPv4 CIDR without host bits. Write four numbers and a prefix length: 10.42.0.0/16.',
        'datapath.ipam.clusterPoolIPv6PodCIDR: "fd00::1/104" is no IPv6 CIDR without host bits. Write a prefix with zeroes behind it: fd00::/104.',
      ],
    },
  ];
  for (const { name, raw, says } of cases) {
    it(`${name} says where, what and the way out`, () => assert.deepEqual(wrong(raw), says));
  }

  it("still has its rules checked, as far as they look at nothing that was mistyped", () => {
    const { findings, config } = checkLabConfig({
      datapath: {
        mode: "native",
        hubbel: {},
        hubble: { ui: true },
        encryption: "wiregaurd",
        conntrackBypass: true,
        kubeProxyReplacement: "strict",
      },
      cluster: { clusterDNS: "10.44.0.10" },
    });
    assert.equal(config, undefined);
    assert.deepEqual(
      findings.map(({ id }) => id),
      ["shape", "shape", "cluster-dns-in-service-cidr"],
    );
  });

  it("ends in one error that carries them all", () => {
    assert.throws(
      () => parseLabConfig({ datapath: { mode: "vxlan", conntrackBypass: true }, strct: true }),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(
          error.message,
          [
            "2 errors in the lab's config; nothing was created.",
            "error: datapath-lab:strct",
            "    There is no such key.",
            "    Did you mean strict?",
            "error: datapath-lab:datapath.conntrackBypass",
            "    The agent ends with: install-no-conntrack-iptables-rules requires the agent to run in direct routing mode.",
            "    Turn it off: what a tunnel carries passes no connection tracking anyway. Or write datapath.mode: native.",
          ].join("\n"),
        );
        return true;
      },
    );
  });
});

describe("strict", () => {
  it("makes errors of warnings", () => {
    const loose = checkLabConfig({ datapath: { mode: "native", hostRouting: "bpf" } });
    const strict = checkLabConfig({ datapath: { mode: "native", hostRouting: "bpf" }, strict: true });
    assert.ok(loose.config);
    assert.equal(strict.config, undefined);
    assert.deepEqual(
      strict.findings,
      loose.findings.map((finding) => ({ ...finding, severity: "error" })),
    );
    assert.ok(loose.findings.length > 0);
  });
});

describe("Whatever a config is", () => {
  const holds = (raw: unknown): void => {
    const { config, findings } = checkLabConfig(raw);
    assert.equal(
      config === undefined,
      findings.some(({ severity }) => severity === "error"),
    );
    for (const { message, wayOut } of findings) assert.ok(message.length > 0 && wayOut.length > 0);
    try {
      parseLabConfig(raw);
      assert.ok(config);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      assert.ok(error.findings.length > 0);
    }
  };

  it("only its errors are thrown, all of them at once", function () {
    this.timeout(180_000);
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
    });
    const section = fc.oneof(anything, madeDatapath, fc.constantFrom("strict", true, null, undefined));
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          fc.dictionary(fc.constantFrom("machines", "datapath", "cluster", "verification", "strict", "other"), section),
          madeDatapath.chain((datapath) =>
            fc.record({
              datapath: fc
                .tuple(fc.constantFrom(...Object.keys(datapath), "mode", "routes", "values"), anything)
                .map(([key, value]) => ({ ...datapath, [key]: value })),
            }),
          ),
        ),
        holds,
      ),
      { numRuns: 1500 },
    );
  });

  it("a ring, a deep nest, a getter that throws and an endless key are errors like others", () => {
    const ring: Record<string, unknown> = {};
    ring["ring"] = ring;
    const throws = {
      get mode(): string {
        throw new Error("no");
      },
    };
    for (const value of [ring, throws, () => 1, Symbol("x"), { ["k".repeat(100_000)]: 1 }, Number.NaN]) {
      holds({ datapath: value });
      holds({ datapath: { mode: "vxlan", values: value } });
      assert.equal(checkLabConfig({ datapath: value }).config, undefined);
    }
  });

  it("__proto__ is no way into it", () => {
    const raw: unknown = JSON.parse('{"__proto__": {"strict": true}, "datapath": {"mode": "vxlan"}}');
    assert.equal(checkLabConfig(raw).config?.strict, false);
  });
});
