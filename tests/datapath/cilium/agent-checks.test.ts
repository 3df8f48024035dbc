import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import {
  hasNoHealth,
  isHealthSettled,
  judgeAgent,
  judgeHubble,
  type AgentEvidence,
} from "../../../datapath/cilium/agent-checks.ts";
import { datapath as datapathSchema, type Datapath } from "../../../datapath/config/datapath.ts";
import { featuresOf } from "../../../datapath/cilium/features.ts";
import { fallbacksIn, foundByAgent, reachesStart } from "../../../datapath/cilium/found-features.ts";
import { parseHealth, parseTunnelMap } from "../../../verification/parsers/cilium.ts";

const nodes = [
  { name: "kn1", address: "10.99.0.11", podCidr: "10.42.1.0/24" },
  { name: "kn2", address: "10.99.0.12", podCidr: "10.42.0.0/24" },
  { name: "kn3", address: "10.99.0.13", podCidr: "10.42.2.0/24" },
];
const vxlan = datapathSchema.parse({ mode: "vxlan", l7Proxy: false });
const native = datapathSchema.parse({ mode: "native", l7Proxy: false });
const text = (folder: string, file: string): string =>
  readFileSync(path.join("tests", "fixtures", "cilium-1.13.4", folder, file), "utf8");
const planned = (datapath: Datapath): ReturnType<typeof featuresOf> =>
  featuresOf(datapath, { runsCilium: true, kernel: "6.2.0" });

/** What the real agent of 1.13.4 said on kn1. */
function recorded(folder: "vxlan" | "native-direct", datapath: Datapath): AgentEvidence {
  const options: unknown = JSON.parse(text(folder, "cilium-config-effective.json"));
  return {
    node: "kn1",
    failures: [],
    createdAt: Date.parse("2026-11-23T08:19:20Z"),
    configuredAt: Date.parse("2026-11-23T08:19:18Z"),
    options,
    // In native mode it was asked too soon: one host did not answer by HTTP yet.
    health: parseHealth(text("vxlan", "cilium-health.json")),
    tunnelMap: parseTunnelMap(text(folder, "cilium-bpf-tunnel-list.txt")),
    features: foundByAgent("kn1", {
      options,
      status: JSON.parse(text(folder, "cilium-status.json")),
      log: text(folder, "agent-log.txt"),
      requested: planned(datapath)[0]?.requested ?? "",
    }),
  };
}

const reached = { peers: nodes.map(({ name }) => ({ name })) };
const ownEndpoint =
  "cilium-health, endpoints on other nodes: all reached / not judged: the node does not reach its own endpoint either (incomplete)";

/** What does not hold, or can't be told. */
function departures(datapath: Datapath, evidence: AgentEvidence): string[] {
  return judgeAgent(datapath, evidence, nodes, planned(datapath))
    .filter(({ ok }) => ok !== true)
    .map(({ name, expected, found, ok }) => `${name}: ${expected} / ${found}${ok === null ? " (incomplete)" : ""}`);
}

