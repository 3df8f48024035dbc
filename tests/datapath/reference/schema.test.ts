import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { parse } from "yaml";
import { z } from "zod";
import { checkLabConfig } from "../../../datapath/config/index.ts";
import { rules } from "../../../datapath/rules/index.ts";
import { configKeys, projectConfig, stackConfigSchema } from "../../../datapath/reference/schema.ts";
import { madeDatapath } from "../made-configs.ts";

const root = path.resolve(import.meta.dirname, "../../..");
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const accepts = ajv.compile(stackConfigSchema("datapath-lab"));

function isAccepted(config: object): boolean {
  return accepts({ config });
}

const hasDescription = z.looseObject({ description: z.string().min(1) });

describe("The schema of stack config files", () => {
  it("takes whatever the program takes", () => {
    fc.assert(
      fc.property(madeDatapath, (datapath) => {
        assert.ok(checkLabConfig({ datapath }).shaped);
        assert.ok(isAccepted({ "datapath-lab:datapath": datapath }), ajv.errorsText(accepts.errors));
      }),
      { numRuns: 500 },
    );
  });

  it("knows the short forms", () => {
    for (const short of [
      { mode: "native", routes: "router" },
      { mode: "native", routes: "bgp" },
      { mode: "native", routes: { kind: "bgp", localASN: 64_600 } },
      { mode: "native", routes: { kind: "router", integration: "gke" } },
      { mode: "vxlan", kubeProxyReplacement: "strict" },
    ]) {
      assert.ok(isAccepted({ "datapath-lab:datapath": short }), JSON.stringify(short));
    }
  });

  it("refuses what the program refuses for its shape", () => {
    for (const wrong of [
      { mode: "vxlan", routes: "direct" },
      { mode: "native", tunnelPort: 8472 },
      { mode: "native", routes: { kind: "bgp", speaker: "cilium" } },
      { mode: "native", routes: "osfp" },
      { mode: "vxlan", mtuBytes: "9000" },
      { mode: "vxlan", hostRoutings: "bpf" },
    ]) {
      assert.ok(!isAccepted({ "datapath-lab:datapath": wrong }), JSON.stringify(wrong));
    }
    assert.ok(!isAccepted({ "datapath-lab:datapaths": { mode: "vxlan" } }));
  });

  it("leaves keys of other projects alone", () => {
    assert.ok(isAccepted({ "kubernetes:context": "lab", "datapath-lab:strict": true }));
  });

  it("describes every key of the datapath", () => {
    const keys = configKeys("datapath");
    assert.ok(keys.length > 60);
    for (const { key, description } of keys) assert.notEqual(description, "", key);
  });

  it("takes a boolean as pulumi config set keeps it", () => {
    assert.ok(isAccepted({ "datapath-lab:strict": "true" }));
    assert.ok(!isAccepted({ "datapath-lab:strict": "yes" }));
  });

  it("takes the stack files that are in the project", () => {
    const files = readdirSync(root).filter((name) => /^Pulumi\.(?!test-).+\.yaml$/.test(name));
    assert.ok(files.length >= 5, files.join(", "));
    for (const name of files) {
      const file: unknown = parse(readFileSync(path.join(root, name), "utf8"));
      assert.ok(accepts(file), `${name}: ${ajv.errorsText(accepts.errors)}`);
    }
  });
});

describe("The config block of Pulumi.yaml", () => {
  it("describes every section, with a default that the program takes", () => {
    const block = projectConfig();
    for (const [section, entry] of Object.entries(block)) assert.ok(hasDescription.safeParse(entry).success, section);
    const defaults = Object.fromEntries(Object.entries(block).map(([section, entry]) => [section, entry.default]));
    assert.deepEqual(checkLabConfig(defaults).findings, []);
  });
});

describe("The generated files", () => {
  it("have a row for every rule", () => {
    const page = readFileSync(path.join(root, "docs/datapaths.md"), "utf8");
    for (const { id, source } of rules) {
      assert.ok(page.includes(`| \`${id}\` |`), id);
      assert.notEqual(source, "", id);
    }
  });
});
