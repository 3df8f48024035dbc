import assert from "node:assert/strict";
import { compareAll } from "../../datapath/run/comparison.ts";
import { reportMarkdown } from "../../report/markdown.ts";
import { clusterRun, contradictedRun, madeRun } from "../made-runs.ts";

const vxlan = madeRun();
const native = madeRun({ mode: "native", seed: 3 });
const both = reportMarkdown([vxlan, native], compareAll([vxlan, native]));

describe("reportMarkdown", () => {
  it("starts with the verdicts and what the numbers allow to say", () => {
    assert.match(
      both,
      /^## Datapath Lab\n\n- \*\*confirmed\*\* VXLAN over UDP 8472: all 36 checks on 3 nodes hold\n- \*\*confirmed\*\* Native routing: [^\n]+\n\n\*\*native is faster than VXLAN with 1 stream by 1\d % \(95 % interval: 1\d to 2\d %\); beside/,
    );
    assert.match(both, /^\| 1 stream, pod ÷ node \| 0\.8\d \|  \| 0\.8\d – 0\.8\d \|/m);
    assert.match(both, /\n```sh\nnpm run lab -- compare --stack local --datapaths vxlan,native --rounds 1\n```\n$/);
  });

  it("gives every row of a table as many cells as its head", () => {
    for (const table of both.split("\n\n").filter((block) => block.startsWith("|"))) {
      const cells = table.split("\n").map((line) => line.split("|").length);
      assert.equal(new Set(cells).size, 1, table);
    }
  });

  it("shows each check that does not hold, failures first", () => {
    const text = reportMarkdown([contradictedRun()]);
    assert.match(text, /^- \*\*contradicted\*\* Native routing: 3 of 36 checks/m);
    assert.ok(text.includes("| node-3 | link cilium\\_vxlan | absent | vxlan, UDP 8472, up | fails |"), text);
    assert.ok(text.indexOf("| fails |") < text.indexOf("| not judged |"));
  });

  it("has features and the agents' own words of a cluster", () => {
    const text = reportMarkdown([clusterRun()]);
    assert.match(text, /^\| native: masquerading \| BPF, IPv4 \| iptables, IPv4 ⚠ /m);
    assert.match(text, /^- native, node-1, node-2, node-3: level=warning msg="Falling back to iptables/m);
  });

  it("tells conditions datapath by datapath where they differ", () => {
    const text = reportMarkdown([
      vxlan,
      { ...native, nodes: native.nodes.map((node) => ({ ...node, kernel: "6.8.0" })) },
    ]);
    assert.match(text, /^VXLAN: .* kernel 6\.1\.0-18-amd64/m);
    assert.match(text, /^native: .* kernel 6\.8\.0/m);
  });

  it("says why runs are not comparable", () => {
    assert.ok(
      reportMarkdown([vxlan, native], [{ a: "vxlan", b: "native", refused: ["the kernel differs"] }]).includes(
        "native and VXLAN are not comparable:\n- the kernel",
      ),
    );
  });

  it("lets no value break out of its cell", () => {
    const [check] = vxlan.checks;
    assert.ok(check);
    const text = reportMarkdown([{ ...vxlan, checks: [{ ...check, found: "a | b\n<b>", ok: false }] }]);
    assert.ok(text.includes(String.raw`| a \| b \<b\> | fails |`), text);
  });
});
