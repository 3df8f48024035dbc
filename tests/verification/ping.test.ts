import assert from "node:assert/strict";
import { pingNode, type CollectedNode } from "../../verification/collect.ts";
import type { CommandResult, Hosts } from "../../verification/hosts/host.ts";

function nodeAt(name: string, address: string): CollectedNode {
  return { name, address, podCidr: "10.42.0.0/24", pod: { address: "10.42.0.10" }, device: "eth0" };
}

/** Pods in which every ping ends as `answer` says; keeps the commands. */
function podsWith(answer: (command: readonly string[]) => Partial<CommandResult>): {
  readonly hosts: Hosts;
  readonly commands: (readonly string[])[];
} {
  const commands: (readonly string[])[] = [];
  const start = (): never => assert.fail("nothing is started");
  const host = {
    start,
    run: (command: readonly string[]) => {
      commands.push(command);
      return Promise.resolve({ exitCode: 0, stdout: Buffer.alloc(0), stderr: "", ...answer(command) });
    },
  };
  return { commands, hosts: { node: () => host, pod: () => host, secondPod: () => host } };
}

const [from, to] = [nodeAt("node-1", "192.0.2.1"), nodeAt("node-2", "192.0.2.2")];

function identifierOf(command: readonly string[]): string | undefined {
  const at = command.indexOf("-e");
  return at === -1 ? undefined : command[at + 1];
}

describe("a ping that shows masquerading", () => {
  it("has another identifier each time, so that the kernel takes it for no flow of before", async () => {
    const { hosts, commands } = podsWith(() => ({}));
    for (let round = 0; round < 8; round += 1) await pingNode(hosts, from, to);
    const identifiers = commands.map(identifierOf);
    assert.ok(identifiers.every((identifier) => Number(identifier) > 0 && Number(identifier) < 65_536));
    assert.ok(new Set(identifiers).size > 4, identifiers.join(" "));
  });

  for (const refusal of ["ping: invalid option -- 'e'\n", "ping: unrecognized option: e\n"]) {
    it(`is sent without one where ping says ${refusal.trim()}`, async () => {
      const { hosts, commands } = podsWith((command) =>
        identifierOf(command) === undefined ? {} : { exitCode: 2, stderr: refusal },
      );
      assert.equal(await pingNode(hosts, from, to), "");
      assert.deepEqual(commands.map(identifierOf).slice(1), [undefined]);
    });
  }

  it("tells what ping complained of", async () => {
    const { hosts } = podsWith(() => ({ exitCode: 2, stderr: "ping: connect: Network is unreachable\n" }));
    assert.equal(await pingNode(hosts, from, to), "ping: connect: Network is unreachable");
  });
});
