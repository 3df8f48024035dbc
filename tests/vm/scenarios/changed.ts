import assert from "node:assert/strict";
import { existsSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { SshServer } from "../../engine/ssh-server.ts";
import { failureOf, project, type VmLab } from "../vm-lab.ts";
import { actions, older, releaseFolder } from "./k3s.ts";

/**
 * A disk whose boot sector writes a line to the serial port and halts.
 *   xor ax,ax; mov ds,ax; cld; mov dx,0x3f8; mov si,0x7c16; lodsb; test al,al; jz +3; out dx,al; jmp -8; hlt; jmp -3
 */
function silentDisk(file: string, line: string): void {
  const code = Buffer.from("31c08ed8fcbaf803be167cac84c07403eeebf8f4ebfd", "hex");
  const sector = Buffer.concat([code, Buffer.from(`${line}\r\n\0`)]);
  writeFileSync(file, Buffer.concat([sector, Buffer.alloc(510 - sector.length), Buffer.from([0x55, 0xaa])]));
  truncateSync(file, 1024 * 1024);
}

/** The machines with K3s on them as one program, as stack `dev` has them: they are made anew, changed and removed. */
export function machinesChange(lab: VmLab): void {
  it("become a cluster of three servers in the same program, from files, without a download", async () => {
    const images = lab.file("k3s-airgap-images-amd64.tar.zst");
    writeFileSync(images, "images\n");
    const binary = path.join(releaseFolder(lab, "good", older), "k3s");
    const source = { kind: "files", binary, images };
    lab.stack.configure({ machines: lab.made(), k3s: { servers: 3, source, startLimitSeconds: 400 } });
    const { changes } = await lab.up(lab.stack);
    assert.deepEqual([changes["replace"], changes["update"]], [undefined, undefined]);
    assert.deepEqual(
      await actions(lab),
      lab.machines.map(({ name }) => `start ${name} ${older}`),
    );
    assert.deepEqual(
      await lab.onAll("cat /var/lib/rancher/k3s/agent/images/k3s-airgap-images.tar.zst; systemctl is-active k3s"),
      lab.machines.map(() => "images\nactive"),
    );
  });

  it("are rebuilt where they were destroyed by hand, and they alone; with more memory the others restart; the cluster takes them up", async () => {
    const read =
      "cat /proc/sys/kernel/random/boot_id /var/lib/cloud/data/instance-id; awk '/MemTotal/ {print $2}' /proc/meminfo";
    const before = (await lab.onAll(read)).map((text) => text.split("\n"));
    await lab.libvirt.virsh("destroy", `${project}-one-node-3`);
    await lab.libvirt.virsh("undefine", `${project}-one-node-3`);
    // Disk, seed and domain; and the two files that are copied to it.
    assert.equal((await lab.stack.preview())["replace"], 5);
    lab.stack.configure({ ...lab.stack.config, machines: lab.made({ memoryMebibytes: 640 }) });
    const result = await lab.up(lab.stack);
    assert.equal(result.changes["replace"], 5);
    lab.take(result);
    const after = (await lab.onAll(read)).map((text) => text.split("\n"));
    for (const [, , kibibytes] of after) assert.ok(Number(kibibytes) > 560 * 1024, `${kibibytes ?? ""} KiB`);
    assert.deepEqual(
      after.map(([, instance], index) => instance === before[index]?.[1]),
      [true, true, false],
    );
    assert.ok(after.every(([boot], index) => boot !== before[index]?.[0]));
    const seen = await actions(lab);
    assert.ok(seen.includes("delete node node-3") && seen.includes(`start node-3 ${older}`), seen.join("\n"));
    assert.deepEqual(
      await lab.onAll("systemctl is-active k3s"),
      lab.machines.map(() => "active"),
    );
    assert.deepEqual(Object.keys(await lab.stack.preview()), ["same"]);
  });

  it("that never answer end the update with their serial log, also on a libvirt and by a jump host that SSH leads to", async () => {
    const server = await SshServer.start(lab.libvirt.inHost);
    const disk = lab.file("silent.img");
    silentDisk(disk, "this guest never answers");
    try {
      // virsh asks ssh, which is told here what a person's own config would.
      const key = lab.file("libvirt-host.key");
      const known = lab.file("libvirt-host.known");
      const ssh = lab.file("libvirt-host.ssh");
      writeFileSync(key, server.privateKey, { mode: 0o600 });
      writeFileSync(known, `[127.0.0.1]:${server.port} ${server.hostKey}\n`);
      const told = `-i '${key}' -o UserKnownHostsFile='${known}' -o StrictHostKeyChecking=yes -o BatchMode=yes`;
      writeFileSync(ssh, `#!/bin/sh\nexec ssh ${told} "$@"\n`, { mode: 0o755 });
      const jump = {
        address: "127.0.0.1",
        port: server.port,
        user: server.user,
        privateKeyFile: key,
        hostKey: server.hostKey,
      };
      const silent = { count: 2, image: { path: disk, format: "raw" }, bootLimitSeconds: 12 };
      const [remote, probing] = await Promise.all([lab.openStack("silent"), lab.openStack("probing")]);
      remote.configure({
        machines: lab.made({
          ...silent,
          uri: `qemu+ssh://${server.user}@127.0.0.1:${server.port}/system?command=${ssh}`,
          jump,
          network: "192.168.124.0/24",
        }),
      });
      probing.configure({ machines: lab.made({ ...silent, network: "192.168.125.0/24", accelerator: "auto" }) });
      const [atRemote, atHome] = await Promise.all([failureOf(remote.up()), failureOf(probing.up())]);
      for (const message of [atRemote, atHome]) {
        assert.match(message, /node-1 did not answer on SSH in 12 s \(machines\.bootLimitSeconds\)/);
        assert.match(message, /The end of its serial log[^]*\| this guest never answers/);
      }
      // Which of the two it is depends on the machine that the tests run on; that it is said, and so, does not.
      const said = /Guests run (on KVM|by software emulation)/.exec(atHome)?.[1];
      const definition = await lab.libvirt.virsh("dumpxml", `${project}-probing-node-1`);
      assert.ok(said !== undefined, "the choice was not said");
      assert.equal(/<domain type='(\w+)'/.exec(definition)?.[1], said === "on KVM" ? "kvm" : "qemu");
      await Promise.all([remote.destroy(), probing.destroy()]);
    } finally {
      server.stop();
    }
  });

  it("are gone without a trace after destroy", async () => {
    await lab.stack.destroy();
    const names = async (...words: string[]): Promise<string> => (await lab.libvirt.virsh(...words)).trim();
    assert.deepEqual(
      [
        await names("list", "--all", "--name"),
        await names("net-list", "--all", "--name"),
        await names("pool-list", "--all", "--name"),
      ],
      ["", "", ""],
    );
    const images = lab.file("images");
    assert.deepEqual(existsSync(images) ? readdirSync(images) : [], []);
    assert.doesNotMatch(await lab.libvirt.run("ip", "-o", "link"), /lab-|vnet/);
  });
}
