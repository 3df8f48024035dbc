import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import path from "node:path";
import { text } from "node:stream/consumers";

const program = path.resolve(import.meta.dirname, "..", "..", "verification", "preflight", "main.ts");

/** A port on loopback on which nobody listens: one that was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

async function run(job: readonly string[], port: number): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", program, ...job], { stdio: ["pipe", "ignore", "pipe"] });
  const connection = { host: "127.0.0.1", port, user: "nobody" };
  child.stdin.end(
    JSON.stringify({
      lab: "datapath-lab/hosts",
      machines: [{ name: "gone", address: "127.0.0.1", connection }],
      datapath: { mode: "native" },
      strict: false,
      floors: {},
    }),
  );
  const [said, status] = await Promise.all([
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  return { status, said };
}

describe("The preflight, of a machine that is gone,", () => {
  it("fails with what to look at", async () => {
    const port = await closedPort();
    const { status, said } = await run([], port);
    assert.equal(status, 1);
    assert.match(said, new RegExp(`gone: nobody@127\\.0\\.0\\.1:${port} can't be reached: .*ECONNREFUSED`));
    assert.match(said, /Check address, port, user, key and host key, and that ssh reaches it from here\./);
    assert.match(said, /1 error on the machines; nothing was installed on them\./);
  });

  it("keeps nothing from being destroyed, and says that its mark stays", async () => {
    const { status, said } = await run(["release"], await closedPort());
    assert.equal(status, 0);
    assert.match(said, /gone: .* can't be reached: .*\nIts mark stays: .*\/etc\/datapath-lab/);
    assert.doesNotMatch(said, /\n {4}at /);
  });
});
