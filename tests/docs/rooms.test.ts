import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import {
  crossedLine,
  datapathFolders,
  projectReferences,
  referencesOf,
  rooms,
  roomsDiagram,
  type Reference,
} from "../../cli/rooms.ts";

const root = path.resolve(import.meta.dirname, "../..");

/** What is said of a source file that stands at a place of the project. */
function crossings(file: string, text: string): (string | undefined)[] {
  return referencesOf(file, text).map(crossedLine);
}

describe("rooms", () => {
  let references: readonly Reference[] = [];
  before(() => (references = projectReferences(root)));

  it("are crossed by no import", () => {
    assert.deepEqual(
      references.flatMap((reference) => crossedLine(reference) ?? []),
      [],
    );
  });

  it("are all there, and read", () => {
    for (const { folder } of rooms) {
      assert.ok(
        references.some(({ file }) => file === folder || file.startsWith(`${folder}/`)),
        `nothing was read in ${folder}`,
      );
    }
  });

  it("are described folder by folder where one is large", () => {
    const entries = readdirSync(path.join(root, "datapath"), { withFileTypes: true });
    const folders = entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
    assert.deepEqual(Object.keys(datapathFolders).sort(), folders.sort());
  });

  const forbidden = [
    ["datapath/a.ts", 'import * as pulumi from "@pulumi/pulumi";', /imports @pulumi\/pulumi: datapath must not/],
    ["datapath/rules/a.ts", 'import { readFileSync } from "node:fs";', /imports node:fs: datapath must not/],
    [
      "datapath/a.ts",
      'export { x } from "../verification/spec.ts";',
      /imports verification\/spec.ts: datapath may import none/,
    ],
    [
      "verification/a.ts",
      'const c = await import("@pulumi/command/local");',
      /imports @pulumi\/command: verification must not/,
    ],
    ["report/a.ts", 'import type { X } from "../cli/report.ts";', /imports cli\/report.ts: report may import datapath/],
    ["components/machines/a.ts", 'import * as k from "@pulumi/kubernetes";', /components\/machines must not/],
    ["components/machines/a.ts", 'import { Cilium } from "../cilium.ts";', /may import components\/local-file.ts/],
    ["components/a.ts", 'import { commands } from "../cli/commands.ts";', /components may import/],
    ["index.ts", 'import { planFor } from "./datapath/plan.ts";', /index.ts may import components/],
  ] as const;
  for (const [file, text, said] of forbidden) {
    it(`refuse in ${file}: ${text}`, () => {
      const [crossing] = crossings(file, text);
      assert.match(crossing ?? "nothing was said", said);
    });
  }

  it("may know what the table says", () => {
    assert.deepEqual(crossings("components/a.ts", 'import { planFor } from "../datapath/plan.ts";'), [undefined]);
    assert.deepEqual(crossings("datapath/a.ts", 'import { z } from "zod"; import { isCidr } from "./cidr.ts";'), [
      undefined,
      undefined,
    ]);
  });

  it("are drawn with the programs that components have the engine run", () => {
    const diagram = roomsDiagram(
      referencesOf(
        "components/a.ts",
        'import "../datapath/plan.ts"; asRoot("namespaces/check"); nodeAsRoot("verification/main.ts");',
      ),
    );
    for (const edge of [
      "components --> datapath",
      "components -. runs .-> scripts",
      "components -. runs .-> verification",
    ]) {
      assert.ok(diagram.includes(`  ${edge}\n`), diagram);
    }
  });
});
