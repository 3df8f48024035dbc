import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const script = readFileSync(path.resolve(import.meta.dirname, "../../scripts/machine/wait-for-cloud-init"), "utf8");

describe("The wait for cloud-init", function () {
  this.timeout("30s");
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-cloud-init-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs it as it is sent, on standard input, where seconds are short. */
  function wait(cloudInit: string): { status: number | null; said: string } {
    for (const [name, text] of Object.entries({
      "cloud-init": cloudInit,
      sleep: "exec /bin/sleep 0.01",
      // As sudo does that has a terminal of its own for what it runs.
      sudo: "cat >/dev/null; echo 'Setting up iperf3'",
    })) {
      writeFileSync(path.join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
    const env = { PATH: `${folder}${path.delimiter}${process.env["PATH"] ?? ""}`, LAB_LIMIT_SECONDS: "20" };
    const { status, stderr } = spawnSync("sh", ["-s"], { input: script, env, encoding: "utf8" });
    return { status, said: stderr };
  }

  it("says how far it is, and ends with it", () => {
    const { status, said } = wait("/bin/sleep 1; echo 'status: done'");
    assert.equal(status, 0, said);
    assert.match(said, /^cloud-init is at work, 15 of 20 s: Setting up iperf3\n/);
  });

  it("fails with what it says of itself, and the end of its log", () => {
    const { status, said } = wait("echo 'status: error'; exit 1");
    assert.equal(status, 1);
    assert.match(said, /cloud-init failed:\n {2}\| status: error\nThe end of .*:\n {2}\| Setting up iperf3\n$/);
    assert.match(wait("echo 'status: degraded'; exit 2").said, /met errors that it overcame: status: degraded/);
  });
});
