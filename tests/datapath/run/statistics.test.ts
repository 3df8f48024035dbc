import assert from "node:assert/strict";
import { permutationTest, tTest, tTestTwoSample } from "simple-statistics";
import type { Sample } from "../../../datapath/run/run.ts";
import {
  confidenceOfMean,
  factorBetween,
  factorOfPairs,
  figuresOf,
  latencyOf,
  ratiosByRound,
  studentT,
  summarise,
  udpOf,
} from "../../../datapath/run/statistics.ts";
import { deviate, madeRun, seeded, withFailedSample } from "../../made-runs.ts";

const isNear = (found: number | undefined, expected: number, tolerance = 1e-9): void => {
  assert.ok(
    found !== undefined && Math.abs(found - expected) <= tolerance,
    `${found ?? "nothing"} is not ${expected} ± ${tolerance}`,
  );
};

describe("summarise", () => {
  it("gives the textbook's figures for a known set", () => {
    // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squared deviations 32.
    const figures = summarise([2, 4, 4, 4, 5, 5, 7, 9], 2);
    assert.equal(figures.median, 4.5);
    assert.equal(figures.minimum, 2);
    assert.equal(figures.maximum, 9);
    assert.equal(figures.mean, 5);
    assert.equal(figures.failed, 2);
    isNear(figures.coefficientOfVariation, Math.sqrt(32 / 7) / 5);
    // t(7) = 2.365
    isNear(figures.confidence?.lower, 5 - (2.365 * Math.sqrt(32 / 7)) / Math.sqrt(8));
    isNear(figures.confidence?.upper, 5 + (2.365 * Math.sqrt(32 / 7)) / Math.sqrt(8));
    assert.equal(figures.confidence?.level, 0.95);
  });

  it("says nothing that one sample can't say", () => {
    assert.deepEqual(summarise([3], 0), { samples: [3], failed: 0, median: 3, minimum: 3, maximum: 3, mean: 3 });
  });

  it("keeps failed samples in sight where no other is there", () => {
    assert.deepEqual(summarise([], 3), { samples: [], failed: 3 });
  });

  it("leaves the caller's samples in their order", () => {
    const samples = [3, 1, 2];
    assert.deepEqual(summarise(samples, 0).samples, [3, 1, 2]);
    assert.deepEqual(samples, [3, 1, 2]);
  });

  it("has no coefficient of variation around a mean of zero", () => {
    assert.equal("coefficientOfVariation" in summarise([0, 0, 0], 0), false);
  });
});

describe("studentT", () => {
  it("is the table's at whole degrees of freedom and near the exact values between and beyond", () => {
    assert.equal(studentT(1), 12.706);
    assert.equal(studentT(4), 2.776);
    assert.equal(studentT(30), 2.042);
    // Exact values by jStat 1.9.6.
    isNear(studentT(2.5), 3.5747, 0.06);
    isNear(studentT(4.5), 2.6589, 0.01);
    isNear(studentT(7.3), 2.3451, 0.005);
    isNear(studentT(60), 2.0003, 0.002);
    isNear(studentT(1000), 1.9623, 0.002);
    assert.equal(studentT(Infinity), 1.96);
  });

  it("refuses less than one degree of freedom", () => {
    assert.throws(() => studentT(0.5), /0\.5 degrees of freedom: at least 1 is needed/);
  });
});

describe("confidence intervals", () => {
  it("end where the library's t-test reaches the quantile", () => {
    const samples = [11.9, 12.3, 12.1, 12.6, 11.7];
    const interval = confidenceOfMean(samples);
    assert.ok(interval);
    // The library divides by the population's deviation, not the sample's.
    const scale = Math.sqrt((samples.length - 1) / samples.length);
    isNear(tTest(samples, interval.lower) * scale, studentT(4), 1e-6);
    isNear(tTest(samples, interval.upper) * scale, -studentT(4), 1e-6);
  });

  it("of a factor end where the library's two-sample t-test of the logarithms reaches the quantile", () => {
    // As many samples and the same spread on both sides: Welch's interval is then Student's.
    const by = [12, 12.2, 12.4, 11.9, 12.3];
    const of = by.map((value) => value * 1.18);
    const { factor, confidence } = factorBetween(of, by) ?? {};
    isNear(factor, 1.18);
    assert.ok(confidence);
    const statistic = tTestTwoSample(of.map(Math.log), by.map(Math.log), Math.log(confidence.lower));
    isNear(statistic ?? undefined, studentT(8), 1e-6);
  });

  it("agree with the library's permutation test on whether there is a difference", () => {
    const by = [12, 12.2, 12.4, 11.9, 12.3, 12.1];
    const apart = [13.1, 12.9, 13.4, 13, 13.2, 13.3];
    const alike = [12.1, 12.3, 11.8, 12.4, 12.2, 12];
    const random = seeded(7);
    assert.ok(permutationTest(apart, by, "two_side", 2000, random) < 0.05);
    assert.ok((factorBetween(apart, by)?.confidence?.lower ?? 0) > 1);
    assert.ok(permutationTest(alike, by, "two_side", 2000, random) > 0.05);
    const confidence = factorBetween(alike, by)?.confidence;
    assert.ok(confidence !== undefined && confidence.lower < 1 && confidence.upper > 1);
  });

  for (const { samples, spread } of [
    { samples: 3, spread: 0.02 },
    { samples: 5, spread: 0.1 },
    { samples: 20, spread: 0.05 },
  ]) {
    it(`hold the true factor in 95 of 100 experiments with ${samples} samples a side`, () => {
      const random = seeded(42);
      const draw = (centre: number, relative: number): number[] =>
        Array.from({ length: samples }, () => centre * Math.exp(relative * deviate(random)));
      const experiments = 4000;
      let held = 0;
      for (let experiment = 0; experiment < experiments; experiment += 1) {
        const confidence = factorBetween(draw(14.3, spread), draw(12.1, spread * 2))?.confidence;
        if (confidence && confidence.lower <= 14.3 / 12.1 && 14.3 / 12.1 <= confidence.upper) held += 1;
      }
      // Welch's interval is known to be slightly too wide at three samples; too narrow it must not be.
      assert.ok(held / experiments > 0.94 && held / experiments < 0.985, `held in ${held} of ${experiments}`);
    });
  }

  it("of pairs cancel what both members of a pair share", () => {
    const clock = [1, 0.7, 1.2, 0.9];
    const { factor, confidence } = factorOfPairs(clock.map((speed) => (12 * speed) / (15 * speed))) ?? {};
    isNear(factor, 0.8);
    isNear(confidence?.lower, 0.8);
    isNear(confidence?.upper, 0.8);
  });

  it("are absent where nothing was observed, or where a logarithm has no meaning", () => {
    assert.equal(factorBetween([], [1]), undefined);
    assert.equal(factorBetween([0, 1], [1, 2]), undefined);
    assert.equal(factorOfPairs([]), undefined);
    assert.deepEqual(factorBetween([6], [3]), { factor: 2 });
    assert.deepEqual(factorBetween([4, 4], [2, 2]), {
      factor: 2,
      confidence: { level: 0.95, lower: 2, upper: 2 },
    });
  });
});

