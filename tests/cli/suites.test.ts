import assert from "node:assert/strict";
import { lateness, suites, testFiles } from "../suites.ts";

describe("The suites of npm test", () => {
  it("run every test file once", () => {
    const run = suites
      .filter(({ partOf }) => partOf === undefined)
      .flatMap(({ steps }) => steps.flatMap((step) => ("mocha" in step ? step.mocha : [])))
      .flatMap(testFiles);
    assert.deepEqual(run.sort(), testFiles("tests").sort());
  });

  it("say loudly where the fast one took longer than 20 s", () => {
    const fast = suites.find(({ name }) => name === "fast");
    assert.ok(fast !== undefined);
    assert.equal(lateness(fast, 19.9), undefined);
    assert.match(lateness(fast, 34.9) ?? "", /^WARNING: fast took 35 s and should take less than 20 s\./);
  });
});
