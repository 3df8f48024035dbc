import assert from "node:assert/strict";
import { compareAll, compareRuns, ComparisonRefused, inPercent } from "../../../datapath/run/comparison.ts";
import type { Run } from "../../../datapath/run/run.ts";
import { contradictedRun, madeRun, withFailedSample } from "../../made-runs.ts";

const vxlan = madeRun({ mode: "vxlan", seed: 1 });
const native = madeRun({ mode: "native", seed: 2, startedAt: "2026-11-23T09:05:00.000Z" });

function refusal(a: readonly Run[], b: readonly Run[]): readonly string[] {
  try {
    compareRuns(a, b);
  } catch (error) {
    assert.ok(error instanceof ComparisonRefused);
    return error.reasons;
  }
  throw new assert.AssertionError({ message: "the comparison was not refused" });
}

const difference = (a: readonly Run[], b: readonly Run[]) => {
  const { differences } = compareRuns(a, b);
  const [first] = differences;
  assert.ok(first);
  return first;
};

describe("compareRuns", () => {
  it("says by how much one datapath is faster, plainly and beside its own nodes", () => {
    const { absolute, besideNodes, words, medians, unit } = difference([vxlan], [native]);
    assert.ok(
      absolute?.confidence && absolute.confidence.lower < 14.3 / 12.1 && absolute.confidence.upper > 14.3 / 12.1,
    );
    assert.ok(besideNodes?.confidence && besideNodes.confidence.lower > 1);
    assert.equal(medians.a, vxlan.throughput.podToPod["1"]?.median);
    assert.equal(medians.b, native.throughput.podToPod["1"]?.median);
    assert.equal(unit, "sample");
    assert.match(
      words,
      /^native is faster than VXLAN with 1 stream by 1\d % \(95 % interval: 1\d to [12]\d %\); beside the nodes' own throughput: \+1\d % \(95 % interval: \+1\d to \+[12]\d %\)$/,
    );
  });

  it("says the same the other way round", () => {
    assert.match(
      difference([native], [vxlan]).words,
      /^VXLAN is slower than native with 1 stream by 1\d % \(95 % interval: 1\d to 1\d %\);/,
    );
  });

  it("claims nothing that the samples can't show", () => {
    const again = madeRun({ mode: "vxlan", seed: 5, startedAt: "2026-11-23T10:00:00.000Z" });
    assert.match(
      difference([vxlan], [again]).words,
      /^no difference between VXLAN of 2026-11-23 10:00 and VXLAN of 2026-11-23 09:00 with 1 stream that these samples can show: /,
    );
  });

  it("gives no interval from one sample a side", () => {
    const [a, b] = [madeRun({ rounds: 1 }), madeRun({ mode: "native", rounds: 1 })];
    assert.match(difference([a], [b]).words, /^native against VXLAN with 1 stream: \+\d+ %, from too few observations/);
  });

  it("takes out what a slower machine did to both pods and nodes", () => {
    const slower = madeRun({ mode: "native", seed: 4, machine: 0.8, startedAt: "2026-11-23T09:10:00.000Z" });
    const comparison = compareRuns([vxlan], [slower]);
    const [first] = comparison.differences;
    assert.ok(first?.absolute && first.absolute.factor < 1);
    assert.ok(first.besideNodes && first.besideNodes.factor > 1.1);
    assert.ok(
      comparison.caveats.some((caveat) => caveat.startsWith("The bare nodes were not equally fast (1 stream, −")),
      comparison.caveats.join("\n"),
    );
  });

  it("counts runs, not samples, from two runs a side on", () => {
    // Each run's machine is off by its own factor: the samples within a run agree far better than the runs do.
    const runs = (mode: "vxlan" | "native", hour: number): Run[] =>
      [0.85, 1, 1.15].map((machine, index) =>
        madeRun({ mode, machine, seed: hour + index, startedAt: `2026-11-23T${hour}:0${index}:00.000Z` }),
      );
    assert.equal(difference(runs("vxlan", 10).slice(0, 1), runs("native", 11)).unit, "sample");
    assert.equal(difference(runs("vxlan", 10).slice(0, 2), runs("native", 11).slice(0, 2)).unit, "run");
    const { absolute, unit, besideNodes } = difference(runs("vxlan", 10), runs("native", 11));
    assert.equal(unit, "run");
    assert.ok(absolute?.confidence && absolute.confidence.upper - absolute.confidence.lower > 0.5);
    assert.ok(besideNodes?.confidence && besideNodes.confidence.upper - besideNodes.confidence.lower < 0.1);
  });

  it("leaves an incomplete run out where its side has two others, and says so", () => {
    const runs = (mode: "vxlan" | "native", hour: number): Run[] =>
      [1, 2, 3].map((minute) =>
        madeRun({ mode, seed: hour + minute, startedAt: `2026-11-23T${hour}:0${minute}:00.000Z` }),
      );
    const [one, two, three] = runs("native", 11);
    assert.ok(one && two && three);
    const incomplete: Run = { ...three, verdict: "incomplete" };
    const { b, caveats } = compareRuns(runs("vxlan", 10), [one, two, incomplete]);
    assert.deepEqual(b.runs, [one, two]);
    assert.equal(
      caveats[0],
      `${three.id} is incomplete: of 36 checks 0 failed and 0 could not be judged. It is in none of the figures.`,
    );
    assert.match(refusal(runs("vxlan", 10), [one, incomplete])[0] ?? "", /is incomplete/);
    assert.match(
      refusal(runs("vxlan", 10), [one, two, { ...three, verdict: "contradicted" }])[0] ?? "",
      /contradicted/,
    );
  });

  it("has no factor for UDP, whose throughput was set", () => {
    const udp = compareRuns([vxlan], [native]).differences.filter(({ protocol }) => protocol === "udp");
    assert.deepEqual(
      udp.map(({ absolute }) => absolute),
      [undefined, undefined],
    );
  });

  it("refuses tuning that differs within a side, and names it between the sides", () => {
    const again = madeRun({ mode: "native", seed: 6, startedAt: "2026-11-23T09:20:00.000Z" });
    const tuned: Run = { ...again, datapath: { ...again.datapath, bandwidthManager: { enabled: true, bbr: true } } };
    assert.deepEqual(refusal([vxlan], [native, tuned]), [
      `one side mixes tuning: bandwidthManager.enabled is false in ${native.id}, true in ${tuned.id}`,
      `one side mixes tuning: bandwidthManager.bbr is false in ${native.id}, true in ${tuned.id}`,
    ]);
    const withFeature = (run: Run, name: string, effective: string): Run => ({
      ...run,
      features: (run.features ?? []).map((feature) => (feature.name === name ? { ...feature, effective } : feature)),
    });
    // Asked for alike, and not the same in effect.
    assert.deepEqual(refusal([vxlan], [native, withFeature(again, "host routing", "BPF")]), [
      `one side mixes tuning: host routing is legacy in ${native.id}, BPF in ${again.id}`,
    ]);
    const jumbo = { ...native, plan: native.plan.map((plan) => ({ ...plan, pathMtuBytes: 9000 })) };
    const { caveats } = compareRuns([vxlan], [withFeature(jumbo, "host routing", "BPF")]);
    assert.equal(
      caveats[0],
      "More differs than the mode, and the figures tell what all of it does together: " +
        "host routing (VXLAN: legacy; native: BPF), MTU between nodes (VXLAN: 1500 bytes; native: 9000 bytes).",
    );
  });

  it("takes what follows from the mode for no difference in tuning", () => {
    assert.deepEqual(
      compareRuns([vxlan], [native]).caveats.filter((caveat) => caveat.startsWith("More differs")),
      [],
    );
  });

  it("refuses runs of different clusters that are called the same", () => {
    const on = (run: Run, cluster: string): Run => ({ ...run, lab: { ...run.lab, cluster } });
    assert.deepEqual(refusal([on(vxlan, "11aa")], [on(native, "22bb")]), [
      `clusters differ: 11aa in ${vxlan.id}, 22bb in ${native.id}`,
    ]);
    assert.ok(compareRuns([on(vxlan, "11aa")], [native]));
  });

  it("compares every path, UDP and latency", () => {
    const kinds = compareRuns([vxlan], [native]).differences.map(
      ({ quantity, protocol, path, streams }) => `${quantity} ${protocol} ${path} ${streams ?? ""}`,
    );
    assert.deepEqual(kinds, [
      "throughput tcp podToPod 1",
      "throughput tcp nodeToNode 1",
      "throughput tcp podToPodSameNode 1",
      "throughput tcp podToPod 4",
      "throughput tcp nodeToNode 4",
      "throughput tcp podToPodSameNode 4",
      "throughput udp podToPod ",
      "throughput udp nodeToNode ",
      "latency icmp podToPod ",
      "latency icmp nodeToNode ",
      "latency icmp podToPodSameNode ",
    ]);
  });

  it("names failed samples", () => {
    const { caveats } = compareRuns([withFailedSample(vxlan)], [native]);
    assert.ok(caveats.includes("1 sample failed and is in none of the figures."), caveats.join("\n"));
  });

  it("refuses a contradicted run, with the counts", () => {
    assert.deepEqual(refusal([vxlan], [contradictedRun()]), [
      "local-native-2026-11-23T09-00-00-000Z-wrong is contradicted: of 36 checks 3 failed and 1 could not be judged",
    ]);
  });

  it("refuses with every reason at once", () => {
    const other: Run = {
      ...native,
      verdict: "incomplete",
      nodes: native.nodes.slice(0, 2),
      kernel: "6.8.0-45-generic",
      versions: { ...native.versions, iperf3: "3.17" },
      conditions: { ...native.conditions, settings: { ...native.conditions.settings, durationSeconds: 10 } },
    };
    const reasons = refusal([vxlan], [other]);
    assert.deepEqual(
      reasons.map((reason) => reason.replace(/:.*/, "").replace(/^local\S+ /, "")),
      ["is incomplete", "nodes differ", "versions differ", "kernel differs", "sample settings differ"],
    );
    assert.throws(() => compareRuns([vxlan], [other]), {
      name: "ComparisonRefused",
      message: /^These runs can't be compared:\n {2}- .*incomplete[\s\S]*npm run lab -- compare --datapaths A,B$/,
    });
  });

  it("refuses each thing that differs by itself, and names both values", () => {
    const { conditions, nodes, versions, lab } = native;
    const settings = (changed: Partial<typeof conditions.settings>): Partial<Run> => ({
      conditions: { ...conditions, settings: { ...conditions.settings, ...changed } },
    });
    const differences: readonly [changed: Partial<Run>, reason: RegExp][] = [
      [{ verdict: "incomplete" }, /is incomplete: of 36 checks 0 failed and 0 could not be judged/],
      [{ nodes: nodes.slice(0, 2) }, /nodes differ: node-1, node-2, node-3 in .*, node-1, node-2 in /],
      [{ nodes: nodes.map((node) => ({ ...node, kernel: "6.8.0" })) }, /kernel differs: .*6\.1\.0.* in .*6\.8\.0 in /],
      [{ versions: { ...versions, iperf3: "3.17" } }, /versions differ: iperf3 3\.12.*iperf3 3\.17/],
      [{ conditions: { ...conditions, cpuCount: 64 } }, /processor differs: 2 × .*64 × /],
      [{ lab: { ...lab, kind: "cluster" } }, /kind of lab differs: namespaces in .*, cluster in /],
      [settings({ samples: 9 }), /sample settings differ: 5 × 2 s.*9 × 2 s/],
      [settings({ durationSeconds: 10 }), /sample settings differ: .*5 × 10 s/],
      [settings({ streams: [1, 8] }), /sample settings differ: .*streams 1 and 8/],
      [settings({ warmUpSeconds: 5 }), /sample settings differ: .*warm-up 5 s/],
      [settings({ udpRateBitsPerSecond: 5e8 }), /sample settings differ: .*UDP at 0\.5 Gbit\/s/],
    ];
    for (const [changed, expected] of differences) {
      const reasons = refusal([vxlan], [{ ...native, ...changed }]);
      assert.equal(reasons.length, 1, reasons.join("\n"));
      assert.match(reasons[0] ?? "", expected);
    }
  });

  it("refuses a run beside itself, mixed sides and empty ones", () => {
    assert.deepEqual(refusal([vxlan], [vxlan]), [`${vxlan.id} stands on both sides`]);
    assert.deepEqual(refusal([vxlan, native], [madeRun({ mode: "geneve" })]), [
      "one side mixes datapaths: vxlan, native",
    ]);
    assert.deepEqual(refusal([], [vxlan]), ["one side has no run"]);
  });
});

