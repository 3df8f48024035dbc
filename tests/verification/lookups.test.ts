import assert from "node:assert/strict";
import { lookUpRoutes, type CollectedNode } from "../../verification/collect.ts";
import type { CommandResult, Host } from "../../verification/hosts/host.ts";

const peers = [1, 2].map((number): CollectedNode => ({
  name: `node-${number}`,
  address: `172.30.0.${number}`,
  podCidr: `10.42.${number}.0/24`,
  pod: { address: `10.42.${number}.10` },
  device: "eth0",
}));

function answering(result: Partial<CommandResult>): Host {
  return {
    run: () => Promise.resolve({ exitCode: 1, stdout: Buffer.alloc(0), stderr: "", ...result }),
    start: () => assert.fail("nothing is started"),
  };
}

describe("looking up the routes to peers' pods", () => {
  const answer = Buffer.from('[{"dst":"10.42.1.10","gateway":"172.30.0.1","dev":"eth0","flags":[],"cache":[]}]\n');

  it("has no answer for a pod that the kernel knows no route to", async () => {
    // As iproute2 6.1 says it, which goes on to the next line.
    const stderr = "RTNETLINK answers: Network is unreachable\nCommand failed -:2\n";
    const found = await lookUpRoutes(answering({ stdout: answer, stderr }), peers);
    assert.deepEqual(Object.keys(found), ["10.42.1.10"]);
  });

  it("fails where the kernel was not asked about every pod", async () => {
    await assert.rejects(
      lookUpRoutes(answering({ stdout: answer, stderr: "Killed" }), peers),
      new Error("ip route get: 1 of 2 answers: Killed"),
    );
  });
});
