import assert from "node:assert/strict";
import { stands } from "../../cli/workspace.ts";

const stack = { type: "pulumi:pulumi:Stack" };
const component = { type: "datapath-lab:index:DatapathLab" };
const provider = { custom: true, type: "pulumi:providers:command" };
const namespace = { custom: true, type: "command:local:Command" };

describe("stands", () => {
  const cases: readonly [what: string, deployment: object, expected: boolean][] = [
    ["a stack that was never brought up", {}, false],
    ["a destroyed one", { resources: [] }, false],
    ["an up that ended before it made anything", { resources: [stack, component, provider] }, false],
    ["a first up that failed after it made machines", { resources: [stack, component, provider, namespace] }, true],
  ];
  for (const [what, deployment, expected] of cases) {
    it(`is ${expected} for ${what}`, async () => {
      assert.equal(await stands({ exportStack: () => Promise.resolve({ version: 3, deployment }) }), expected);
    });
  }
});
