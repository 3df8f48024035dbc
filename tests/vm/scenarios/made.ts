import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { libvirtMachines } from "../../../datapath/config/libvirt.ts";
import { networkConfig, userData } from "../../../datapath/libvirt/cloud-init.ts";
import { libvirtLab } from "../../../datapath/libvirt/lab.ts";
import { diskVolumeXml, domainXml, networkXml, poolXml, probeDomainXml } from "../../../datapath/libvirt/xml.ts";
import { failureOf, log, project, type VmLab } from "../vm-lab.ts";

/** Ends the CLI that this process started last, as a crash would. */
function killEngine(): void {
  for (const child of execFileSync("ps", ["--ppid", `${process.pid}`, "-o", "pid=,args="], { encoding: "utf8" }).split(
    "\n",
  )) {
    const [, processId, words = ""] = /^\s*(\d+) (.*)$/.exec(child) ?? [];
    if (processId !== undefined && / up /.test(words)) process.kill(Number(processId), "SIGKILL");
  }
}

/** Tells AppArmor which files a guest may open, by its definition. It says so also where the kernel has no AppArmor. */
const appArmorHelper = "/usr/lib/libvirt/virt-aa-helper";

function appArmorRules(xml: string): string {
  const uuid = "00000000-0000-8000-8000-000000000000";
  const named = xml.replace(/<uuid>.*<\/uuid>/, "").replace("</name>", `</name><uuid>${uuid}</uuid>`);
  const words = ["--create", "--dryrun", "--uuid", `libvirt-${uuid}`];
  const { status, stderr } = spawnSync(appArmorHelper, words, { input: named, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stderr;
}

/** Machines of kind libvirt come up. */
export function machinesAreMade(lab: VmLab): void {
  it("are described in documents that libvirt's own checker takes", () => {
    for (const config of [
      {},
      { nic: { queues: 4, segmentationOffload: false }, nameservers: ["9.9.9.9"], mtuBytes: 9000 },
    ]) {
      const parsed = libvirtMachines.parse({ kind: "libvirt", ...config });
      const names = libvirtLab(parsed, "datapath-lab", "dev");
      const [first] = names.machines;
      assert.ok(first);
      const marks = { incarnation: "one", start: "two" };
      const documents: [string, string][] = [
        ["storagepool", poolXml(names)],
        ["network", networkXml(names, parsed, "one")],
        ["storagevol", diskVolumeXml(names, first, { volume: "base", format: "qcow2" }, 20)],
        ["domain", domainXml(names, parsed, first, "kvm", marks)],
        ["domain", domainXml(names, parsed, first, "qemu", marks)],
        ["domain", probeDomainXml(names, parsed)],
      ];
      for (const [schema, xml] of documents) {
        const file = lab.file("document.xml");
        writeFileSync(file, xml);
        execFileSync("virt-xml-validate", [file, schema], { stdio: "pipe" });
      }
    }
  });

  it("may open their disk, the base image below it and their seed where AppArmor confines them, as the trial guest its disk", () => {
    if (!existsSync(appArmorHelper)) {
      log(`not tried: there is no ${appArmorHelper}`);
      return;
    }
    const parsed = libvirtMachines.parse({ kind: "libvirt", folder: lab.file("confined") });
    const names = libvirtLab(parsed, "datapath-lab", "dev");
    const [first] = names.machines;
    assert.ok(first);
    const inPool = (name: string): string => path.join(names.pool.folder, name);
    mkdirSync(names.pool.folder, { recursive: true });
    const image = (...words: string[]): Buffer => execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", ...words]);
    image(inPool("base"), "1M");
    image("-b", inPool("base"), "-F", "qcow2", inPool(first.disk));
    // A file that is not there, and an empty one, it leaves out.
    writeFileSync(inPool(first.seed), "seed");
    writeFileSync(inPool("datapath-lab-dev-probe.img"), "probe");
    const rules = appArmorRules(domainXml(names, parsed, first, "kvm", { incarnation: "one", start: "two" }));
    for (const rule of [`"${inPool(first.disk)}" rwk`, `"${inPool("base")}" rk`, `"${inPool(first.seed)}" rk`]) {
      assert.ok(rules.includes(rule), rules);
    }
    assert.ok(appArmorRules(probeDomainXml(names, parsed)).includes(`"${inPool("datapath-lab-dev-probe.img")}" rwk`));
  });

  it("are not made from an image with another checksum than the one asked for", async () => {
    lab.stack.configure({ machines: lab.made({ image: { path: lab.image, sha256: "0".repeat(64) } }) });
    const message = await failureOf(lab.stack.up());
    assert.match(
      message,
      /machines\.image: .* is not the image that was asked for\.\s+expected sha256 0{64}\s+found +[0-9a-f]{64}/,
    );
    assert.equal((await lab.libvirt.virsh("list", "--all", "--name")).trim(), "");
  });

  it("come up side by side, also where the first update was killed half-way", async () => {
    lab.stack.configure({ machines: lab.made() });
    const began = Date.now();
    let booting: string | undefined;
    const killed = await failureOf(
      lab.stack.up((text) => {
        if (booting !== undefined) return;
        booting = /(\S+) boots/.exec(text)?.[1];
        if (booting !== undefined) killEngine();
      }),
    );
    assert.doesNotMatch(killed, /Duration:/);
    assert.ok(booting !== undefined, killed);
    const start = await lab.libvirt.virsh("domid", booting);
    await lab.stack.takeUp();
    const result = await lab.up(lab.stack);
    lab.take(result);
    log(`three machines, from the killed update on: ${((Date.now() - began) / 1000).toFixed(0)} s`);
    assert.match(result.printed, /node-1 answers on SSH after \d+ s/);
    assert.equal(await lab.libvirt.virsh("domid", booting), start, "it was started again");
    assert.deepEqual(
      lab.machines.map(({ name, address }) => [name, address]),
      [
        ["node-1", "192.168.123.11"],
        ["node-2", "192.168.123.12"],
        ["node-3", "192.168.123.13"],
      ],
    );
  });

  it("keep private keys out of the plain state", () => {
    const state = lab.file(`state/.pulumi/stacks/${project}/one.json`);
    assert.doesNotMatch(readFileSync(state, "utf8"), /PRIVATE KEY/);
  });

  it("are left as they are by a second update, and would all be replaced by another image", async () => {
    assert.deepEqual(Object.keys(await lab.stack.preview()), ["same"]);
    lab.stack.configure({ machines: lab.made({ image: { path: lab.image, sha256: "1".repeat(64) } }) });
    // The shared image, and disk, seed and domain of each machine.
    assert.equal((await lab.stack.preview())["replace"], 10);
    lab.stack.configure({ machines: lab.made() });
  });

  it("let their user in by the pinned host key, and are set up for K3s and Cilium", async () => {
    const told = await lab.onAll(
      "hostname; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter; ls -d /sys/module/br_netfilter /sys/module/overlay; wc -l </proc/swaps; id -u; ip route add 192.0.2.0/24 dev eth0; systemctl restart systemd-networkd; ip -o route show 192.0.2.0/24 | wc -l; ip route del 192.0.2.0/24",
    );
    assert.deepEqual(
      told.map((text) => text.split("\n")),
      lab.machines.map(({ name }) => [
        name,
        "1",
        "0",
        "/sys/module/br_netfilter",
        "/sys/module/overlay",
        "1",
        "0",
        "1",
      ]),
    );
  });

  it("are not logged in to where another host key answers", async () => {
    assert.match(await failureOf(lab.on("node-1", "true", "node-2")), /Host key verification failed/);
  });

  it("reach each other on one L2 network", async () => {
    const others = lab.machines.slice(1).map(({ address }) => address);
    const told = await lab.on(
      "node-1",
      others.map((address) => `ping -c 2 -i 0.2 -W 10 ${address}; ip neigh show ${address}`).join("\n"),
    );
    for (const address of others) {
      assert.match(told, new RegExp(`${address} ping statistics[^]*2 received[^]*${address} .*lladdr 52:54:00`));
    }
  });

  it("carry pods' addresses to each other as they are, without masquerading, and iperf3", async () => {
    const [first, second] = [lab.machine("node-1"), lab.machine("node-2")];
    const route = (own: string, network: string, peer: string): string =>
      `ip address replace ${own}/32 dev lo; ip route replace ${network} via ${peer}`;
    const serve =
      "import socket; s = socket.create_server(('10.42.1.1', 7000)); s.settimeout(60); print(s.accept()[1][0])";
    const call =
      "import socket, time\nfor _ in range(200):\n  try:\n    socket.create_connection(('10.42.1.1', 7000), source_address=('10.42.0.1', 0)); break\n  except OSError: time.sleep(0.1)";
    const [seen, told] = await Promise.all([
      lab.on(
        "node-2",
        `${route("10.42.1.1", "10.42.0.0/24", first.address)}\niperf3 --server --daemon --one-off\npython3 -c "${serve}"`,
      ),
      lab.on(
        "node-1",
        `${route("10.42.0.1", "10.42.1.0/24", second.address)}\npython3 -c "${call}"\niperf3 --client ${second.address} --time 2 --json`,
      ),
    ]);
    assert.equal(seen, "10.42.0.1");
    const { end } = z
      .object({ end: z.object({ sum_received: z.object({ bits_per_second: z.number() }) }) })
      .parse(JSON.parse(told));
    log(`iperf3 between two machines: ${(end.sum_received.bits_per_second / 1e6).toFixed(0)} Mbit/s`);
    assert.ok(end.sum_received.bits_per_second > 1e6);
  });

  it("have seeds that cloud-init's own checker takes, also the stack's Ubuntu defaults", async () => {
    const parsed = libvirtMachines.parse({ kind: "libvirt" });
    const names = libvirtLab(parsed, "datapath-lab", "dev");
    const [machine] = names.machines;
    assert.ok(machine);
    const hostKey = { privateKey: "private\n", publicKey: "public" };
    const text = userData(parsed, machine, { authorizedKey: lab.machine("node-1").connection.hostKey, hostKey });
    const encoded = Buffer.from(text).toString("base64");
    const [own, ubuntu] = await Promise.all([
      lab.on("node-1", "cloud-init schema --system 2>&1"),
      lab.on("node-2", `echo ${encoded} | base64 -d >seed.yaml; cloud-init schema --config-file seed.yaml 2>&1`),
    ]);
    for (const said of [own, ubuntu]) assert.match(said, /Valid cloud-config/);
    assert.doesNotThrow(() => void parse(networkConfig(names, parsed, machine)));
  });
}
