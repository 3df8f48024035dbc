import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { withDatapath } from "../../cli/call.ts";
import { readStackConfig, root } from "../../cli/workspace.ts";
import { checkLabConfig } from "../../datapath/config/index.ts";

const stacks = readdirSync(root).flatMap((name) => /^Pulumi\.(?!test-)(.+)\.yaml$/.exec(name)?.[1] ?? []);

function errorsIn(config: Readonly<Record<string, unknown>>): string[] {
  const { findings } = checkLabConfig(config);
  return findings.flatMap(({ severity, key, message }) => (severity === "error" ? [`${key}: ${message}`] : []));
}

describe("The stacks that are in the project", () => {
  it("are found", () => assert.ok(stacks.length >= 5, stacks.join(", ")));

  for (const stack of stacks) {
    for (const mode of ["vxlan", "geneve", "native"]) {
      it(`take ${mode} for the datapath of ${stack} by its one key`, async () => {
        const config = await readStackConfig(stack);
        const { datapath } = config;
        assert.ok(typeof datapath === "object" && datapath !== null);
        // What pulumi config set --path datapath-lab:datapath.mode does.
        assert.deepEqual(errorsIn({ ...config, datapath: { ...datapath, mode } }), []);
        assert.deepEqual(errorsIn(withDatapath(config, mode)), []);
      });
    }
  }
});

describe("A stack's file", () => {
  const stack = `test-values-${process.pid}`;
  const file = path.join(root, `Pulumi.${stack}.yaml`);
  after(() => rm(file, { force: true }));

  it("is read as the program reads it: text that is JSON is meant as such, other projects' keys are not the lab's", async () => {
    const lines = [
      "datapath-lab:strict: 'true'",
      'datapath-lab:datapath: \'{"mode":"native"}\'',
      "kubernetes:context: a",
    ];
    await writeFile(file, `config:\n${lines.map((line) => `  ${line}\n`).join("")}`);
    assert.deepEqual(await readStackConfig(stack), { strict: true, datapath: { mode: "native" } });
  });
});
