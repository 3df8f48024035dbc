import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { datapath } from "../../../datapath/config/datapath.ts";
import { featuresOf, type PlannedFeature } from "../../../datapath/cilium/features.ts";
import {
  featuresFound,
  foundByAgent,
  foundByChecks,
  withRoutingOfChecks,
  type FoundOnNode,
} from "../../../datapath/cilium/found-features.ts";
import type { Check } from "../../../datapath/run/run.ts";

const json = (folder: string, file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path.join("tests", "fixtures", "cilium-1.13.4", folder, file), "utf8")) as Record<
    string,
    unknown
  >;
const recordedOptions = (folder: string) => json(folder, "cilium-config-effective.json");
const recordedStatus = (folder: string) => json(folder, "cilium-status.json");
const recorded = (folder: string, requested: string, node = "kn1"): FoundOnNode => {
  const text = (file: string): string =>
    readFileSync(path.join("tests", "fixtures", "cilium-1.13.4", folder, file), "utf8");
  return foundByAgent(node, {
    options: JSON.parse(text("cilium-config-effective.json")),
    status: JSON.parse(text("cilium-status.json")),
    log: text("agent-log.txt"),
    requested,
  });
};
const planned = (value: unknown): PlannedFeature[] =>
  featuresOf(datapath.parse(value), { runsCilium: true, kernel: "6.2.0" });
const departures = (features: ReturnType<typeof featuresFound>) =>
  features.filter(({ requested, effective }) => requested !== effective);
// Neither shows in what an agent says of itself.
const unseen = ["Hubble relay", "Hubble UI"].map((name) => ({ name, requested: "off", reason: "nothing shows it" }));

describe("requested against effective, by what a real 1.13.4 agent says", () => {
  it("agrees with a VXLAN datapath that is in effect", () => {
    const asked = planned({ mode: "vxlan", l7Proxy: false });
    assert.deepEqual(departures(featuresFound(asked, [recorded("vxlan", "VXLAN")])), unseen);
  });

  it("agrees with native routing by direct routes", () => {
    const asked = planned({ mode: "native", l7Proxy: false });
    const found = featuresFound(asked, [recorded("native-direct", "native, direct routes")]);
    assert.deepEqual(departures(found), unseen);
    assert.deepEqual(found[0], {
      name: "routing",
      requested: "native, direct routes",
      effective: "native, direct routes",
    });
  });

  it("names a silent fallback in the agent's own words", () => {
    const asked = planned({
      mode: "native",
      l7Proxy: false,
      masquerade: { implementation: "bpf" },
      hostRouting: "bpf",
    });
    const found = featuresFound(asked, [recorded("native-bpf-masquerade-without-kpr", "native, direct routes")]);
    const differing = departures(found).filter(({ effective }) => effective !== undefined);
    assert.deepEqual(differing, [
      {
        name: "masquerading",
        requested: "BPF, IPv4",
        effective: "iptables, IPv4",
        reason:
          "the agent says: Falling back to iptables-based masquerading. " +
          'BPF masquerade requires NodePort (--enable-node-port="true")',
      },
      {
        name: "host routing",
        requested: "BPF",
        effective: "legacy",
        reason:
          'the agent says: Auto-disabling "enable-node-port", "enable-external-ips", "bpf-lb-sock", "enable-host-port" ' +
          'features and falling back to "enable-host-legacy-routing"',
      },
    ]);
  });

  it("sees an agent that kept the tunnel while native routing was asked for", () => {
    const asked = planned({ mode: "native", l7Proxy: false });
    const both = [
      recorded("native-direct", "native, direct routes", "kn1"),
      recorded("vxlan", "native, direct routes", "kn2"),
    ];
    assert.equal(featuresFound(asked, both)[0]?.effective, "native, direct routes on kn1; VXLAN on kn2");
  });

  it("claims nothing where one node is silent", () => {
    const asked = planned({ mode: "vxlan", l7Proxy: false });
    const silent: FoundOnNode = { node: "kn2", values: {}, reasons: {} };
    assert.deepEqual(featuresFound(asked, [recorded("vxlan", "VXLAN"), silent])[0], {
      name: "routing",
      requested: "VXLAN",
      reason: "nothing shows it on kn2",
    });
  });

  it("agrees with what was foreseen of balancing that kube-proxy does", () => {
    const asked = planned({ mode: "vxlan", l7Proxy: false, loadBalancer: { mode: "dsr", algorithm: "maglev" } });
    const { values } = foundByAgent("kn1", {
      options: { ...recordedOptions("vxlan"), NodePortMode: "dsr", NodePortAlg: "maglev" },
      status: recordedStatus("vxlan"),
      log: "",
      requested: "VXLAN",
    });
    for (const name of ["load balancer mode", "load balancer algorithm"]) {
      assert.equal(values[name], asked.find((feature) => feature.name === name)?.effective);
    }
  });

  it("does not call routing in effect where a check of routes or packets fails, or could not be judged", () => {
    const asked = planned({ mode: "vxlan", l7Proxy: false });
    const check = (ok: boolean | null): Check => ({
      node: "kn1",
      name: "pod packets on the wire, bare",
      expected: "none",
      found: "12 packets",
      ok,
    });
    const routing = (ok: boolean | null, ...found: FoundOnNode[]) =>
      featuresFound(asked, withRoutingOfChecks(asked, found, [check(ok)]))[0];
    const agent = recorded("vxlan", "VXLAN");
    assert.equal(routing(true, agent)?.effective, "VXLAN");
    assert.deepEqual(routing(false, agent), {
      name: "routing",
      requested: "VXLAN",
      effective: "something else",
      reason: "kn1: pod packets on the wire, bare is 12 packets, not none",
    });
    assert.equal(routing(null, agent)?.effective, undefined);
    assert.equal(routing(false, recorded("native-direct", "VXLAN"))?.effective, "native, direct routes");
  });

  it("shows an agent's last words also on a feature that is in effect, and what is not proven of IPv6", () => {
    const asked = planned({ mode: "vxlan", l7Proxy: false });
    const agent = recorded("vxlan", "VXLAN");
    const reasons = { routing: "the agent says: Unable to install direct node route" };
    assert.equal(featuresFound(asked, [{ ...agent, reasons }])[0]?.reason, reasons.routing);
    const six = planned({ mode: "vxlan", l7Proxy: false, ipv6: { enabled: true } });
    const found = featuresFound(six, [{ ...agent, values: { ...agent.values, IPv6: "on" } }]);
    assert.match(found.find(({ name }) => name === "IPv6")?.reason ?? "", /proven for IPv4 alone/);
  });

  it("refuses what is no agent's status", () => {
    assert.throws(
      () => foundByAgent("kn1", { options: {}, status: {}, log: "", requested: "VXLAN" }),
      /Tunnel[\s\S]*expected one of/,
    );
  });
});

