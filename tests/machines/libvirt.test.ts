import assert from "node:assert/strict";
import { create } from "xmlbuilder2";
import { parse } from "yaml";
import { z } from "zod";
import { datapath as datapathSchema, type Datapath } from "../../datapath/config/datapath.ts";
import { libvirtMachines } from "../../datapath/config/libvirt.ts";
import { metaData, networkConfig, userData } from "../../datapath/libvirt/cloud-init.ts";
import { parseKeyPair } from "../../datapath/libvirt/key-pair.ts";
import { allMachines, libvirtLab, type LibvirtMachine } from "../../datapath/libvirt/lab.ts";
import { bringsRouter, routerShare } from "../../datapath/libvirt/router.ts";
import { diskVolumeXml, domainXml, marksOf, networkXml } from "../../datapath/libvirt/xml.ts";

const defaults = libvirtMachines.parse({ kind: "libvirt" });
const keys = {
  authorizedKey: "ssh-ed25519 AAAAlogin me",
  hostKey: { privateKey: "-----BEGIN KEY-----\nsecret\n-----END KEY-----\n", publicKey: "ssh-ed25519 AAAAhost node-1" },
};
const marks = { incarnation: "one", start: "two" };

function labOf(
  config: Record<string, unknown> = {},
  stack = "dev",
): {
  readonly config: typeof defaults;
  readonly lab: ReturnType<typeof libvirtLab>;
  readonly first: LibvirtMachine;
} {
  const parsed = libvirtMachines.parse({ kind: "libvirt", ...config });
  const lab = libvirtLab(parsed, "datapath-lab", stack);
  const [first] = lab.machines;
  assert.ok(first);
  return { config: parsed, lab, first };
}

function read(xml: string): unknown {
  return create(xml).end({ format: "object" });
}

