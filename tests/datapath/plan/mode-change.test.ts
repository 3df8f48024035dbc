import assert from "node:assert/strict";
import { configuredMode, longestOutage, type ReplyLog } from "../../../datapath/plan/mode-change.ts";

/** Replies to pings of 200 ms apart, to those of these numbers, 1 ms after each was sent. */
function answered(sent: number, numbers: readonly number[]): ReplyLog {
  return { sent, replies: numbers.map((sequence) => ({ sequence, seconds: 100 + sequence * 0.2 + 0.001 })) };
}

const from = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe("The longest outage", () => {
  it("is none where every ping was answered, the last one aside, which was sent a moment ago", () => {
    assert.deepEqual(longestOutage(answered(20, from(1, 20)), 200), { milliseconds: 0, over: true });
    assert.deepEqual(longestOutage(answered(21, from(1, 20)), 200), { milliseconds: 0, over: true });
  });

  it("is none where replies were late but came", () => {
    const { replies, sent } = answered(3, [1, 2, 3]);
    const late = replies.map((reply) => (reply.sequence === 1 ? reply : { ...reply, seconds: reply.seconds + 3 }));
    assert.deepEqual(longestOutage({ replies: late, sent }, 200), { milliseconds: 0, over: true });
  });

  it("lasts from when the first missing reply was due to the next that came, the longest of several", () => {
    // 5 and 6 are missing, then 11 to 20.
    const log = answered(30, [...from(1, 4), ...from(7, 10), ...from(21, 30)]);
    assert.deepEqual(longestOutage(log, 200), { milliseconds: 2000, over: true });
  });

  it("is not over where the end has no replies, and began with the start where there are none before", () => {
    assert.deepEqual(longestOutage(answered(30, from(1, 10)), 200), { milliseconds: 4000, over: false });
    assert.deepEqual(longestOutage(answered(30, from(11, 30)), 200), { milliseconds: 2000, over: true });
    assert.deepEqual(longestOutage(answered(30, []), 200), { milliseconds: 6000, over: false });
  });
});

describe("The mode that a cilium-config sets", () => {
  it("is the tunnel, the chart's default without a word, or native with who carries the routes", () => {
    assert.deepEqual(
      [
        {},
        { tunnel: "geneve" },
        { tunnel: "disabled", "auto-direct-node-routes": "true" },
        { tunnel: "disabled", "auto-direct-node-routes": "false" },
      ].map(configuredMode),
      ["vxlan", "geneve", "native, direct routes", "native, routes by the network"],
    );
  });
});
