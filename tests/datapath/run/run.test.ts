import assert from "node:assert/strict";
import { run, type Run } from "../../../datapath/run/run.ts";
import { datapathName } from "../../../datapath/run/run-words.ts";
import { contradictedRun, madeRun, withFailedSample } from "../../made-runs.ts";

const issuesOf = (value: unknown): string[] => {
  const { error } = run.safeParse(value);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("the shape of a run", () => {
  for (const [name, made] of Object.entries({
    "a confirmed run": madeRun(),
    "a native one": madeRun({ mode: "native" }),
    "a contradicted run that measured nothing": contradictedRun(),
    "a run with a failed sample": withFailedSample(madeRun()),
  })) {
    it(`holds ${name}, through JSON and back`, () => {
      assert.deepEqual(issuesOf(made), []);
      assert.deepEqual(run.parse(JSON.parse(JSON.stringify(made))), JSON.parse(JSON.stringify(made)));
    });
  }

  it("keeps the fields that stack outputs promise", () => {
    const made: Run = madeRun();
    assert.deepEqual(Object.keys(made.checks[0] ?? {}).toSorted(), ["expected", "found", "name", "node", "ok"]);
    const { samples, median, minimum, maximum } = made.throughput.podToPod["1"] ?? {};
    assert.ok(samples?.length === 5 && median !== undefined && minimum !== undefined && maximum !== undefined);
    assert.ok(made.throughput.nodeToNode["1"] && made.retransmits.podToPod["1"] && made.ratio["1"] && made.latency);
    assert.ok(made.versions["iperf3"]);
    assert.deepEqual([typeof made.verdict, typeof made.time, typeof made.kernel], ["string", "string", "string"]);
  });

  it("refuses what it does not know, naming the place", () => {
    const made = madeRun();
    const [first] = made.checks;
    assert.deepEqual(issuesOf({ ...made, checks: [{ ...first, ok: "yes" }] }), [
      "checks.0.ok: Invalid input: expected boolean, received string",
    ]);
    assert.deepEqual(issuesOf({ ...made, extra: 1 }), [': Unrecognized key: "extra"']);
    assert.deepEqual(
      issuesOf({ ...made, throughput: { ...made.throughput, podToPod: { one: { samples: [], failed: 0 } } } }),
      ["throughput.podToPod.one: Invalid key in record"],
    );
  });
});

describe("datapathName", () => {
  it("is what options take: the mode, and who carries native routes where the nodes don't", () => {
    const name = (datapath: Record<string, unknown>): string => datapathName({ datapath, plan: [] });
    assert.deepEqual(
      [
        name({ mode: "vxlan" }),
        name({ mode: "native", routes: { kind: "direct" } }),
        name({ mode: "native", routes: { kind: "router" } }),
        name({ mode: "native", routes: "bgp" }),
      ],
      ["vxlan", "native", "native:router", "native:bgp"],
    );
  });
});