describe("A lab on libvirt", () => {
  const native = (routes: unknown): Datapath => datapathSchema.parse({ mode: "native", routes });
  const router = { kind: "bgp", speaker: "cilium", peer: { address: "192.168.123.254" } };
  const cases: readonly [string, Datapath, boolean][] = [
    ["vxlan", datapathSchema.parse({ mode: "vxlan" }), false],
    ["direct routes", native("direct"), false],
    ["a router", native("router"), true],
    ["a cloud's router", native({ kind: "router", integration: "gke" }), false],
    ["kube-router", native("bgp"), false],
    ["Cilium's speaker and the lab's router", native(router), true],
    ["Cilium's speaker and a router elsewhere", native({ ...router, peer: { address: "192.0.2.1" } }), false],
  ];
  for (const [title, datapath, expected] of cases) {
    it(`${expected ? "brings" : "brings no"} router for ${title}`, () => {
      assert.equal(bringsRouter(defaults, datapath), expected);
    });
  }

  it("has a router with the last address of the network, that forwards and is no larger than it needs to be", () => {
    const lab = libvirtLab(defaults, "datapath-lab", "dev", true);
    assert.equal(labOf().lab.router, undefined);
    assert.ok(lab.router);
    assert.deepEqual([lab.router.name, lab.router.address], ["router", "192.168.123.254"]);
    assert.equal(new Set(allMachines(lab).map(({ macAddress }) => macAddress)).size, 4);
    const share = routerShare(defaults);
    const said = (forwards: boolean): string => userData(share, lab.router ?? assert.fail(), keys, { forwards });
    assert.match(said(true), /net\.ipv4\.conf\.\*\.send_redirects = 0/);
    assert.doesNotMatch(said(false), /send_redirects/);
    assert.doesNotMatch(said(true), /packages/);
    assert.match(domainXml(lab, share, lab.router, "kvm", marks), /<memory unit="MiB">1024</);
  });

  it("has three machines with addresses of their own, all known beforehand", () => {
    const { lab } = labOf();
    assert.deepEqual(
      lab.machines.map(({ name, domain, address }) => [name, domain, address]),
      [
        ["node-1", "datapath-lab-dev-node-1", "192.168.123.11"],
        ["node-2", "datapath-lab-dev-node-2", "192.168.123.12"],
        ["node-3", "datapath-lab-dev-node-3", "192.168.123.13"],
      ],
    );
    assert.equal(lab.network.gateway, "192.168.123.1");
    assert.equal(lab.pool.folder, "/var/lib/libvirt/images/datapath-lab-dev");
  });

  it("gives machines MAC addresses that differ within a lab and between labs", () => {
    const all = [...labOf().lab.machines, ...labOf({}, "vxlan").lab.machines].map(({ macAddress }) => macAddress);
    assert.equal(new Set(all).size, 6);
    for (const address of all) assert.match(address, /^52:54:00(:[0-9a-f]{2}){3}$/);
  });

  it("gives each machine a UUID that stays, so that a changed definition replaces the one before", () => {
    const uuids = labOf({ memoryMebibytes: 512 }).lab.machines.map(({ uuid }) => uuid);
    assert.deepEqual(
      uuids,
      labOf().lab.machines.map(({ uuid }) => uuid),
    );
    assert.equal(new Set([...uuids, ...labOf({}, "vxlan").lab.machines.map(({ uuid }) => uuid)]).size, 6);
    for (const uuid of uuids) assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("names its bridge as the kernel can take it", () => {
    const { lab } = labOf({}, "a-stack-with-a-very-long-name");
    assert.match(lab.network.bridge, /^lab-[0-9a-f]{10}$/);
    assert.notEqual(lab.network.bridge, labOf().lab.network.bridge);
    assert.equal(labOf({ bridge: "br-lab" }).lab.network.bridge, "br-lab");
  });
});

const domain = z.object({
  domain: z.object({
    "@type": z.string(),
    memory: z.object({ "@unit": z.string(), "#": z.string() }),
    vcpu: z.object({ "#": z.string() }),
    cpu: z.record(z.string(), z.string()),
    devices: z.object({
      disk: z.array(z.object({ source: z.record(z.string(), z.string()), target: z.record(z.string(), z.string()) })),
      interface: z.object({
        mac: z.object({ "@address": z.string() }),
        driver: z.object({
          "@queues": z.string().optional(),
          host: z.record(z.string(), z.string()),
          guest: z.record(z.string(), z.string()),
        }),
        mtu: z.object({ "@size": z.string() }),
      }),
      serial: z.object({ log: z.object({ "@file": z.string(), "@append": z.string() }) }),
    }),
  }),
});

describe("A machine's domain", () => {
  function domainOf(config: Record<string, unknown>, accelerator: "kvm" | "qemu"): z.infer<typeof domain>["domain"] {
    const { lab, first, config: parsed } = labOf(config);
    return domain.parse(read(domainXml(lab, parsed, first, accelerator, marks))).domain;
  }

  it("has what the config asks for", () => {
    const found = domainOf({ vcpus: 4, memoryMebibytes: 3072, mtuBytes: 9000 }, "kvm");
    assert.deepEqual([found.memory["#"], found.memory["@unit"], found.vcpu["#"]], ["3072", "MiB", "4"]);
    assert.equal(found.devices.interface.mtu["@size"], "9000");
    assert.deepEqual(
      found.devices.disk.map(({ source, target }) => [source["@file"], target["@dev"], target["@bus"]]),
      [
        ["/var/lib/libvirt/images/datapath-lab-dev/node-1.qcow2", "vda", "virtio"],
        ["/var/lib/libvirt/images/datapath-lab-dev/node-1.seed.iso", "vdb", "virtio"],
      ],
    );
    assert.equal(found.devices.serial.log["@file"], "/var/lib/libvirt/images/datapath-lab-dev/node-1.serial.log");
  });

  it("sees the host's CPU on kvm, and all that QEMU can show under emulation", () => {
    assert.deepEqual([domainOf({}, "kvm")["@type"], domainOf({}, "kvm").cpu["@mode"]], ["kvm", "host-passthrough"]);
    assert.deepEqual([domainOf({}, "qemu")["@type"], domainOf({}, "qemu").cpu["@mode"]], ["qemu", "maximum"]);
    assert.equal(domainOf({ cpuMode: "host-model" }, "kvm").cpu["@mode"], "host-model");
  });

  it("has a NIC with the queues and offloads that the config asks for", () => {
    const plain = domainOf({}, "kvm").devices.interface.driver;
    assert.equal(plain["@queues"], undefined);
    assert.deepEqual([plain.host["@csum"], plain.host["@tso4"], plain.guest["@tso4"]], ["on", "on", "on"]);
    const tuned = domainOf({ nic: { queues: 4, segmentationOffload: false } }, "kvm").devices.interface.driver;
    assert.equal(tuned["@queues"], "4");
    assert.deepEqual([tuned.host["@csum"], tuned.host["@tso4"], tuned.guest["@tso6"]], ["on", "off", "off"]);
  });

  it("has no segmentation by a NIC that computes no checksums", () => {
    const { host, guest } = domainOf({ nic: { checksumOffload: false } }, "kvm").devices.interface.driver;
    assert.deepEqual([host["@csum"], host["@gso"], host["@tso4"], guest["@ufo"]], ["off", "off", "off", "off"]);
  });

  it("bears the lab's mark, which another lab does not take for its own", () => {
    const { lab, first, config } = labOf();
    const xml = domainXml(lab, config, first, "kvm", marks);
    assert.deepEqual(
      { incarnation: marksOf(xml, lab)?.["incarnation"], start: marksOf(xml, lab)?.["start"] },
      { incarnation: "one", start: "two" },
    );
    assert.equal(marksOf(xml, labOf({}, "dev-2").lab), undefined);
    for (const place of [{ folder: "/elsewhere" }, { uri: "qemu+ssh://root@other/system" }]) {
      assert.equal(marksOf(xml, labOf(place).lab), undefined, "what stands elsewhere is made anew");
    }
    assert.equal(marksOf("<domain><name>other</name></domain>", lab), undefined);
  });

  it("keeps text that means something to XML as text", () => {
    const { lab, first, config } = labOf();
    const xml = domainXml(lab, config, first, "kvm", { incarnation: '"/><x a="&', start: "<y>" });
    assert.match(xml, /incarnation="&quot;\/&gt;&lt;x a=&quot;&amp;"/);
    assert.match(xml, /start="&lt;y&gt;"/);
  });
});

describe("The machines' network", () => {
  const network = z.object({
    network: z.object({
      forward: z.object({ "@mode": z.string() }),
      mtu: z.object({ "@size": z.string() }),
      dns: z.object({ "@enable": z.string() }),
      ip: z.record(z.string(), z.unknown()),
    }),
  });
  it("is a bridge with NAT to everything else and without DHCP", () => {
    const { lab, config } = labOf();
    const found = network.parse(read(networkXml(lab, config, "one"))).network;
    assert.equal(found.forward["@mode"], "nat");
    assert.equal(found.mtu["@size"], "1500");
    assert.equal(found.dns["@enable"], "yes");
    assert.deepEqual({ ...found.ip }, { "@address": "192.168.123.1", "@prefix": "24" });
  });

  it("answers no DNS where machines have servers of their own", () => {
    const { lab, config } = labOf({ nameservers: ["9.9.9.9"] });
    assert.equal(network.parse(read(networkXml(lab, config, "one"))).network.dns["@enable"], "no");
  });
});

it("A machine's disk stands above the shared base image", () => {
  const { lab, first } = labOf();
  const xml = diskVolumeXml(lab, first, { volume: "base-1", format: "raw" }, 20);
  assert.match(xml, /<capacity unit="GiB">20<\/capacity>/);
  assert.match(xml, /<path>\/var\/lib\/libvirt\/images\/datapath-lab-dev\/base-1<\/path>\s*<format type="raw"\/>/);
});

const seed = z.looseObject({
  hostname: z.string(),
  users: z.array(z.looseObject({ name: z.string(), ssh_authorized_keys: z.array(z.string()) })),
  ssh_keys: z.record(z.string(), z.string()),
  apt: z.looseObject({ primary: z.array(z.object({ arches: z.array(z.string()), uri: z.string() })) }).optional(),
  packages: z.array(z.string()).optional(),
  write_files: z.array(z.object({ path: z.string(), content: z.string() })),
  runcmd: z.array(z.array(z.string())),
});

describe("A machine's seed", () => {
  const { lab, first } = labOf();
  const seedOf = (config = defaults): z.infer<typeof seed> => {
    const text = userData(config, first, keys);
    assert.ok(text.startsWith("#cloud-config\n"));
    return seed.parse(parse(text));
  };

  it("lets the person's key in and gives the machine its host key", () => {
    const { hostname, users, ssh_keys: hostKeys } = seedOf();
    assert.equal(hostname, "node-1");
    assert.deepEqual(
      users.map(({ name, ssh_authorized_keys: authorized }) => [name, authorized]),
      [["lab", ["ssh-ed25519 AAAAlogin me"]]],
    );
    assert.deepEqual(hostKeys, {
      ed25519_private: keys.hostKey.privateKey,
      ed25519_public: "ssh-ed25519 AAAAhost node-1",
    });
  });

  it("points apt to the archive of old releases, unless told not to", () => {
    assert.deepEqual(
      seedOf().apt?.primary.map(({ uri }) => uri),
      ["http://old-releases.ubuntu.com/ubuntu"],
    );
    const untouched = seedOf(libvirtMachines.parse({ kind: "libvirt", aptMirror: null, packages: [] }));
    assert.equal(untouched.apt, undefined);
    assert.equal(untouched.packages, undefined);
  });

  it("sets the kernel up for K3s and Cilium, and turns swap off", () => {
    const { write_files: files, runcmd } = seedOf();
    const sysctl = files.find((file) => file.path.startsWith("/etc/sysctl.d/"))?.content ?? "";
    assert.match(sysctl, /^net\.ipv4\.ip_forward = 1$/m);
    assert.match(sysctl, /^net\.ipv4\.conf\.lxc\*\.rp_filter = 0$/m);
    assert.equal(files.find((file) => file.path.includes("modules-load"))?.content, "overlay\nbr_netfilter\n");
    assert.ok(runcmd.some((words) => words[0] === "swapoff"));
  });

  it("has networkd leave Cilium's routes and rules, before there are any, and apt leave the machine alone", () => {
    const { write_files: files, runcmd } = seedOf();
    assert.equal(
      files.find((file) => file.path.startsWith("/etc/systemd/networkd.conf.d/"))?.content,
      "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n",
    );
    const commands = runcmd.map((words) => words.join(" "));
    assert.ok(commands.includes("systemctl try-restart systemd-networkd.service"));
    assert.ok(commands.includes("systemctl mask --no-reload swap.target apt-daily.timer apt-daily-upgrade.timer"));
  });

  it("has one NIC with a static address, found by its MAC address", () => {
    const network = z
      .object({ ethernets: z.object({ eth0: z.looseObject({ addresses: z.array(z.string()) }) }) })
      .parse(parse(networkConfig(lab, defaults, first))).ethernets.eth0;
    assert.deepEqual(network.addresses, ["192.168.123.11/24"]);
    assert.deepEqual(network["match"], { macaddress: first.macAddress });
    assert.deepEqual(network["routes"], [{ to: "0.0.0.0/0", via: "192.168.123.1" }]);
    assert.deepEqual(network["nameservers"], { addresses: ["192.168.123.1"] });
  });

  it("is another instance for each making of the machine", () => {
    assert.deepEqual(parse(metaData(first, "one")), { "instance-id": "one", "local-hostname": "node-1" });
  });
});

describe("What ssh-keygen prints", () => {
  it("is read as a pair", () => {
    const pair = parseKeyPair(`${keys.hostKey.privateKey}${keys.hostKey.publicKey}`);
    assert.deepEqual(pair, keys.hostKey);
  });
  it("is refused without being shown where it is something else", () => {
    assert.throws(() => parseKeyPair("-----BEGIN KEY-----\nsecret"), /^Error: ssh-keygen printed no key pair$/);
  });
});

describe("The config of libvirt machines", () => {
  const problems = (config: Record<string, unknown>): string[] => {
    const parsed = libvirtMachines.safeParse({ kind: "libvirt", ...config });
    return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  };
  it("is Ubuntu 23.04 with its checksum where no image is named", () => {
    assert.match(defaults.image.urls?.[0] ?? "", /ubuntu-23\.04-server-cloudimg-amd64\.img$/);
    assert.match(defaults.image.sha256 ?? "", /^[0-9a-f]{64}$/);
    const hosts = defaults.image.urls?.map((url) => new URL(url).host);
    assert.equal(hosts?.at(-1), "cloud-images-archive.ubuntu.com", "the last resort");
    const own = libvirtMachines.parse({ kind: "libvirt", image: { path: "/images/mine.img" } });
    assert.deepEqual([own.image.urls, own.image.sha256], [undefined, undefined]);
  });
  it("takes nothing that a shell, XML or virsh could read as more than a name", () => {
    assert.deepEqual(problems({ user: "lab; reboot" }), ["user: letters, digits, dots, hyphens and underscores"]);
    assert.deepEqual(problems({ uri: "qemu:///system; reboot" }), ["uri: no libvirt URI of the QEMU driver"]);
    assert.deepEqual(problems({ folder: "/tmp/$(id)" }), ["folder: no absolute path of plain characters"]);
    assert.deepEqual(problems({ packages: ["-o=x"] }), ["packages.0: no Debian package name"]);
    assert.deepEqual(problems({ image: { urls: ["file:///etc/passwd"] } }), ["image.urls.0: no http or https URL"]);
  });
});
