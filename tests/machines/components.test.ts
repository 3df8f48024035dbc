import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Machine } from "../../components/machines/machine.ts";
import { existingHosts } from "../../datapath/config/hosts.ts";
import { labConfig } from "../../datapath/config/index.ts";
import { libvirtMachines } from "../../datapath/config/libvirt.ts";
import { libvirtLab } from "../../datapath/libvirt/lab.ts";
import { networkXml } from "../../datapath/libvirt/xml.ts";

/** What of a resource's inputs is looked at; secrets are wrapped and stay so. */
interface Seen {
  readonly type: string;
  readonly inputs: Record<string, unknown>;
}

const connection = z.looseObject({
  host: z.string(),
  user: z.string(),
  port: z.number(),
  privateKey: z.string().optional(),
  hostKey: z.string().optional(),
  proxy: z.looseObject({ host: z.string(), user: z.string(), hostKey: z.string().optional() }).optional(),
});

describe("The machines' components, under mocks", function () {
  this.timeout("3m");
  const seen = new Map<string, Seen>();
  let folder: string;
  const searched = process.env["PATH"] ?? "";
  // A libvirt that answers, and on which nothing stands: what the first update sees.
  const base = { kind: "libvirt", uri: "qemu+unix:///system?socket=/nowhere/libvirt-sock" };
  const { datapath, strict } = labConfig.parse({ datapath: { mode: "native" } });

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-components-"));
    writeFileSync(path.join(folder, "virsh"), '#!/bin/sh\ncase "$4" in uri | *list) ;; *) exit 1 ;; esac\n', {
      mode: 0o755,
    });
    process.env["PATH"] = `${folder}${path.delimiter}${searched}`;
    await pulumi.runtime.setMocks(
      {
        newResource: ({ name, type, inputs }: { name: string; type: string; inputs: Record<string, unknown> }) => {
          assert.ok(
            ["command:local:Command", "command:remote:Command", "random:index/randomId:RandomId"].includes(type) ||
              type.startsWith("datapath-lab:"),
            `unknown resource type ${type}`,
          );
          seen.set(name, { type, inputs });
          return {
            id: name,
            state: {
              ...inputs,
              hex: "0123",
              stdout: /key$/.test(name) ? keyPair(name) : name === "accelerator" ? "kvm" : "[]",
            },
          };
        },
        call: () => ({}),
      },
      "datapath-lab",
      "dev",
      false,
    );
  });
  after(() => {
    process.env["PATH"] = searched;
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    seen.clear();
  });

  /** From here on a network stands there. */
  function standsNetwork(): void {
    const config = libvirtMachines.parse(base);
    const lab = libvirtLab(config, "datapath-lab", "dev");
    const file = path.join(folder, "network.xml");
    writeFileSync(file, networkXml(lab, config, "net-1"));
    const answers = `net-list) echo ${lab.network.name} ;; net-dumpxml) cat '${file}' ;; uri | *list) ;; *) exit 1 ;;`;
    writeFileSync(path.join(folder, "virsh"), `#!/bin/sh\ncase "$4" in ${answers} esac\n`, { mode: 0o755 });
  }

  function keyPair(name: string): string {
    return `-----BEGIN KEY-----\nprivate ${name}\n-----END KEY-----\nssh-ed25519 AAAA ${name}\n`;
  }

  async function connectionOf(machine: Machine | undefined): Promise<z.infer<typeof connection>> {
    assert.ok(machine);
    const { ready } = machine;
    await new Promise((resolve) => ready.urn.apply(resolve));
    return connection.parse(await new Promise((resolve) => pulumi.output(machine.connection).apply(resolve)));
  }

  it("give libvirt machines each a resource for what it consists of", async () => {
    const { Libvirt } = await import("../../components/machines/libvirt.ts");
    const { machines } = new Libvirt("machines", { machines: libvirtMachines.parse(base), datapath, strict });
    const first = await connectionOf(machines[0]);
    const own = ["host-key", "disk", "seed", "boot", "cloud-init"];
    assert.deepEqual(
      [...seen.keys()].sort(),
      [
        ...[
          "machines",
          "owner",
          "pool",
          "network",
          "image",
          "base-image",
          "accelerator",
          "login-key",
          "preflight",
          "preflight-check",
        ],
        ...["node-1", "node-2", "node-3"].flatMap((node) => [node, ...own.map((part) => `${node}-${part}`)]),
      ].sort(),
    );
    assert.deepEqual(
      machines.map(({ name, address }) => `${name} ${address}`),
      ["node-1 192.168.123.11", "node-2 192.168.123.12", "node-3 192.168.123.13"],
    );
    assert.deepEqual([first.host, first.user, first.port], ["192.168.123.11", "lab", 22]);
    assert.equal(first.hostKey, "ssh-ed25519 AAAA node-1-host-key");
    assert.match(first.privateKey ?? "", /private login-key/);
    assert.match(String(seen.get("node-1")?.inputs["stdin"]), /<domain type="kvm">/);
  });

  it("wrap what holds a private key as a secret, and put none into a command", async () => {
    const { Libvirt } = await import("../../components/machines/libvirt.ts");
    const made = new Libvirt("machines", { machines: libvirtMachines.parse(base), datapath, strict });
    await connectionOf(made.machines[2]);
    assert.equal(seen.size, 28);
    for (const [name, { inputs }] of seen) {
      const open = Object.entries(inputs).filter(([, value]) => !pulumi.runtime.isRpcSecret(value));
      assert.doesNotMatch(JSON.stringify(open), /BEGIN KEY/, name);
    }
  });

  it("start anew on a network that is another, and are all made anew at another place", async () => {
    const { Libvirt } = await import("../../components/machines/libvirt.ts");
    const made = async (more: object): Promise<ReadonlyMap<string, Seen>> => {
      seen.clear();
      const { machines } = new Libvirt("machines", {
        machines: libvirtMachines.parse({ ...base, ...more }),
        datapath,
        strict,
      });
      await connectionOf(machines[2]);
      return new Map(seen);
    };
    const network = (of: ReadonlyMap<string, Seen>): unknown =>
      z.object({ LAB_NETWORK_INCARNATION: z.string() }).parse(of.get("node-1")?.inputs["environment"])
        .LAB_NETWORK_INCARNATION;
    const triggers = (of: ReadonlyMap<string, Seen>): unknown[] =>
      ["pool", "base-image"].map((name) => z.array(z.string()).parse(of.get(name)?.inputs["triggers"]).at(-1));
    standsNetwork();
    const first = await made({});
    assert.equal(network(await made({})), network(first));
    assert.notEqual(network(await made({ bridge: "br-lab" })), network(first));
    assert.deepEqual(triggers(await made({ bridge: "br-lab" })), triggers(first));
    // The file may have left the cache when the base volume was made.
    const imageOf = (of: ReadonlyMap<string, Seen>): unknown => of.get("image")?.inputs["environment"];
    assert.notDeepEqual(imageOf(await made({})), imageOf(first), "a base that is made anew has its file brought again");
    for (const trigger of triggers(await made({ folder: "/elsewhere" }))) assert.ok(!triggers(first).includes(trigger));
  });

  it("reach libvirt machines through the jump host, with the person's own key", async () => {
    const { Libvirt } = await import("../../components/machines/libvirt.ts");
    const key = path.join(folder, "id");
    writeFileSync(key, "own private key");
    writeFileSync(`${key}.pub`, "ssh-ed25519 AAAAown me\n");
    const jump = { address: "hypervisor.example", user: "root", hostKey: "ssh-ed25519 AAAAjump" };
    const config = libvirtMachines.parse({ ...base, jump, privateKeyFile: key, accelerator: "qemu" });
    const made = new Libvirt("machines", { machines: config, datapath, strict });
    const first = await connectionOf(made.machines[0]);
    assert.equal(first.privateKey, "own private key");
    assert.deepEqual(
      [first.proxy?.host, first.proxy?.user, first.proxy?.hostKey],
      ["hypervisor.example", "root", jump.hostKey],
    );
    assert.ok(!seen.has("login-key") && !seen.has("accelerator"));
    assert.match(String(seen.get("node-1")?.inputs["stdin"]), /<domain type="qemu">/);
  });

  it("name the key file that can't be read", async () => {
    const { Libvirt } = await import("../../components/machines/libvirt.ts");
    const config = libvirtMachines.parse({ ...base, privateKeyFile: "/nowhere/id" });
    assert.throws(
      () => new Libvirt("machines", { machines: config, datapath, strict }),
      /machines\.privateKeyFile: \/nowhere\/id\.pub can't be read: ENOENT/,
    );
  });

  it("take an existing host that is reached by another address for the same machine", async () => {
    const { Hosts } = await import("../../components/machines/hosts.ts");
    const makings = (address: string): string[] => {
      const hosts = [
        { name: "a", address, nodeAddress: "10.0.0.1" },
        { name: "b", address: "10.0.0.2" },
      ];
      const made = new Hosts("machines", { machines: existingHosts.parse({ kind: "hosts", hosts }), datapath, strict });
      return made.machines.map(({ incarnation }) => incarnation);
    };
    assert.deepEqual(makings("10.0.0.1"), makings("a.example"));
    assert.deepEqual(makings("10.0.0.1"), ["a", "b"]);
  });

  it("give existing hosts the same shape, by the address between nodes", async () => {
    const { Hosts } = await import("../../components/machines/hosts.ts");
    const key = path.join(folder, "id");
    writeFileSync(key, "own private key");
    const hosts = [
      {
        name: "a",
        address: "a.example",
        nodeAddress: "10.0.0.1",
        port: 2222,
        user: "ops",
        privateKeyFile: key,
        hostKey: "ssh-ed25519 AAAAa",
      },
      { name: "b", address: "10.0.0.2", hostKey: "ssh-ed25519 AAAAb" },
    ];
    const made = new Hosts("machines", { machines: existingHosts.parse({ kind: "hosts", hosts }), datapath, strict });
    const first = await connectionOf(made.machines[0]);
    assert.deepEqual(
      made.machines.map(({ name, address }) => [name, address]),
      [
        ["a", "10.0.0.1"],
        ["b", "10.0.0.2"],
      ],
    );
    assert.deepEqual(
      [first.host, first.port, first.user, first.hostKey],
      ["a.example", 2222, "ops", "ssh-ed25519 AAAAa"],
    );
    assert.deepEqual([...seen.keys()].sort(), ["machines", "preflight", "preflight-check"]);
    const asked = JSON.stringify(seen.get("preflight-check")?.inputs["stdin"]);
    assert.match(
      asked,
      /name\W+a\W+address\W+10\.0\.0\.1\W/,
      "the preflight asks for routes between the nodes' addresses",
    );
  });
});
