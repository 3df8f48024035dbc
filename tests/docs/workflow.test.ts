import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import semver from "semver";
import { parse } from "yaml";
import { z } from "zod";

const root = path.resolve(import.meta.dirname, "../..");

const workflow = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      steps: z.array(
        z.looseObject({
          with: z.looseObject({ "node-version": z.union([z.string(), z.number()]).optional() }).optional(),
        }),
      ),
    }),
  ),
});
const packageFile = z.object({ engines: z.object({ node: z.string() }) });

describe("The GitHub workflow", () => {
  it("runs a Node.js that package.json takes", () => {
    const { jobs } = workflow.parse(parse(readFileSync(path.join(root, ".github/workflows/ci.yml"), "utf8")));
    const { engines } = packageFile.parse(JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")));
    const versions = Object.values(jobs).flatMap(({ steps }) =>
      steps.flatMap((step) => step.with?.["node-version"] ?? []),
    );
    assert.ok(versions.length > 0, "no step sets a version");
    // Without quotes YAML reads 20.20 as the number 20.2, another release.
    for (const version of versions) assert.ok(semver.subset(String(version), engines.node), String(version));
  });
});
