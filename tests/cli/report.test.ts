import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { newestOfEachDatapath, report } from "../../cli/report.ts";
import type { Run } from "../../datapath/run/run.ts";
import { contradictedRun, madeRun } from "../made-runs.ts";

const older = madeRun({ seed: 8, startedAt: "2026-11-22T09:00:00.000Z" });
const vxlan = madeRun();
const native = madeRun({ mode: "native", seed: 3, startedAt: "2026-11-23T09:05:00.000Z" });

describe("report", () => {
  let folder: string;
  let printed: string;
  let logged: string[];
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-report-"));
    [printed, logged] = ["", []];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const keep = async (run: Run): Promise<string> => {
    const file = path.join(folder, `${run.id}.json`);
    await writeFile(file, JSON.stringify(run));
    return file;
  };
  const written = (files: readonly string[], json = false): Promise<string> =>
    report({
      files,
      json,
      runsFolder: folder,
      outputFolder: path.join(folder, "out"),
      colour: false,
      columns: 100,
      print: (text) => (printed += text),
      log: (line) => logged.push(line),
    });

  it("writes the newest run of each datapath and their comparison", async () => {
    await Promise.all([older, vxlan, native].map(keep));
    const page = await written([]);
    assert.equal(page, path.join(folder, "out", "report.html"));
    assert.match(await readFile(page, "utf8"), /<h1>VXLAN over UDP 8472 and native routing<\/h1>/);
    assert.match(await readFile(path.join(folder, "out", "report.md"), "utf8"), /^## Datapath Lab\n/);
    assert.deepEqual((await readdir(path.join(folder, "out"))).toSorted(), [
      "datapaths.svg",
      "report.html",
      "report.md",
      "throughput.svg",
    ]);
    assert.match(printed, /native is faster than VXLAN with 1 stream by 1\d %/);
    assert.equal(printed.includes(older.id), false);
    assert.deepEqual(logged, [
      `Report: ${page} (and beside it report.md for a pull request, datapaths.svg, throughput.svg)`,
    ]);
  });

  it("prints JSON alone on request", async () => {
    await Promise.all([vxlan, native].map(keep));
    await written([], true);
    const value: unknown = JSON.parse(printed);
    assert.ok(typeof value === "object" && value !== null && "comparisons" in value && "runs" in value);
  });

  it("compares two named files, also of one datapath", async () => {
    await written([await keep(older), await keep(vxlan)]);
    assert.match(printed, /^VXLAN of 2026-11-23 09:00 against VXLAN of 2026-11-22 09:00\n- no difference between /m);
  });

  it("shows runs that can't be compared, and says why", async () => {
    await written([await keep(vxlan), await keep(contradictedRun())]);
    assert.match(
      printed,
      /^native and VXLAN are not comparable\n- local-native-2026-11-23T09-00-00-000Z-wrong is contradicted: of 36 checks 3/m,
    );
  });

  it("fails where there is nothing to report, with the way out", async () => {
    await assert.rejects(written([]), {
      message: `There is no run in ${folder} yet. Measure one: npm run lab`,
    });
  });
});

describe("newestOfEachDatapath", () => {
  it("stays with the stack that was measured last", () => {
    const other: Run = { ...native, lab: { ...native.lab, stack: "dev" } };
    const kept = [other, vxlan, older].map((run) => ({ file: `${run.id}.json`, run }));
    assert.deepEqual(
      newestOfEachDatapath(kept).map(({ run }) => run.id),
      [other.id],
    );
  });
});
