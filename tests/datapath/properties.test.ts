import assert from "node:assert/strict";
import fc from "fast-check";
import { checkLabConfig } from "../../datapath/config/index.ts";
import { helmValues } from "../../datapath/cilium/helm-values.ts";
import { crashRules } from "../../datapath/rules/crash.ts";
import { madeDatapath, likelyDatapath } from "./made-configs.ts";
import { outcomeOf } from "./oracle.ts";

const runs = { numRuns: 2000 };
const crashIds = new Set([...crashRules.map(({ id }) => id), "eni-without-ipv6"]);
const fallbackIds: Readonly<Record<string, string>> = {
  "bpf-masquerade-falls-back": "masquerade",
  "bpf-host-routing-falls-back": "hostRouting",
  "bandwidth-manager-off": "bandwidthManager",
  "big-tcp-off": "bigTCP",
};

/** Refused always, though without any device the agent would only turn BIG TCP off. */
const refusedAnyway = new Set(["big-tcp-without-tunnel", "big-tcp-without-ipsec"]);

describe("Whatever datapath is asked for", function () {
  this.timeout(180_000);

  it("the agent never ends on one that passed", () => {
    let passed = 0;
    fc.assert(
      fc.property(fc.oneof(madeDatapath, likelyDatapath), (datapath) => {
        const { config } = checkLabConfig({ datapath });
        if (config === undefined) return;
        passed++;
        assert.deepEqual(outcomeOf(helmValues(config.datapath)).ends, []);
      }),
      runs,
    );
    assert.ok(passed > runs.numRuns / 10, `only ${passed} of ${runs.numRuns} passed: the property says little`);
  });

  it("a crash is said of it exactly when the agent would end", () => {
    fc.assert(
      fc.property(fc.oneof(madeDatapath, likelyDatapath), (datapath) => {
        const { shaped, findings } = checkLabConfig({ datapath });
        assert.ok(shaped, JSON.stringify(findings));
        const said = findings.filter(({ id }) => crashIds.has(id) && !refusedAnyway.has(id));
        const ends = outcomeOf(helmValues(shaped.datapath)).ends.filter(
          (words) => !/BIG TCP.*(tunnel|encryption)/.test(words),
        );
        assert.equal(said.length, ends.length, JSON.stringify({ said, ends }, undefined, 1));
        for (const words of ends) {
          assert.ok(
            said.some(({ message }) => message.includes(words)),
            `nobody said: ${words}`,
          );
        }
      }),
      runs,
    );
  });

  it("a fallback is said of it exactly when the agent would do something else", () => {
    fc.assert(
      fc.property(fc.oneof(madeDatapath, likelyDatapath), (datapath) => {
        const { shaped, findings } = checkLabConfig({ datapath });
        assert.ok(shaped);
        assert.deepEqual(
          findings.flatMap(({ id }) => fallbackIds[id] ?? []).sort(),
          [...outcomeOf(helmValues(shaped.datapath)).fallsBack].sort(),
        );
      }),
      runs,
    );
  });

  it("strict lets nothing through that would do something else", () => {
    fc.assert(
      fc.property(likelyDatapath, (datapath) => {
        const { config } = checkLabConfig({ datapath, strict: true });
        if (config !== undefined) assert.deepEqual(outcomeOf(helmValues(config.datapath)), { ends: [], fallsBack: [] });
      }),
      { numRuns: 500 },
    );
  });
});
