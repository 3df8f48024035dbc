import assert from "node:assert/strict";
import { nodeBird } from "../../../datapath/bgp/bird.ts";
import { labRouterBird, learningNamespaces } from "../../../datapath/bgp/embedded.ts";
import { datapath as datapathSchema } from "../../../datapath/config/datapath.ts";
import { namespaceMachines } from "../../../datapath/config/machines.ts";
import { labNodes } from "../../../datapath/plan/nodes.ts";
import { planFor } from "../../../datapath/plan/plan.ts";

const pool = "10.42.0.0/16";
const machines = namespaceMachines.parse({ kind: "namespaces" });

/** What the first node's daemon and the router's are told for a way of routing. */
function configurations(routes: unknown): { readonly node: string; readonly router: string | undefined } {
  const datapath = datapathSchema.parse({ mode: "native", routes });
  const nodes = labNodes(machines, datapath, "");
  const [plan] = planFor(datapath, nodes, { carrier: "kernel", underlayMtuBytes: 1500 });
  assert.ok(plan?.bgp !== undefined && nodes[0] !== undefined);
  return { node: nodeBird(plan.bgp, { address: nodes[0].address, pool }), router: labRouterBird(datapath, nodes) };
}

const withRouter = { kind: "bgp", localASN: 64_600, peer: { address: "172.30.0.1", asn: 64_601 } };
const byCilium = { ...withRouter, speaker: "cilium" };

/** Sessions of a configuration: own AS number, peer's address and AS number. */
function sessions(text: string): string[][] {
  return [...text.matchAll(/local as (\d+);\n\s+neighbor (\S+) as (\d+);/g)].map((match) => match.slice(1));
}

describe("The configuration of BIRD", () => {
  it("has every node of kube-router's place peer with every other, and install what it learns", () => {
    const { node, router } = configurations("bgp");
    assert.deepEqual(sessions(node), [
      ["64512", "172.30.0.6", "64512"],
      ["64512", "172.30.0.10", "64512"],
    ]);
    assert.match(node, /route 10\.42\.0\.0\/24 blackhole;/);
    assert.match(node, /protocol kernel \{\n.*\n\s+ipv4 \{ import none; export where source = RTS_BGP; \};/);
    assert.equal(router, undefined);
  });

  it("adds the router where one is named, with its own AS number", () => {
    const { node, router } = configurations(withRouter);
    assert.deepEqual(sessions(node).at(-1), ["64600", "172.30.0.1", "64601"]);
    assert.deepEqual(sessions(router ?? "").at(0), ["64601", "172.30.0.2", "64600"]);
  });

  it("only announces in Cilium's place: the router learns and forwards", () => {
    const { node, router } = configurations(byCilium);
    assert.deepEqual(sessions(node), [["64600", "172.30.0.1", "64601"]]);
    assert.match(node, /protocol kernel \{\n.*\n\s+ipv4 \{ import none; export none; \};/);
    assert.match(router ?? "", /protocol kernel \{\n.*\n\s+ipv4 \{ import none; export where source = RTS_BGP; \};/);
    assert.equal(sessions(router ?? "").length, 3);
  });

  it("learns nothing but pod CIDRs", () => {
    for (const line of configurations(byCilium).router?.split("\n") ?? []) {
      if (line.includes("import where"))
        assert.match(line, /import where net ~ \[ 10\.42\.0\.0\/16\+ \]; export none;/);
    }
  });
});

describe("Who has to learn by BGP before pods can talk", () => {
  const learning = (routes: unknown): string[] => {
    const datapath = datapathSchema.parse({ mode: "native", routes });
    return learningNamespaces(datapath, labNodes(machines, datapath, "lab:"), "lab:network").map(
      ({ namespace, ownPodCidr }) => `${namespace} ${ownPodCidr ?? "-"}`,
    );
  };

  it("is each node by kube-router, the router by Cilium, and nobody without BGP", () => {
    const nodes = ["lab:node-1 10.42.0.0/24", "lab:node-2 10.42.1.0/24", "lab:node-3 10.42.2.0/24"];
    assert.deepEqual(learning("bgp"), nodes);
    assert.deepEqual(learning(withRouter), [...nodes, "lab:network -"]);
    assert.deepEqual(learning(byCilium), ["lab:network -"]);
    assert.deepEqual(learning("router"), []);
  });
});
