import assert from "node:assert/strict";
import { Writable } from "node:stream";
import type { EngineEvent, ResourcePreEvent } from "@pulumi/pulumi/automation/index.js";
import { duration, LiveView, secondsLeft } from "../../cli/progress.ts";

const erased = "\u001b[1G\u001b[2K";
const urn = (name: string, type = "command:local:Command"): string =>
  `urn:pulumi:local::datapath-lab::${type}::${name}`;

function step(
  kind: "resourcePreEvent" | "resOutputsEvent",
  name: string,
  { op = "create", custom = true } = {},
): EngineEvent {
  const state = { custom, urn: urn(name), type: "", id: "", parent: "", inputs: {}, outputs: {}, provider: "" };
  const metadata = { op, urn: urn(name), type: "", provider: "", new: state } as ResourcePreEvent["metadata"];
  return { sequence: 0, timestamp: 0, [kind]: { metadata } };
}

function provider(name: string): EngineEvent {
  const event = step("resourcePreEvent", name);
  const { resourcePreEvent } = event;
  assert.ok(resourcePreEvent);
  const metadata = { ...resourcePreEvent.metadata, urn: urn(name, "pulumi:providers:command") };
  return { ...event, resourcePreEvent: { ...resourcePreEvent, metadata } };
}

type Severity = NonNullable<EngineEvent["diagnosticEvent"]>["severity"];

function said(message: string, severity: Severity = "info"): EngineEvent {
  const ephemeral = severity === "info";
  return {
    sequence: 0,
    timestamp: 0,
    diagnosticEvent: { urn: urn("verification-run"), message, severity, color: "", ephemeral },
  };
}

/** A live view and what its terminal shows: lines that stay, and the one that is written anew. */
function terminal(columns = 80): {
  view: LiveView;
  clock: { milliseconds: number };
  live: () => string;
  kept: () => string[];
} {
  let text = "";
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  const clock = { milliseconds: 0 };
  const planned = { samples: 4, durationSeconds: 2 };
  const view = new LiveView({ stream, columns: () => columns, planned, now: () => clock.milliseconds });
  const lines = (): string[] => text.split("\n").map((line) => line.slice(line.lastIndexOf(erased) + erased.length));
  return { view, clock, live: () => lines().at(-1) ?? "", kept: () => lines().slice(0, -1) };
}

describe("the live view", () => {
  it("names what is being made, how much is done and how long measuring will take", () => {
    const { view, clock, live } = terminal();
    assert.match(live(), /^\S planning {2}0 s {2}then about 8 s of measuring$/);
    view.event(step("resourcePreEvent", "embedded", { custom: false }));
    view.event(step("resourcePreEvent", "machine-check", { op: "same" }));
    view.event(provider("default_1_2_1"));
    for (const name of ["node-1", "node-2", "node-3", "network"]) view.event(step("resourcePreEvent", name));
    clock.milliseconds = 3000;
    view.event(step("resOutputsEvent", "network"));
    assert.match(live(), /^\S {2}node-1, node-2 and 1 more {2}1 done {2}3 s {2}then about 8 s of measuring$/);
    view.end();
  });

  it("keeps the verification's steps, and shows how many samples are left for how long", () => {
    const { view, clock, live, kept } = terminal();
    view.event(step("resourcePreEvent", "verification-run"));
    view.event(said("[  0.0 s] 39 checks: confirmed"));
    view.event(said("[  0.1 s] measuring: 4 samples of 2 s"));
    assert.equal(live(), "░░░░░░░░░░░░░░░░░░░░ 0/4  about 8 s left");
    clock.milliseconds = 2500;
    view.event(said("[  2.6 s] sample 1 of 4: pod to pod, 1 stream: 12.10 Gbit/s"));
    clock.milliseconds = 5000;
    view.event(said("[  5.1 s] sample 2 of 4: node to node, 1 stream: failed: iperf3: unable to connect"));
    // Two took 5 s, so the other two will; one second of it is over.
    clock.milliseconds = 6000;
    view.event(step("resourcePreEvent", "another"));
    assert.match(live(), /^██████████░░░░░░░░░░ 2\/4 {2}about 4 s left {2}node to node, 1 stream: failed/);
    assert.deepEqual(kept(), [
      "  39 checks: confirmed",
      "  measuring: 4 samples of 2 s",
      "  sample 2 of 4: node to node, 1 stream: failed: iperf3: unable to connect",
    ]);
    for (const name of ["verification-run", "another"]) view.event(step("resOutputsEvent", name));
    assert.match(live(), /^\S {2}writing down what was made {2}2 done {2}6 s$/);
    view.end();
  });

  it("shows the same of a program that no engine runs", () => {
    const { view, clock, live, kept } = terminal();
    view.begin("verification");
    assert.match(live(), /^\S {2}verification {2}0 s {2}then about 8 s of measuring$/);
    view.progress("reading links and routes of 3 nodes");
    view.progress("measuring: 4 samples of 2 s");
    clock.milliseconds = 2000;
    view.progress("sample 1 of 4: pod to pod, 1 stream: 12.10 Gbit/s");
    assert.equal(live(), "█████░░░░░░░░░░░░░░░ 1/4  about 6 s left  pod to pod, 1 stream: 12.10 Gbit/s");
    assert.deepEqual(kept(), ["  reading links and routes of 3 nodes", "  measuring: 4 samples of 2 s"]);
    view.end();
  });

  it("keeps warnings and errors, each once, without the engine's colours and its debugging", () => {
    const { view, kept } = terminal();
    assert.equal(view.hasShownError, false);
    view.event(said("<{%reset%}>no Hubble<{%reset%}>\n", "warning"));
    const printed = "[  0.0 s] reading links\n[  2.1 s] 39 checks: contradicted\nCONTRADICTED: 2 of 39 checks";
    view.event(said(printed, "error"));
    view.event(said(printed, "error"));
    view.event(said("Registering resource", "debug" as Severity));
    assert.equal(view.hasShownError, true);
    assert.deepEqual(kept(), [
      "warning (verification-run): no Hubble",
      "error (verification-run): CONTRADICTED: 2 of 39 checks",
    ]);
    view.end();
  });

  it("shows what another command says while it runs, and does not keep it", () => {
    const { view, live, kept } = terminal();
    view.event(step("resourcePreEvent", "node-1"));
    view.event(said("Get:1 iperf3 3.12"));
    assert.match(live(), /node-1 {2}Get:1 iperf3 3\.12 /);
    view.event(step("resOutputsEvent", "node-1"));
    assert.doesNotMatch(live(), /Get:1/);
    assert.deepEqual(kept(), []);
    view.end();
  });

  it("never fills a terminal's line to its end, and leaves nothing of the live line behind", () => {
    const { view, live } = terminal(20);
    view.event(step("resourcePreEvent", "a-node-of-a-very-long-name"));
    assert.equal(live().length, 19);
    view.end();
    assert.equal(live(), "");
  });
});

describe("secondsLeft", () => {
  it("goes by the plan at first, then by what samples really took", () => {
    const planned = { samples: 10, durationSeconds: 2 };
    assert.equal(secondsLeft(planned, 0, 0), 21);
    assert.equal(secondsLeft(planned, 4, 12), 18);
    assert.equal(secondsLeft(planned, 10, 30), 0);
  });
});

describe("duration", () => {
  it("reads as a person says it", () => {
    assert.deepEqual([0, 8.4, 59.6, 65, 605].map(duration), ["0 s", "8 s", "1:00", "1:05", "10:05"]);
  });
});
