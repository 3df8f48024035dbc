import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execFileSync } from "node:child_process";
import { parse } from "yaml";
import { z } from "zod";
import { ensurePackages } from "../../offline/packages.ts";
import { libvirtMachines } from "../../datapath/config/libvirt.ts";
import { networkConfig, userData } from "../../datapath/libvirt/cloud-init.ts";
import { libvirtLab } from "../../datapath/libvirt/lab.ts";
import { diskVolumeXml, domainXml, networkXml, poolXml, probeDomainXml } from "../../datapath/libvirt/xml.ts";
import {
  imageTools,
  libvirtTools,
  NetworkedStack,
  startLibvirt,
  testCloudImage,
  type PrivateLibvirt,
} from "./harness.ts";

const project = "lab-vm-test";
const program = path.join(import.meta.dirname, "program");
const log = (line: string): void => void process.stderr.write(`      ${line}\n`);
const sample = { vcpus: 1, memoryMebibytes: 512, diskGibibytes: 4, accelerator: "qemu", packages: [], aptMirror: null };

const connections = z.array(
  z.object({
    name: z.string(),
    address: z.string(),
    connection: z.object({ user: z.string(), privateKey: z.string(), hostKey: z.string() }),
  }),
);
type Connected = z.infer<typeof connections>[number];

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

async function failureOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : String(error);
}

/** Ends the CLI that this process started last, as a crash would. */
function killEngine(): void {
  for (const child of execFileSync("ps", ["--ppid", `${process.pid}`, "-o", "pid=,args="], { encoding: "utf8" }).split(
    "\n",
  )) {
    const [, processId, words = ""] = /^\s*(\d+) (.*)$/.exec(child) ?? [];
    if (processId !== undefined && / up /.test(words)) process.kill(Number(processId), "SIGKILL");
  }
}

