import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { compareRuns } from "../../datapath/run/comparison.ts";
import { comparisonText, summary, verdictText } from "../../report/terminal.ts";
import { clusterRun, contradictedRun, madeRun, withFailedSample } from "../made-runs.ts";

const plain = { colour: false, columns: 120 };

describe("summary", () => {
  const confirmed = summary(madeRun(), { ...plain, file: ".lab/runs/vxlan.json" });

  it("starts with the verdict and says plainly what kind of lab it was", () => {
    assert.deepEqual(confirmed.split("\n").slice(0, 3), [
      "CONFIRMED  VXLAN over UDP 8472: all 36 checks on 3 nodes hold",
      "stack local: network namespaces of one machine, no Kubernetes, no Cilium",
      "kernel 6.1.0-18-amd64; 2 × AMD EPYC 7763 64-Core Processor",
    ]);
  });

  it("puts pods beside nodes, with spread, and their ratio", () => {
    assert.match(confirmed, /^ +median +min – max +95 % +spread +retransmits +CPU % send\/receive$/m);
    assert.match(confirmed, /^1 stream, pod to pod +12\.\d +1\d\.\d – 12\.\d +± 0\.\d+ +\d\.\d % +\d+ +\d\d\/\d\d$/m);
    assert.match(confirmed, /^1 stream, node to node +1[45]\.\d /m);
    assert.match(confirmed, /^1 stream, pod ÷ node +0\.8\d$/m);
    assert.match(confirmed, /^pod ÷ node, 95 % interval: 1 stream 0\.\d\d – 0\.\d\d, 4 streams/m);
    assert.match(confirmed, /^pod to pod, under load +0\.\d{3}/m);
    assert.match(confirmed, /\n\nRun kept in \.lab\/runs\/vxlan\.json\n$/);
  });

  it("shows what is requested beside what is in effect", () => {
    assert.match(confirmed, /^routing +VXLAN +VXLAN$/m);
  });

  it("names every failed check with node, check, expected and found, failures first", () => {
    const text = summary(contradictedRun(), plain);
    assert.match(text, /^CONTRADICTED {2}Native routing: 3 of 36 checks on 3 nodes speak against it, 1 of 36 /);
    assert.ok(
      text.includes("✗ node-3: link cilium_vxlan\n    expected: absent\n    found:    vxlan, UDP 8472, up\n"),
      text,
    );
    assert.ok(text.indexOf("✗ node-3") < text.indexOf("? node-3: path MTU to node-1's pod"));
    assert.match(text, /^routing +native, routes on each node +native on 1 of 3 nodes\n {4}node-2 has no route/m);
    assert.match(text, /^path MTU +1500 bytes +not seen$/m);
    assert.equal(text.includes("Gbit/s"), false);
  });

  it("tells an outage that was not over when it was read from one that was", () => {
    const change = (over: boolean): string => {
      const direction = { from: "node-1", to: "node-2", sent: 200, received: 17, outageMilliseconds: 36_600, over };
      const [from, to] = ["vxlan", "native, routes by the network"];
      return summary(
        { ...madeRun(), modeChange: { from, to, outageMilliseconds: 36_600, directions: [direction] } },
        plain,
      );
    };
    const said = "Pods could not reach each other for 36600 ms while vxlan became native, routes by the network";
    assert.ok(change(true).includes(`${said}.\n`));
    assert.ok(change(false).includes(`${said}, and longer: it was not over when it was read.\n`));
  });

  it("shows what agents made of a cluster's features, and what they logged", () => {
    const text = summary(clusterRun(), plain);
    assert.match(text, /^stack dev: Kubernetes cluster with Cilium$/m);
    assert.match(text, /^masquerading +BPF, IPv4 +iptables, IPv4$/m);
    assert.match(text, /^What agents logged\nnode-1, node-2, node-3: level=warning msg="Falling back/m);
  });

  it("shows what else there is to know of a feature that is in effect", () => {
    const run = clusterRun();
    const [first, ...others] = run.features ?? [];
    assert.ok(first);
    const text = summary({ ...run, features: [{ ...first, reason: "the agent logged something" }, ...others] }, plain);
    assert.match(text, /^routing .*\n {4}the agent logged something$/m);
  });

  it("names each sample that failed", () => {
    const text = summary(withFailedSample(madeRun()), plain);
    assert.match(text, /^failed: round 1, TCP, pod to pod, 1 stream: iperf3: unable to connect to server: Connection/m);
    assert.match(text, / failed$/m);
  });

  for (const columns of [50, 60, 80, 120]) {
    it(`stays within ${columns} characters`, () => {
      for (const run of [madeRun(), withFailedSample(madeRun({ mode: "native" }))]) {
        const lines = summary(run, { colour: false, columns }).split("\n").slice(1);
        assert.deepEqual(
          lines.filter((line) => line.length > columns),
          [],
        );
      }
    });
  }

  it("has colours where they were asked for, and the same words", () => {
    const coloured = summary(contradictedRun(), { ...plain, colour: true });
    assert.ok(coloured.includes("\u001b[31m"));
    assert.equal(stripVTControlCharacters(coloured), summary(contradictedRun(), plain));
  });
});

describe("verdictText", () => {
  it("is a run's verdict and what speaks against it, without its numbers", () => {
    assert.equal(
      verdictText(madeRun(), { ...plain, file: "vxlan.json" }),
      "CONFIRMED  VXLAN over UDP 8472: all 36 checks on 3 nodes hold\n  vxlan.json\n",
    );
    const wrong = verdictText(contradictedRun(), plain);
    assert.match(wrong, /^CONTRADICTED {2}Native routing: 3 of \d+ checks[\s\S]*✗ node-2: route to 10\.42\.0\.0\/24/);
    assert.doesNotMatch(wrong, /Gbit/);
  });
});

describe("comparisonText", () => {
  const text = comparisonText(compareRuns([madeRun()], [madeRun({ mode: "native", seed: 3 })]), plain);

  it("says in words what the numbers allow, then the medians", () => {
    assert.match(
      text,
      /^native against VXLAN\n- native is faster than VXLAN with 1 stream by 1\d % \(95 % interval: 1\d/,
    );
    assert.match(text, /^- UDP at 1 Gbit\/s: VXLAN lost 0\.\d\d %, native lost 0\.\d\d % \(medians\)$/m);
    assert.match(
      text,
      /^- latency of native against VXLAN: −2\d %, from too few observations to tell it from chance$/m,
    );
    assert.match(text, /^TCP Gbit\/s, pod to pod, 1 stream +12\.\d +14\.\d$/m);
  });
});
