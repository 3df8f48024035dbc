import assert from "node:assert/strict";
import { checkLabConfig, type LabConfig } from "../../../datapath/config/index.ts";
import type { Finding } from "../../../datapath/findings.ts";
import { rules } from "../../../datapath/rules/index.ts";
import { findingsOf } from "../../../datapath/rules/rule.ts";
import { chartCases } from "./chart-cases.ts";
import { crashCases } from "./crash-cases.ts";
import { fallbackCases } from "./fallback-cases.ts";
import { hostCases } from "./host-cases.ts";
import { k3sCases } from "./k3s-cases.ts";
import { machineCases } from "./machine-cases.ts";
import { networkCases } from "./network-cases.ts";
import { routeCases } from "./route-cases.ts";
import { valueCases } from "./value-cases.ts";

const cases = [
  ...crashCases,
  ...fallbackCases,
  ...routeCases,
  ...networkCases,
  ...hostCases,
  ...k3sCases,
  ...valueCases,
  ...chartCases,
];

function found(raw: unknown, id: string): Finding[] {
  const { findings } = checkLabConfig(raw);
  assert.deepEqual(
    findings.filter((finding) => finding.id === "shape"),
    [],
    "the case is misspelt",
  );
  return findings.filter((finding) => finding.id === id);
}

describe("Each rule", () => {
  for (const { id, severity, bad, good, finds } of cases) {
    describe(id, () => {
      it(`fires on ${JSON.stringify(bad)}`, () => {
        assert.deepEqual(
          found(bad, id),
          finds.map((finding) => ({ id, severity, ...finding })),
        );
      });

      it(`not on ${JSON.stringify(good)}`, () => {
        assert.deepEqual(found(good, id), []);
      });
    });
  }

  for (const { id, bad, good, finds, badMachines, goodMachines } of machineCases) {
    it(`${id} fires where Cilium runs, and not in the embedded lab`, () => {
      const row = rules.find((candidate) => candidate.id === id);
      assert.ok(row);
      assert.deepEqual(findingsOf(row, onMachinesWithCilium(bad, badMachines)), finds);
      assert.deepEqual(findingsOf(row, onMachinesWithCilium(good, goodMachines)), []);
      assert.deepEqual(found(bad, id), []);
    });
  }

  it("has a case here, and a name that no other has", () => {
    const ids = rules.map(({ id }) => id);
    assert.deepEqual(
      [...new Set([...cases, ...machineCases].map(({ id }) => id))].sort(),
      [...ids].sort(),
      "rules without a case, cases without a rule, or two rules of one name",
    );
  });

  it("says when it fires, what happens, the way out and where that can be read up", () => {
    for (const { id, when, message, wayOut, source, key } of rules) {
      for (const text of [when, message, wayOut, source]) assert.ok(text.length > 5, id);
      assert.match(key, /^[a-z]/, id);
    }
  });
});

/** A config whose machines run Cilium, whatever else is in it. */
function onMachinesWithCilium(raw: unknown, rest: object = {}): LabConfig {
  const { shaped } = checkLabConfig(raw);
  assert.ok(shaped);
  return { ...shaped, machines: Object.assign(structuredClone(shaped.machines), { kind: "libvirt", ...rest }) };
}