describe("compareAll", () => {
  it("compares every other datapath with the first, and keeps refusals among the results", () => {
    const outcomes = compareAll([vxlan, native, { ...madeRun({ mode: "geneve" }), kernel: "6.8.0" }]);
    assert.deepEqual(
      outcomes.map((outcome) => ("refused" in outcome ? outcome : [outcome.a.name, outcome.b.label])),
      [
        ["vxlan", "native"],
        {
          a: "vxlan",
          b: "geneve",
          refused: [
            "kernel differs: 6.1.0-18-amd64 in local-vxlan-2026-11-23T09-00-00-000Z, " +
              "6.1.0-18-amd64, 6.8.0 in local-geneve-2026-11-23T09-00-00-000Z",
          ],
        },
      ],
    );
  });

  it("has nothing to say of a single run", () => {
    assert.deepEqual(compareAll([vxlan]), []);
  });
});

describe("inPercent", () => {
  const of = (lower: number, factor: number, upper: number, as?: "size") =>
    inPercent({ factor, confidence: { level: 0.95, lower, upper } }, as);

  it("gives the interval's own bounds, which lie unevenly", () => {
    assert.equal(of(1.05, 1.35, 1.74), "+35 % (95 % interval: +5 to +74 %)");
    assert.equal(of(0.85, 0.89, 0.93), "−11 % (95 % interval: −15 to −7 %)");
    assert.equal(of(0.97, 1, 1.02), "0 % (95 % interval: −3 to +2 %)");
    assert.equal(inPercent({ factor: 1.5 }), "+50 %");
  });

  it("writes no more digits than the interval allows", () => {
    assert.equal(of(0.9846, 0.9876, 0.9916), "−1.2 % (95 % interval: −1.5 to −0.8 %)");
  });

  it("writes sizes from the smaller to the larger", () => {
    assert.equal(of(0.85, 0.89, 0.93, "size"), "11 % (95 % interval: 7 to 15 %)");
    assert.equal(of(1.05, 1.35, 1.74, "size"), "35 % (95 % interval: 5 to 74 %)");
  });
});