describe("Machines of kind libvirt", function () {
  this.timeout("15m");
  // Each scenario goes on with the machines of the one before.
  this.bail(true);
  let libvirt: PrivateLibvirt;
  let stack: NetworkedStack;
  let image: string;
  let machines: readonly Connected[] = [];
  const base = (): Record<string, unknown> => ({
    kind: "libvirt",
    uri: libvirt.uri,
    folder: path.join(libvirt.folder, "images"),
    image: { path: image },
    ...sample,
  });

  /** Runs a command on a machine by ssh, which takes no host key but the pinned one. */
  async function on(machine: Connected | undefined, command: string): Promise<string> {
    assert.ok(machine);
    const { name, address, connection } = machine;
    const key = path.join(libvirt.folder, `${name}.key`);
    const known = path.join(libvirt.folder, `${name}.known`);
    writeFileSync(key, connection.privateKey, { mode: 0o600 });
    writeFileSync(known, `${address} ${connection.hostKey}\n`);
    const options = ["BatchMode=yes", "StrictHostKeyChecking=yes", `UserKnownHostsFile=${known}`, "ConnectTimeout=60"];
    const words = [...options.flatMap((option) => ["-o", option]), "-i", key, `${connection.user}@${address}`, command];
    return (await libvirt.run("ssh", ...words)).trim();
  }

  before(async function () {
    this.timeout("20m");
    await ensurePackages([...libvirtTools, ...imageTools], log);
    image = await testCloudImage(log);
    libvirt = await startLibvirt();
    stack = await NetworkedStack.create(libvirt, program, project, "one");
  });
  after(async () => {
    await libvirt.stop();
  });

  it("are described in documents that libvirt's own checker takes", () => {
    for (const config of [
      {},
      { nic: { queues: 4, segmentationOffload: false }, nameservers: ["9.9.9.9"], mtuBytes: 9000 },
    ]) {
      const parsed = libvirtMachines.parse({ kind: "libvirt", ...config });
      const lab = libvirtLab(parsed, "datapath-lab", "dev");
      const [first] = lab.machines;
      assert.ok(first);
      const marks = { incarnation: "one", start: "two" };
      const documents: [string, string][] = [
        ["storagepool", poolXml(lab)],
        ["network", networkXml(lab, parsed, "one")],
        ["storagevol", diskVolumeXml(lab, first, { volume: "base", format: "qcow2" }, 20)],
        ["domain", domainXml(lab, parsed, first, "kvm", marks)],
        ["domain", domainXml(lab, parsed, first, "qemu", marks)],
        ["domain", probeDomainXml(lab)],
      ];
      for (const [schema, xml] of documents) {
        const file = path.join(libvirt.folder, "document.xml");
        writeFileSync(file, xml);
        execFileSync("virt-xml-validate", [file, schema], { stdio: "pipe" });
      }
    }
  });

  it("are not made from an image with another checksum than the one asked for", async () => {
    stack.configure({ machines: { ...base(), image: { path: image, sha256: "0".repeat(64) } } });
    const message = await failureOf(stack.up());
    assert.match(
      message,
      /machines\.image: .* is not the image that was asked for\.\s+expected sha256 0{64}\s+found +[0-9a-f]{64}/,
    );
    assert.equal((await libvirt.virsh("list", "--all", "--name")).trim(), "");
  });

  it("come up side by side, also where the first update was killed half-way", async () => {
    stack.configure({ machines: base() });
    const killed = await failureOf(
      stack.up((text) => {
        if (text.includes("boots")) killEngine();
      }),
    );
    assert.doesNotMatch(killed, /Duration:/);
    await stack.takeUp();
    const began = Date.now();
    const { outputs, printed } = await stack.up();
    log(`three machines: ${((Date.now() - began) / 1000).toFixed(0)} s`);
    assert.match(printed, /node-1 answers on SSH after \d+ s/);
    machines = connections.parse(outputs["machines"]);
    assert.deepEqual(
      machines.map(({ name, address }) => [name, address]),
      [
        ["node-1", "192.168.123.11"],
        ["node-2", "192.168.123.12"],
        ["node-3", "192.168.123.13"],
      ],
    );
  });

  it("keep private keys out of the plain state", () => {
    const state = path.join(libvirt.folder, "state", ".pulumi", "stacks", project, "one.json");
    assert.doesNotMatch(readFileSync(state, "utf8"), /PRIVATE KEY/);
  });

  it("are left as they are by a second update", async () => {
    assert.deepEqual(Object.keys(await stack.preview()), ["same"]);
  });

  it("let their user in by the pinned host key, and are set up for K3s and Cilium", async () => {
    const told = await Promise.all(
      machines.map((machine) =>
        on(
          machine,
          "hostname; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter; ls -d /sys/module/br_netfilter /sys/module/overlay; wc -l </proc/swaps; sudo id -u",
        ),
      ),
    );
    assert.deepEqual(
      told.map((text) => text.split("\n")),
      machines.map(({ name }) => [name, "1", "0", "/sys/module/br_netfilter", "/sys/module/overlay", "1", "0"]),
    );
  });

  it("are not logged in to where another host key answers", async () => {
    const [first, second] = machines;
    assert.ok(first && second);
    const wrong = { ...first, connection: { ...first.connection, hostKey: second.connection.hostKey } };
    assert.match(await failureOf(on(wrong, "true")), /Host key verification failed/);
  });

  it("reach each other on one L2 network", async () => {
    const [first, ...others] = machines;
    for (const { address } of others) {
      assert.match(
        await on(first, `ping -c 2 -W 10 ${address}; ip neigh show ${address}`),
        /2 received[^]*lladdr 52:54:00/,
      );
    }
  });

  it("carry pods' addresses to each other as they are, without masquerading", async () => {
    const [first, second] = machines;
    assert.ok(first && second);
    await on(
      second,
      `sudo sh -c 'ip address replace 10.42.1.1/32 dev lo; ip route replace 10.42.0.0/24 via ${first.address}'`,
    );
    await on(
      first,
      `sudo sh -c 'ip address replace 10.42.0.1/32 dev lo; ip route replace 10.42.1.0/24 via ${second.address}'`,
    );
    const serve =
      "import socket; s = socket.create_server(('10.42.1.1', 7000)); s.settimeout(60); print(s.accept()[1][0])";
    const call =
      "import socket, time\nfor _ in range(200):\n  try:\n    socket.create_connection(('10.42.1.1', 7000), source_address=('10.42.0.1', 0)); break\n  except ConnectionRefusedError: time.sleep(0.1)";
    const [seen] = await Promise.all([on(second, `python3 -c "${serve}"`), on(first, `python3 -c "${call}"`)]);
    assert.equal(seen, "10.42.0.1");
  });

  it("carry iperf3 between them", async () => {
    const [first, second] = machines;
    assert.ok(first && second);
    await on(second, "iperf3 --server --daemon --one-off");
    const result = await on(first, `iperf3 --client ${second.address} --time 2 --json`);
    const { end } = z
      .object({ end: z.object({ sum_received: z.object({ bits_per_second: z.number() }) }) })
      .parse(JSON.parse(result));
    log(`iperf3 between two machines: ${(end.sum_received.bits_per_second / 1e6).toFixed(0)} Mbit/s`);
    assert.ok(end.sum_received.bits_per_second > 1e6);
  });

  it("have seeds that cloud-init's own checker takes, also the stack's Ubuntu defaults", async () => {
    const [first] = machines;
    const parsed = libvirtMachines.parse({ kind: "libvirt" });
    const lab = libvirtLab(parsed, "datapath-lab", "dev");
    const [machine] = lab.machines;
    assert.ok(first && machine);
    assert.match(await on(first, "sudo cloud-init schema --system 2>&1"), /Valid cloud-config/);
    const hostKey = { privateKey: "private\n", publicKey: "public" };
    const text = userData(parsed, machine, { authorizedKey: first.connection.hostKey, hostKey });
    const encoded = Buffer.from(text).toString("base64");
    const check = `echo ${encoded} | base64 -d >seed.yaml; cloud-init schema --config-file seed.yaml 2>&1`;
    assert.match(await on(first, check), /Valid cloud-config/);
    assert.doesNotThrow(() => void parse(networkConfig(lab, parsed, machine)));
  });

  describe("and of kind hosts", () => {
    let hosts: NetworkedStack;
    const existing = (): Record<string, unknown>[] =>
      machines.map(({ name, address, connection }) => ({
        name,
        address,
        user: connection.user,
        privateKeyFile: path.join(libvirt.folder, `${name}.key`),
        hostKey: connection.hostKey,
      }));
    before(async () => {
      hosts = await NetworkedStack.create(libvirt, program, project, "hosts");
    });

    it("are refused with what is wrong on all of them at once", async () => {
      const [first, second, third] = existing();
      const wrong = [
        { ...first, hostKey: second?.["hostKey"] },
        { ...second, user: "nobody-here" },
        { ...third, name: "node-3" },
        { ...third, name: "absent", address: "192.168.123.99", hostKey: undefined },
      ];
      hosts.configure({ machines: { kind: "hosts", hosts: wrong, minimumMemoryMebibytes: 100_000 } });
      const message = await failureOf(hosts.up());
      assert.match(
        message,
        /node-1: lab@192\.168\.123\.11:22 answers with another host key than the one it is pinned to/,
      );
      assert.match(message, /node-2: nobody-here@192\.168\.123\.12:22 does not let this key or user log in/);
      assert.match(message, /node-3: \d+ MiB of memory are available, 100000 MiB are needed/);
      assert.match(message, /node-3: \/var\/lib has \d\.\d GiB free, 5 GiB are needed/);
      assert.match(message, /absent: lab@192\.168\.123\.99:22 can't be reached/);
      assert.match(message, /Any host key is taken from absent/);
      assert.match(message, /5 errors on the machines; nothing was installed on them/);
    });

    it("are taken as they are", async () => {
      hosts.configure({
        machines: { kind: "hosts", hosts: existing(), minimumMemoryMebibytes: 100, minimumDiskGibibytes: 1 },
      });
      const { outputs } = await hosts.up();
      const facts = z
        .array(z.object({ name: z.string(), isRoot: z.boolean(), nic: z.object({ driver: z.string() }) }))
        .parse(outputs["facts"]);
      assert.deepEqual(
        facts.map(({ name, isRoot, nic }) => [name, isRoot, nic.driver]),
        machines.map(({ name }) => [name, true, "virtio_net"]),
      );
      assert.deepEqual(Object.keys(await hosts.preview()), ["same"]);
      await hosts.destroy();
    });
  });

  // Mocha runs the tests of a suite before those of the suites inside it: the order is the suites'.
  describe("that change and go", () => {
    it("are rebuilt where they were destroyed by hand, and they alone; with more memory the others restart", async () => {
      const boots = await Promise.all(
        machines.map((machine) => on(machine, "cat /proc/sys/kernel/random/boot_id /var/lib/cloud/data/instance-id")),
      );
      await libvirt.virsh("destroy", `${project}-one-node-3`);
      await libvirt.virsh("undefine", `${project}-one-node-3`);
      const rebuilt = await stack.preview();
      assert.equal(rebuilt["replace"], 3);
      stack.configure({ machines: { ...base(), memoryMebibytes: 640 } });
      const { changes, outputs } = await stack.up();
      assert.equal(changes["replace"], 3);
      machines = connections.parse(outputs["machines"]);
      const [after, memory] = await Promise.all([
        Promise.all(
          machines.map((machine) => on(machine, "cat /proc/sys/kernel/random/boot_id /var/lib/cloud/data/instance-id")),
        ),
        Promise.all(machines.map((machine) => on(machine, "awk '/MemTotal/ {print $2}' /proc/meminfo"))),
      ]);
      for (const kibibytes of memory) assert.ok(Number(kibibytes) > 560 * 1024, `${kibibytes} KiB`);
      const instance = (texts: readonly string[]): (string | undefined)[] => texts.map((text) => text.split("\n")[1]);
      assert.deepEqual(instance(after).slice(0, 2), instance(boots).slice(0, 2));
      assert.notEqual(instance(after)[2], instance(boots)[2]);
      assert.ok(after.every((text, index) => text !== boots[index]));
    });

    it("that never answer end the update with their serial log", async () => {
      const disk = path.join(libvirt.folder, "silent.img");
      silentDisk(disk, "this guest never answers");
      const silent = await NetworkedStack.create(libvirt, program, project, "silent");
      silent.configure({
        machines: {
          ...base(),
          count: 2,
          network: "192.168.124.0/24",
          image: { path: disk, format: "raw" },
          bootLimitSeconds: 12,
        },
      });
      const message = await failureOf(silent.up());
      assert.match(message, /node-1 did not answer on SSH in 12 s \(machines\.bootLimitSeconds\)/);
      assert.match(message, /The end of its serial log[^]*\| this guest never answers/);
      await silent.destroy();
    });

    it("run by software emulation where a trial guest shows nothing on KVM, said aloud", async () => {
      const disk = path.join(libvirt.folder, "silent.img");
      const probing = await NetworkedStack.create(libvirt, program, project, "probing");
      probing.configure({
        machines: {
          ...base(),
          count: 2,
          network: "192.168.125.0/24",
          accelerator: "auto",
          image: { path: disk, format: "raw" },
          bootLimitSeconds: 10,
        },
      });
      const message = await failureOf(probing.up());
      const types = await libvirt.virsh("dumpxml", `${project}-probing-node-1`);
      const said = /Guests run (on KVM|by software emulation)/.exec(message)?.[1];
      assert.equal(/<domain type='(\w+)'/.exec(types)?.[1], said === "on KVM" ? "kvm" : "qemu");
      assert.ok(said !== undefined, "the choice was not said");
      await probing.destroy();
    });

    it("are gone without a trace after destroy", async () => {
      await stack.destroy();
      const names = async (...words: string[]): Promise<string> => (await libvirt.virsh(...words)).trim();
      assert.deepEqual(
        [
          await names("list", "--all", "--name"),
          await names("net-list", "--all", "--name"),
          await names("pool-list", "--all", "--name"),
        ],
        ["", "", ""],
      );
      const images = path.join(libvirt.folder, "images");
      assert.deepEqual(existsSync(images) ? readdirSync(images) : [], []);
      assert.doesNotMatch(await libvirt.run("ip", "-o", "link"), /lab-|vnet/);
    });
  });
});
