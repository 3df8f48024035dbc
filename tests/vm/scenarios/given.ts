import assert from "node:assert/strict";
import { z } from "zod";
import { nicDriver, offloads } from "../../../verification/conditions.ts";
import type { Host } from "../../../verification/hosts/host.ts";
import type { NetworkedStack } from "../harness.ts";
import { failureOf, type Section, type VmLab } from "../vm-lab.ts";

/** The same machines by kind hosts: they exist, and nothing is known of who made them. */
export function machinesAreGiven(lab: VmLab): void {
  let stack: NetworkedStack;
  before(async () => {
    stack = await lab.openStack("given");
  });

  it("are refused with what is wrong on all of them at once", async () => {
    const [first, second, third] = lab.machines;
    assert.ok(first && second && third);
    // One peer behind another, and one behind nothing.
    await lab.on(
      "node-3",
      `ip route add ${first.address}/32 via ${second.address}; ip route add unreachable 192.168.123.99/32`,
    );
    const wrong: Section[] = [
      { ...lab.given(first), hostKey: second.connection.hostKey },
      { ...lab.given(second), user: "nobody-here" },
      lab.given(third),
      // Its way there is another than the one it is pinned to.
      {
        ...lab.given(second, { ...first, connection: { ...first.connection, hostKey: third.connection.hostKey } }),
        name: "behind",
        nodeAddress: "192.168.123.98",
      },
      { ...lab.given(third), name: "absent", address: "192.168.123.99", hostKey: undefined },
    ];
    stack.configure({ machines: { kind: "hosts", hosts: wrong, minimumMemoryMebibytes: 100_000 } });
    const message = await failureOf(stack.up());
    await lab.on("node-3", `ip route del ${first.address}/32; ip route del unreachable 192.168.123.99/32`);
    for (const finding of [
      /node-1: lab@192\.168\.123\.11:22 answers with another host key than the one it is pinned to/,
      /node-2: nobody-here@192\.168\.123\.12:22 does not let this key or user log in/,
      /node-3: \d+ MiB of memory are available, 100000 MiB are needed/,
      /node-3: \/var\/lib has \d\.\d GiB free, 5 GiB are needed/,
      /node-3: it reaches 192\.168\.123\.11 by way of 192\.168\.123\.12: direct routes need all nodes on one L2 network/,
      /node-3: its kernel has no route to 192\.168\.123\.99, another machine of this lab/,
      /behind: .*lab@192\.168\.123\.11:22 answers with another host key than the one it is pinned to/,
      /absent: lab@192\.168\.123\.99:22 can't be reached/,
      /Any host key is taken from absent/,
      /8 errors on the machines; nothing was installed on them/,
    ]) {
      assert.match(message, finding);
    }
  });

  it("are taken as they are, also through a jump host with both host keys pinned", async () => {
    const [first, second, third] = lab.machines;
    assert.ok(first && second && third);
    const hosts = [lab.given(first), lab.given(second), lab.given(third, first)];
    stack.configure({ machines: { kind: "hosts", hosts, minimumMemoryMebibytes: 100, minimumDiskGibibytes: 1 } });
    const { outputs } = await lab.up(stack);
    const facts = z
      .array(z.object({ name: z.string(), isRoot: z.boolean(), nic: z.object({ driver: z.string() }) }))
      .parse(outputs["facts"]);
    assert.deepEqual(
      facts.map(({ name, isRoot, nic }) => [name, isRoot, nic.driver]),
      lab.machines.map(({ name }) => [name, true, "virtio_net"]),
    );
    // What a run keeps of a NIC, asked of a virtual one.
    const node = nodeOf(lab, "node-1");
    assert.equal(await nicDriver(node, "eth0"), "virtio_net");
    assert.match((await offloads(node, "eth0"))["tcp-segmentation-offload"] ?? "", /^on/);
    assert.deepEqual(Object.keys(await stack.preview()), ["same"]);
    await stack.destroy();
  });

  it("are looked at by doctor as the stacks would have them", async () => {
    const here = await lab.doctor({ machines: lab.made() });
    assert.match(here, new RegExp(`ok +libvirt +${escaped(lab.libvirt.uri)} answers`));
    assert.match(here, /warn +KVM +not asked for/);
    assert.match(here, /(ok|warn) +disk +\d+ GiB free at \/.*; 3 disks may grow to 12 GiB/);
    // The lab's own bridge, whose name begins so, has the first address.
    assert.match(here, /ok +addresses +192\.168\.123\.0\/24 is free/);
    assert.match(here, new RegExp(`ok +image +${escaped(lab.image)}`));
    const silent = await lab.doctor({
      machines: lab.made({ uri: "qemu+unix:///system?socket=/nowhere/libvirt-sock" }),
    });
    assert.match(silent, /FAIL +libvirt +qemu\+unix:.*No such file or directory\n +Start libvirt/);
    const [first, second] = lab.machines;
    assert.ok(first && second);
    const hosts = [
      lab.given(first),
      lab.given(second, first),
      { ...lab.given(second), name: "absent", address: "192.168.123.99", privateKeyFile: "/no/key" },
    ];
    const told = await lab.doctor({ machines: { kind: "hosts", hosts } });
    assert.match(told, /ok +SSH of node-1 +192\.168\.123\.11:22 answers/);
    assert.match(told, /ok +SSH of node-2, by its jump host +192\.168\.123\.11:22 answers/);
    assert.match(told, /FAIL +SSH of absent +192\.168\.123\.99:22: .*\n +Check address and port under machines\.hosts/);
    assert.match(told, /FAIL +private key +there is no \/no\/key/);
  });
}

/** A node as a verification sees it, where commands are run by ssh. */
function nodeOf(lab: VmLab, name: string): Host {
  return {
    run: async (command) => ({ exitCode: 0, stdout: Buffer.from(await lab.on(name, command.join(" "))), stderr: "" }),
    start: () => assert.fail("nothing here runs until it is stopped"),
  };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