describe("requested against effective, by the embedded lab's checks", () => {
  const asked = featuresOf(datapath.parse({ mode: "vxlan" }), { runsCilium: false });
  const check = (name: string, ok: boolean | null, found = "vxlan, UDP 8472, up"): Check => ({
    node: "node-1",
    name,
    expected: "vxlan, UDP 8472, up",
    found,
    ok,
  });
  const of = (...checks: Check[]) => featuresFound(asked, foundByChecks(asked, checks));

  it("takes routing as in effect where every check of it holds", () => {
    const [routing] = of(check("link cilium_vxlan", true), check("route to 10.42.1.0/24", true));
    assert.deepEqual(routing, { name: "routing", requested: "VXLAN", effective: "VXLAN" });
  });

  it("says which check speaks against it", () => {
    const [routing] = of(check("link cilium_vxlan", false, "absent"), check("route to 10.42.1.0/24", true));
    assert.deepEqual(routing, {
      name: "routing",
      requested: "VXLAN",
      effective: "something else",
      reason: "node-1: link cilium_vxlan is absent, not vxlan, UDP 8472, up",
    });
  });

  it("claims nothing without evidence", () => {
    const [routing] = of(check("link cilium_vxlan", null));
    assert.deepEqual(routing, { name: "routing", requested: "VXLAN", reason: "nothing shows it" });
  });

  it("goes by the source address for masquerading", () => {
    const masquerading = (found: string) =>
      of(check("source of the pod's packets at node-2", true, found)).find(({ name }) => name === "masquerading");
    assert.equal(masquerading("172.30.0.2 (masqueraded)")?.effective, "iptables, IPv4");
    assert.equal(masquerading("10.42.0.2 (the pod's own)")?.effective, "off");
  });
});
