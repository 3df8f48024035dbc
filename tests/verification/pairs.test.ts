import assert from "node:assert/strict";
import { probedPairs } from "../../verification/collect.ts";
import { inParallel } from "../../verification/in-parallel.ts";

describe("which paths are probed", () => {
  it("all of them up to eight nodes", () => {
    for (const count of [2, 3, 8]) {
      const pairs = probedPairs(Array.from({ length: count }, (_, index) => index));
      assert.equal(new Set(pairs.map(String)).size, count * (count - 1));
    }
  });

  it("beyond that two a node, so that every node sends and receives twice", () => {
    for (const count of [9, 64]) {
      const pairs = probedPairs(Array.from({ length: count }, (_, index) => index));
      assert.equal(pairs.length, 2 * count);
      for (let node = 0; node < count; node += 1) {
        assert.equal(pairs.filter(([from]) => from === node).length, 2);
        assert.equal(pairs.filter(([, to]) => to === node).length, 2);
      }
    }
  });
});

describe("work in parallel", () => {
  it("keeps the order of the items and the limit", async () => {
    let running = 0;
    let most = 0;
    const results = await inParallel([30, 1, 20, 1, 10], 2, async (milliseconds) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      running -= 1;
      return milliseconds;
    });
    assert.deepEqual(results, [30, 1, 20, 1, 10]);
    assert.equal(most, 2);
  });
});
