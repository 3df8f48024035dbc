import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseHealth, parseStatusLines, parseTunnelMap } from "../../verification/parsers/cilium.ts";

const recorded = (folder: string, file: string): string =>
  readFileSync(path.join("tests", "fixtures", "cilium-1.13.4", folder, file), "utf8");

describe("what Cilium's tools print", () => {
  it("gives the lines of cilium status by their heads, without the tables below them", () => {
    const lines = parseStatusLines(recorded("vxlan", "cilium-status.txt"));
    assert.equal(lines["Host Routing"], "Legacy");
    assert.equal(lines["Masquerading"], "IPTables [IPv4: Enabled, IPv6: Disabled]");
    assert.equal(lines["KubeProxyReplacement"], "Disabled");
    assert.equal(lines["IPAM"], "IPv4: 3/254 allocated from 10.42.1.0/24,");
    assert.deepEqual(
      Object.keys(lines).filter((head) => /cilium-health-ep|kn1/.test(head)),
      [],
    );
  });

  it("names what cilium-health does not reach, and by which probe", () => {
    const { local, peers } = parseHealth(recorded("vxlan", "cilium-health.json"));
    assert.equal(local, "kn1");
    assert.deepEqual(
      peers.map(({ name, host }) => [name, host]),
      [
        ["kn3", undefined],
        ["kn2", undefined],
        ["kn1", undefined],
      ],
    );
    assert.match(peers[0]?.endpoint ?? "", /^icmp: Connection timed out; http: Get .* no route to host$/);
  });

  it("takes a peer that was not probed for not reached", () => {
    const health = parseHealth(JSON.stringify({ local: { name: "a" }, nodes: [{ name: "b", host: {} }] }));
    assert.deepEqual(health.peers, [{ name: "b", host: "not probed", endpoint: "not probed" }]);
  });

  for (const text of ["", '{"local": {"name": "kn1"}, "nodes": [{"na', '{"error": "connection refused"}']) {
    it(`refuses cilium-health's ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseHealth(text));
    });
  }

  it("reads the tunnel map's rows, and none where there is no map", () => {
    assert.deepEqual(parseTunnelMap(recorded("vxlan", "cilium-bpf-tunnel-list.txt")), {
      "10.42.0.0": "10.99.0.12",
      "10.42.2.0": "10.99.0.13",
    });
    assert.deepEqual(parseTunnelMap("Unable to open map: no such file or directory\n"), {});
  });
});
