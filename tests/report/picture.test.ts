import assert from "node:assert/strict";
import { create } from "xmlbuilder2";
import { pictures } from "../../report/picture.ts";
import { contradictedRun, madeRun } from "../made-runs.ts";

const vxlan = madeRun();
const native = madeRun({ mode: "native", seed: 3 });

describe("pictures", () => {
  const drawn = pictures([vxlan, native]);

  it("are the datapaths as found and their throughput, each a small file that stands alone", () => {
    assert.deepEqual(
      drawn.map(({ name }) => name),
      ["datapaths.svg", "throughput.svg"],
    );
    for (const { name, svg } of drawn) {
      // Throws where it is not well-formed: as an image a browser shows nothing then.
      assert.match(create(svg).root().toString(), /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/, name);
      assert.ok(svg.length < 60_000, `${name} has ${svg.length} bytes`);
      assert.match(svg, /prefers-color-scheme: dark/);
      assert.equal(/<script|<image|@import|url\(|\bhref=/.exec(svg), null, name);
    }
  });

  it("show every datapath and every sample", () => {
    const [datapaths = "", throughput = ""] = drawn.map(({ svg }) => svg);
    for (const words of ["VXLAN over UDP 8472", "Native routing", "TCP payload 1398", "TCP payload 1448"])
      assert.ok(datapaths.includes(words), words);
    assert.equal([...throughput.matchAll(/<circle/g)].length, 60);
  });

  it("leave out what a run does not have", () => {
    assert.deepEqual(
      pictures([contradictedRun()]).map(({ name }) => name),
      ["datapaths.svg"],
    );
  });
});