describe("latencyOf", () => {
  it("gives percentiles of every reply, and counts what was lost", () => {
    const latency = latencyOf(
      102,
      Array.from({ length: 100 }, (_, index) => 100 - index),
    );
    assert.equal(latency.sent, 102);
    assert.equal(latency.received, 100);
    assert.equal(latency.medianMilliseconds, 50.5);
    assert.equal(latency.p90Milliseconds?.toFixed(2), "90.10");
    assert.equal(latency.p99Milliseconds?.toFixed(2), "99.01");
    assert.equal(latency.minimumMilliseconds, 1);
    assert.equal(latency.maximumMilliseconds, 100);
    assert.equal(latency.milliseconds?.[0], 100);
  });

  it("claims no percentile where no reply came", () => {
    assert.deepEqual(latencyOf(100, []), { sent: 100, received: 0 });
  });
});

describe("figuresOf", () => {
  const tcp = (path: "podToPod" | "nodeToNode", round: number, gigabits: number | undefined): Sample => ({
    protocol: "tcp",
    path,
    streams: 1,
    round,
    from: "node-1",
    to: "node-2",
    startedAt: "2026-11-23T09:00:00Z",
    durationSeconds: 1,
    result:
      gigabits === undefined
        ? { outcome: "failed", reason: "iperf3: the server is busy" }
        : {
            outcome: "measured",
            bitsPerSecond: gigabits * 1e9,
            retransmits: round,
            cpuPercent: { sender: 10 * round, receiver: 20 * round },
          },
  });
  const samples = [
    tcp("podToPod", 1, 12),
    tcp("nodeToNode", 1, 15),
    tcp("nodeToNode", 2, 16),
    tcp("podToPod", 2, undefined),
    tcp("podToPod", 3, 13),
    tcp("nodeToNode", 3, 14),
  ];

  it("puts each path's samples beside the others, failed ones counted", () => {
    const { throughput, retransmits, cpuPercent, ratio } = figuresOf(samples);
    assert.deepEqual(throughput.podToPod["1"]?.samples, [12e9, 13e9]);
    assert.equal(throughput.podToPod["1"].failed, 1);
    assert.equal(throughput.podToPod["1"].median, 12.5e9);
    assert.equal(throughput.nodeToNode["1"]?.median, 15e9);
    assert.deepEqual(retransmits.podToPod["1"]?.samples, [1, 3]);
    assert.deepEqual(cpuPercent?.podToPod["1"]?.receiver.samples, [20, 60]);
    isNear(ratio["1"], Math.sqrt((12 / 15) * (13 / 14)));
    assert.equal("podToPodSameNode" in throughput, false);
  });

  it("pairs pod and node by round, and leaves out a round with only one of them", () => {
    assert.deepEqual(ratiosByRound(samples, 1), [12 / 15, 13 / 14]);
    const confidence = figuresOf(samples).ratioConfidence?.["1"];
    assert.ok(confidence && confidence.lower < 0.8 && confidence.upper > 13 / 14);
    // One estimator: the interval of the logarithms lies around the ratio itself.
    isNear(Math.sqrt(confidence.lower * confidence.upper), figuresOf(samples).ratio["1"] ?? NaN);
  });

  it("has no ratio where one side never succeeded", () => {
    assert.deepEqual(figuresOf([tcp("podToPod", 1, 12), tcp("nodeToNode", 1, undefined)]).ratio, {});
  });

  it("gives UDP loss in percent of what was sent", () => {
    const udp = udpOf(madeRun().samples);
    assert.equal(udp?.podToPod?.rateBitsPerSecond, 1e9);
    assert.equal(udp.podToPod.lossPercent.samples.length, 5);
    assert.ok(udp.podToPod.lossPercent.samples.every((loss) => loss >= 0 && loss < 0.2));
    assert.equal(udpOf(samples), undefined);
  });

  it("counts a failed UDP sample too", () => {
    const run = madeRun();
    const index = run.samples.findIndex(({ protocol }) => protocol === "udp");
    assert.equal(withFailedSample(run, index).udp?.podToPod?.lossPercent.failed, 1);
  });
});
