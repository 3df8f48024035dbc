import assert from "node:assert/strict";
import { repeatCommands } from "../../report/repeat.ts";
import { madeRun } from "../made-runs.ts";

const vxlan = madeRun();
const native = madeRun({ mode: "native" });

describe("how to repeat", () => {
  it("a comparison: with as many rounds", () => {
    assert.deepEqual(repeatCommands([vxlan, native, vxlan, native, vxlan, native]), [
      "npm run lab -- compare --stack local --datapaths vxlan,native --rounds 3",
    ]);
  });

  it("a single run: what up does not measure anew is said", () => {
    assert.deepEqual(repeatCommands([vxlan]), [
      "# What stands unchanged is not measured anew: first change verification.occasion in Pulumi.local.yaml.",
      "npm run lab -- up --stack local --datapath vxlan",
    ]);
  });

  it("a run outside of any stack: by verify", () => {
    const verified = { ...native, lab: { ...native.lab, stack: "verify" } };
    assert.deepEqual(repeatCommands([verified]), ["npm run lab -- verify --kubeconfig FILE --datapath native"]);
  });

  it("quotes what a shell would read otherwise", () => {
    const odd = { ...vxlan, lab: { ...vxlan.lab, stack: "a b" } };
    assert.equal(repeatCommands([odd])[1], "npm run lab -- up --stack 'a b' --datapath vxlan");
  });
});
