import assert from "node:assert/strict";
import fc from "fast-check";
import { datapath as datapathSchema } from "../../../datapath/config/datapath.ts";
import { labConfig } from "../../../datapath/config/index.ts";
import { defaultFeatures, features, featuresOf, type PlannedFeature } from "../../../datapath/cilium/features.ts";
import { madeDatapath } from "../made-configs.ts";

const cilium = { runsCilium: true };

function feature(
  name: string,
  datapath: object,
  circumstances = cilium as { runsCilium: boolean; kernel?: string },
): PlannedFeature {
  const found = featuresOf(datapathSchema.parse({ mode: "native", ...datapath }), circumstances).find(
    (candidate) => candidate.name === name,
  );
  assert.ok(found, `no feature ${name}`);
  return found;
}

const strict = { kubeProxyReplacement: "strict" };
const bpf = { masquerade: { implementation: "bpf", ipv6: false } };
const bpfRouting = { ...strict, ...bpf, hostRouting: "bpf" };

describe("Features", function () {
  this.timeout(180_000);

  it("of the chart's defaults are the ones that 1.13 is known for", () => {
    assert.deepEqual(Object.fromEntries(defaultFeatures().map(({ name, requested }) => [name, requested])), {
      routing: "VXLAN",
      "kube-proxy replacement": "disabled",
      masquerading: "iptables, IPv4",
      "host routing": "legacy",
      "bandwidth manager": "off",
      BBR: "off",
      IPv6: "off",
      "IPv6 BIG TCP": "off",
      "load balancer mode": "SNAT",
      "load balancer algorithm": "random",
      "XDP acceleration": "off",
      "conntrack bypass": "off",
      "endpoint routes": "off",
      encryption: "off",
      "L7 proxy": "on",
      Hubble: "on",
      "Hubble relay": "off",
      "Hubble UI": "off",
    });
  });

  it("of the chart's defaults are all in effect", () => {
    for (const { name, requested, effective } of defaultFeatures()) assert.equal(effective, requested, name);
  });

  it("are in effect where everything is there that they need", () => {
    assert.deepEqual(feature("host routing", bpfRouting), {
      name: "host routing",
      requested: "BPF",
      effective: "BPF",
    });
    assert.deepEqual(feature("IPv6 BIG TCP", { ...bpfRouting, ipv6: { enabled: true, bigTCP: true } }), {
      name: "IPv6 BIG TCP",
      requested: "on",
      effective: "on",
    });
    assert.deepEqual(feature("masquerading", { ...strict, ...bpf }), {
      name: "masquerading",
      requested: "BPF, IPv4",
      effective: "BPF, IPv4",
    });
  });

  it("fall back as the agent does, with the reason", () => {
    assert.deepEqual(feature("host routing", { hostRouting: "bpf" }), {
      name: "host routing",
      requested: "BPF",
      effective: "legacy",
      reason: "BPF host routing needs kube-proxy replacement strict; disabled forces legacy.",
    });
    assert.deepEqual(feature("masquerading", bpf), {
      name: "masquerading",
      requested: "BPF, IPv4",
      effective: "iptables, IPv4",
      reason: "BPF masquerade needs NodePort in BPF: kube-proxy replacement strict, or partial with nodePort.",
    });
    assert.deepEqual(feature("bandwidth manager", { bandwidthManager: { enabled: true }, encryption: "ipsec" }), {
      name: "bandwidth manager",
      requested: "on",
      effective: "off",
      reason: "IPsec turns the bandwidth manager off.",
    });
    assert.deepEqual(feature("BBR", { bandwidthManager: { bbr: true } }), {
      name: "BBR",
      requested: "on",
      effective: "off",
      reason: "The bandwidth manager is off.",
    });
    assert.deepEqual(feature("load balancer mode", { loadBalancer: { mode: "dsr" } }), {
      name: "load balancer mode",
      requested: "DSR",
      effective: "SNAT",
      reason: "NodePort is not in BPF: kube-proxy balances.",
    });
    assert.deepEqual(feature("endpoint routes", { routes: { kind: "router", integration: "eni" } }), {
      name: "endpoint routes",
      requested: "off",
      effective: "on",
      reason: "The chart turns them on with a cloud integration.",
    });
    assert.deepEqual(
      feature("conntrack bypass", { conntrackBypass: true, routes: { kind: "router", integration: "eni" } }),
      {
        name: "conntrack bypass",
        requested: "on",
        effective: "off",
        reason: "The chart turns it off with a cloud integration or chaining.",
      },
    );
  });

  it("are off on a kernel that is too old for them", () => {
    const kernel = { runsCilium: true, kernel: "5.4" };
    assert.deepEqual(feature("host routing", bpfRouting, kernel), {
      name: "host routing",
      requested: "BPF",
      effective: "legacy",
      reason: "Kernel 5.4 is older than 5.10.",
    });
    assert.equal(feature("bandwidth manager", { bandwidthManager: { enabled: true } }, kernel).effective, "on");
  });

  it("that only Cilium has are not in effect in the embedded lab", () => {
    const rows = features(labConfig.parse({ datapath: { mode: "native", ...bpfRouting } }));
    const effective = Object.fromEntries(rows.map((row) => [row.name, row.effective]));
    assert.equal(effective["routing"], "native, direct routes");
    assert.equal(effective["masquerading"], "iptables, IPv4");
    assert.equal(effective["host routing"], "legacy");
    assert.equal(effective["kube-proxy replacement"], "disabled");
    assert.equal(effective["Hubble"], "off");
  });

  it("that are not as requested always say why, and those that are never do", () => {
    const circumstances = fc.record(
      { runsCilium: fc.boolean(), kernel: fc.constantFrom("4.19.57", "5.4", "5.15", "6.2") },
      { requiredKeys: ["runsCilium"] },
    );
    fc.assert(
      fc.property(madeDatapath, circumstances, (written, given) => {
        for (const { name, requested, effective, reason } of featuresOf(datapathSchema.parse(written), given)) {
          assert.equal(reason === undefined, requested === effective, `${name}: ${requested}, ${effective}`);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
