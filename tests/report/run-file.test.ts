import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { runJsonSchema } from "../../datapath/run/run-schema.ts";
import { parseRun, readRun, readRuns } from "../../report/run-file.ts";
import { contradictedRun, madeRun } from "../made-runs.ts";

const text = (change: (run: Record<string, unknown>) => void = () => undefined): string => {
  const value: Record<string, unknown> = { ...madeRun() };
  change(value);
  return JSON.stringify(value);
};

describe("a run file", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-runs-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("reads back as it was", () => {
    assert.deepEqual(parseRun(text(), "a.json"), JSON.parse(text()));
  });

  it("names the file and the place where it is wrong", () => {
    const broken = text((run) => {
      run["verdict"] = "fine";
      run["elapsedSeconds"] = "12";
    });
    assert.throws(() => parseRun(broken, "a.json"), {
      message:
        "a.json is no run file: 2 places in it are wrong (docs/run-schema.md describes the shape).\n" +
        "  elapsedSeconds: Invalid input: expected number, received string\n" +
        '  verdict: Invalid option: expected one of "confirmed"|"contradicted"|"incomplete"',
    });
  });

  it("tells a newer shape from a broken file", () => {
    assert.throws(
      () =>
        parseRun(
          text((run) => (run["schemaVersion"] = 2)),
          "a.json",
        ),
      {
        message:
          "a.json has the shape of schema version 2; this program reads up to 1. " +
          "Read it with the version of the program that wrote it, or a newer one.",
      },
    );
  });

  it("tells a file that was cut short, an empty one and some other JSON apart", () => {
    assert.throws(
      () => parseRun(text().slice(0, 500), "a.json"),
      /^Error: a\.json is no run file: its JSON is broken \(/,
    );
    assert.throws(() => parseRun("", "a.json"), /^Error: a\.json is no run file: it is empty\./);
    assert.throws(() => parseRun('{"name":"x"}', "package.json"), {
      message: "package.json is no run file: it has no schemaVersion. Runs are kept in .lab/runs.",
    });
  });

  it("that is not there is named", async () => {
    const file = path.join(folder, "none.json");
    await assert.rejects(readRun(file), new RegExp(`^Error: ${file} can't be read: ENOENT`));
  });

  it("is found in a folder, the newest first, others named", async () => {
    const [older, newer] = [madeRun(), madeRun({ mode: "native", startedAt: "2026-11-23T10:00:00.000Z" })];
    await writeFile(path.join(folder, "z.json"), JSON.stringify(older));
    await writeFile(path.join(folder, "a.json"), JSON.stringify(newer));
    await writeFile(path.join(folder, "b.json"), "{");
    await writeFile(path.join(folder, "c.json.partial"), "{");
    const skipped: string[] = [];
    const runs = await readRuns(folder, (reason) => skipped.push(reason));
    assert.deepEqual(
      runs.map(({ run }) => run.id),
      [newer.id, older.id],
    );
    assert.equal(skipped.length, 1);
    assert.match(skipped[0] ?? "", /b\.json is no run file: its JSON is broken/);
  });

  it("has a way out where there is none yet", async () => {
    await assert.rejects(
      readRuns(path.join(folder, "runs"), () => undefined),
      {
        message: `There is no run in ${path.join(folder, "runs")} yet. Measure one: npm run lab`,
      },
    );
  });
});

describe("schema/run.schema.json", () => {
  it("is what the program checks runs with", async () => {
    const kept: unknown = JSON.parse(await readFile("schema/run.schema.json", "utf8"));
    assert.deepEqual(kept, runJsonSchema(), "schema/run.schema.json is old: regenerate it");
  });

  it("holds for runs and fails for broken ones, by another validator", () => {
    const validate = new Ajv2020({ allErrors: true, validateFormats: false }).compile(runJsonSchema());
    for (const run of [madeRun(), contradictedRun()]) {
      assert.equal(validate(JSON.parse(JSON.stringify(run))), true, JSON.stringify(validate.errors));
    }
    assert.equal(validate(JSON.parse(text((run) => (run["verdict"] = "fine")))), false);
    assert.equal(validate(JSON.parse(text((run) => delete run["kernel"]))), false);
  });
});
