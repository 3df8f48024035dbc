import assert from "node:assert/strict";
import { takeTurns, turns, type SwitchedLab } from "../../cli/compare.ts";
import type { Run } from "../../datapath/run/run.ts";

/** A lab that keeps a diary. */
function lab(diary: string[], fails: (datapath: string) => boolean = () => false): SwitchedLab {
  return {
    measure: (datapath) => {
      diary.push(datapath);
      if (fails(datapath)) return Promise.reject(new Error(`${datapath} is contradicted`));
      return Promise.resolve({ id: datapath } as Run);
    },
    restore: () => {
      diary.push("restored");
      return Promise.resolve();
    },
  };
}

const log = (): void => undefined;

describe("the turns of a comparison", () => {
  it("alternate their order from round to round", () => {
    assert.deepEqual(
      turns(["vxlan", "geneve", "native"], 2).map(({ datapath }) => datapath),
      ["vxlan", "geneve", "native", "native", "geneve", "vxlan"],
    );
  });

  it("leave the lab as it was", async () => {
    const diary: string[] = [];
    const { signal } = new AbortController();
    await takeTurns(lab(diary), { datapaths: ["vxlan", "native"], rounds: 1, signal, log });
    assert.deepEqual(diary, ["vxlan", "native", "restored"]);
  });

  it("go on after a failure, which is kept", async () => {
    const diary: string[] = [];
    const { signal } = new AbortController();
    const options = { datapaths: ["vxlan", "native"], rounds: 1, signal, log };
    const { taken } = await takeTurns(
      lab(diary, (datapath) => datapath === "vxlan"),
      options,
    );
    assert.deepEqual(taken, [
      { datapath: "vxlan", round: 1, failure: "vxlan is contradicted" },
      { datapath: "native", round: 1, run: { id: "native" } },
    ]);
  });

  it("stop at an interruption, with what they have, and the lab as it was", async () => {
    const diary: string[] = [];
    const said: string[] = [];
    const interruption = new AbortController();
    const interrupted: SwitchedLab = {
      ...lab(diary),
      measure: (datapath) => {
        interruption.abort();
        return Promise.resolve({ id: datapath } as Run);
      },
    };
    const options = { datapaths: ["vxlan", "native"], rounds: 2, signal: interruption.signal };
    const { taken } = await takeTurns(interrupted, { ...options, log: (line) => said.push(line) });
    assert.equal(taken.length, 1);
    assert.ok(said.includes("Interrupted: 3 of 4 turns were not taken."));
    assert.deepEqual(diary, ["restored"]);
  });

  it("keep what was measured where the lab can't be brought back", async () => {
    const said: string[] = [];
    const stuck: SwitchedLab = { ...lab([]), restore: () => Promise.reject(new Error("up failed")) };
    const options = { datapaths: ["vxlan", "native"], rounds: 1, signal: new AbortController().signal };
    const { taken, restored } = await takeTurns(stuck, { ...options, log: (line) => said.push(line) });
    assert.equal(taken.length, 2);
    assert.equal(restored, false);
    assert.equal(said.at(-1), "The lab could not be left as it was: up failed");
  });
});