describe("the judge of agents", () => {
  it("confirms what the real agents said of the datapath that they had", () => {
    // There a node's own health endpoint was not reached, which says nothing of the others.
    assert.deepEqual(departures(vxlan, recorded("vxlan", vxlan)), [ownEndpoint]);
    assert.deepEqual(departures(native, recorded("native-direct", native)), [ownEndpoint]);
    assert.deepEqual(departures(vxlan, { ...recorded("vxlan", vxlan), health: reached }), []);
  });

  it("judges 15 and more statements a node", () => {
    const names = judgeAgent(vxlan, recorded("vxlan", vxlan), nodes, planned(vxlan)).map(({ name }) => name);
    assert.ok(names.length >= 15, names.join(", "));
    assert.equal(new Set(names).size, names.length);
  });

  it("tells VXLAN where native was asked for, by the options alone", () => {
    assert.deepEqual(departures(native, { ...recorded("vxlan", native), health: reached }), [
      "agent option tunnel: disabled / vxlan",
      "agent option auto-direct-node-routes: true / false",
      "agent option ipv4-native-routing-cidr: 10.42.0.0/16 / none",
    ]);
  });

  const right = { ...recorded("vxlan", vxlan), health: reached };
  const otherPort = { ...(right.options as object), TunnelPort: 8473 };
  const wrong: readonly [what: string, evidence: Partial<AgentEvidence>, ...departures: string[]][] = [
    ["another port", { options: otherPort }, "agent option tunnel-port: 8472 / 8473"],
    [
      "an agent older than the config",
      { createdAt: Date.parse("2026-11-23T08:00:00Z") },
      "start of the agent: after the last change of cilium-config / 2026-11-23T08:00:00Z, before the last change of cilium-config at 2026-11-23T08:19:18Z",
    ],
    [
      "a peer that is not in the tunnel map",
      { tunnelMap: { "10.42.0.0": "10.99.0.12" } },
      "tunnel map for 10.42.2.0/24: 10.99.0.13 / no row",
    ],
    [
      "a host that is not reached",
      { health: { peers: [...reached.peers.slice(0, 2), { name: "kn3", host: "icmp: Connection timed out" }] } },
      "cilium-health, hosts of other nodes: all reached / kn3: icmp: Connection timed out",
    ],
    [
      "an endpoint that is not reached, where the node reaches its own",
      { health: { peers: [...reached.peers.slice(0, 2), { name: "kn3", endpoint: "http: timeout" }] } },
      "cilium-health, endpoints on other nodes: all reached / kn3: http: timeout",
    ],
    [
      "a node that cilium-health does not know",
      { health: { peers: reached.peers.slice(0, 2) } },
      "cilium-health, hosts of other nodes: all reached / kn3: not known to cilium-health",
      "cilium-health, endpoints on other nodes: all reached / kn3: not known to cilium-health",
    ],
  ];
  for (const [what, evidence, ...expected] of wrong) {
    it(`contradicts ${what}`, () => assert.deepEqual(departures(vxlan, { ...right, ...evidence }), expected));
  }

  it("contradicts a silent fallback that was not foreseen, and not one that was", () => {
    const asked = datapathSchema.parse({ mode: "native", l7Proxy: false, masquerade: { implementation: "bpf" } });
    const folder = "native-bpf-masquerade-without-kpr";
    const options: unknown = JSON.parse(text(folder, "cilium-config-effective.json"));
    const features = foundByAgent("kn1", {
      options,
      status: JSON.parse(text(folder, "cilium-status.json")),
      log: text(folder, "agent-log.txt"),
      requested: "native, direct routes",
    });
    const evidence = { ...recorded("native-direct", asked), options, features, health: reached };
    assert.deepEqual(departures(asked, evidence), []);
    const unforeseen = planned(asked).map((feature) =>
      feature.name === "masquerading" ? { ...feature, effective: feature.requested } : feature,
    );
    assert.deepEqual(
      judgeAgent(asked, evidence, nodes, unforeseen).flatMap(({ ok, name, found }) =>
        ok === true ? [] : [name, found],
      ),
      [
        "feature masquerading",
        'iptables, IPv4, the agent says: Falling back to iptables-based masquerading. BPF masquerade requires NodePort (--enable-node-port="true")',
      ],
    );
    assert.deepEqual(fallbacksIn(text(folder, "agent-log.txt")), [
      'Auto-disabling "enable-node-port", "enable-external-ips", "bpf-lb-sock", "enable-host-port" features and falling back to "enable-host-legacy-routing"',
      'Falling back to iptables-based masquerading. BPF masquerade requires NodePort (--enable-node-port="true")',
    ]);
  });

  it("judges no health that is switched off", () => {
    assert.equal(hasNoHealth({ EnableHealthChecking: false }), true);
    assert.equal(hasNoHealth(right.options), false);
    assert.equal(hasNoHealth(undefined), false);
    const names = judgeAgent(vxlan, { ...right, health: "switched off" }, nodes, planned(vxlan)).map(
      ({ name }) => name,
    );
    assert.deepEqual(
      names.filter((name) => name.startsWith("cilium-health")),
      [],
    );
  });

  it("judges Hubble's relay where it was asked for, and nowhere else", () => {
    const asked = planned(datapathSchema.parse({ mode: "vxlan", hubble: { relay: true } }));
    const judged = (found: Record<string, string> | undefined): (string | boolean | null)[][] =>
      judgeHubble(asked, found, "status 403").map(({ name, found: seen, ok }) => [name, seen, ok]);
    assert.deepEqual(judged({ "Hubble relay": "on", "Hubble UI": "on" }), [["feature Hubble relay", "on", true]]);
    assert.deepEqual(judged({ "Hubble relay": "off", "Hubble UI": "off" }), [["feature Hubble relay", "off", false]]);
    assert.deepEqual(judged(undefined), [["feature Hubble relay", "not read: status 403", null]]);
  });

  it("tells a feature's last words from another's, and a log that was cut off", () => {
    const said = (words: string): string => `level=warning msg="${words}" subsys=daemon`;
    const reasons = (words: string): readonly string[] =>
      Object.keys(
        foundByAgent("kn1", {
          options: right.options,
          status: JSON.parse(text("vxlan", "cilium-status.json")),
          log: said(words),
          requested: "VXLAN",
        }).reasons,
      );
    // 1.13.4 pkg/datapath/linux/bigtcp/bigtcp.go and pkg/bandwidth/bandwidth.go.
    assert.deepEqual(reasons("IPv6 BIG TCP could not detect host devices. Disabling the feature."), ["IPv6 BIG TCP"]);
    assert.deepEqual(reasons("BPF bandwidth manager could not detect host devices. Disabling the feature."), [
      "bandwidth manager",
    ]);
    assert.equal(reachesStart(text("vxlan", "agent-log.txt")), true);
    assert.equal(reachesStart(said("Unable to restore endpoint, ignoring")), false);
  });

  it("asks cilium-health again while a host, or an endpoint that could be reached, is not", () => {
    const settled = (kn1: { endpoint?: string }, kn3: { host?: string; endpoint?: string }): boolean =>
      isHealthSettled("kn1", { peers: [{ name: "kn1", ...kn1 }, { name: "kn2" }, { name: "kn3", ...kn3 }] });
    const lost = "icmp: Connection timed out";
    assert.equal(settled({}, {}), true);
    assert.equal(settled({}, { host: lost }), false);
    // As on the real agent, asked while the last BGP session was not up.
    assert.equal(settled({}, { endpoint: lost }), false);
    assert.equal(settled({ endpoint: lost }, { endpoint: lost }), true);
  });

  it("confirms nothing where nothing was read, and says why", () => {
    const checks = judgeAgent(
      vxlan,
      { node: "kn1", failures: ["cilium config -r -o json: the JSON is cut short"] },
      nodes,
      planned(vxlan),
    );
    assert.ok(checks.every(({ ok }) => ok === null));
    assert.ok(checks.every(({ found }) => found === "not read: cilium config -r -o json: the JSON is cut short"));
  });
});
