import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { duration, secondsLeft, showProgress } from "../../cli/progress.ts";

function recorder(): { stream: Writable; text: () => string } {
  let text = "";
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  return { stream, text: () => text };
}

const lines = [
  "reading links and routes of 3 nodes",
  "24 checks: confirmed",
  "sample 1 of 4: pod to pod, 1 stream: 12.1 Gbit/s",
  "sample 2 of 4: node to node, 1 stream: 15.0 Gbit/s",
];

async function* said(clock: { milliseconds: number }): AsyncGenerator<string> {
  for (const line of lines) {
    yield await Promise.resolve(line);
    clock.milliseconds += 2500;
  }
}

/** What a terminal shows in the end: the erase sequences taken at their word. */
const erased = "\u001b[1G\u001b[2K";

describe("showProgress", () => {
  it("prints plain lines in a log, and nothing else", async () => {
    const { stream, text } = recorder();
    await showProgress(said({ milliseconds: 0 }), { stream, isTerminal: false, columns: 80 });
    assert.equal(text(), `${lines.join("\n")}\n`);
  });

  it("shows on a terminal what is done and how long the rest takes, and clears it in the end", async () => {
    const { stream, text } = recorder();
    const clock = { milliseconds: 0 };
    await showProgress(said(clock), {
      stream,
      isTerminal: true,
      columns: 80,
      planned: { samples: 4, durationSeconds: 2 },
      now: () => clock.milliseconds,
    });
    // Nothing is done: four samples at 2 s and what connecting takes.
    assert.ok(text().includes("░░░░ 0/4  about 9 s left"), text());
    // Two are done in 5 s, so two more take 5 s.
    assert.ok(text().includes("██████████░░░░░░░░░░ 2/4  about 5 s left"), text());
    assert.ok(text().endsWith(erased));
    const visible = text()
      .split("\n")
      .map((line) => line.slice(line.lastIndexOf(erased) + erased.length));
    assert.deepEqual(visible, [...lines, ""]);
  });

  it("never fills a terminal's line to its end", async () => {
    const { stream, text } = recorder();
    const planned = { samples: 4, durationSeconds: 2 };
    await showProgress(said({ milliseconds: 0 }), { stream, isTerminal: true, columns: 20, planned, now: () => 0 });
    const status = text().match(/[█░]+[^\u001b\n]*/g) ?? [];
    assert.ok(status.length > 0 && status.every((line) => line.length <= 19), status.join("\n"));
  });

  it("clears the line and passes on an error", async () => {
    const { stream, text } = recorder();
    async function* broken(): AsyncGenerator<string> {
      yield await Promise.resolve("sample 1 of 4: pod to pod");
      throw new Error("the engine is gone");
    }
    await assert.rejects(showProgress(broken(), { stream, isTerminal: true, columns: 80 }), /the engine is gone/);
    assert.ok(text().endsWith(erased));
  });
});

describe("secondsLeft", () => {
  it("goes by the plan at first, then by what samples really took", () => {
    const planned = { samples: 10, durationSeconds: 2 };
    assert.equal(secondsLeft(planned, 0, 0), 23);
    assert.equal(secondsLeft(planned, 4, 12), 18);
    assert.equal(secondsLeft(planned, 10, 30), 0);
  });
});

describe("duration", () => {
  it("reads as a person says it", () => {
    assert.deepEqual([0, 8.4, 59.6, 65, 605].map(duration), ["0 s", "8 s", "1:00", "1:05", "10:05"]);
  });
});
