import assert from "node:assert/strict";
import { suites, testFiles } from "../suites.ts";

describe("The suites of npm test", () => {
  it("run every test file once", () => {
    const run = suites
      .filter(({ partOf }) => partOf === undefined)
      .flatMap(({ steps }) => steps.flatMap((step) => ("mocha" in step ? step.mocha : [])))
      .flatMap(testFiles);
    assert.deepEqual(run.sort(), testFiles("tests").sort());
  });
});
