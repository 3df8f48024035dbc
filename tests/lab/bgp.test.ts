import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { UpResult } from "@pulumi/pulumi/automation/index.js";
import { routerBird } from "../../datapath/bgp/bird.ts";
import { run as runSchema, type Check } from "../../datapath/run/run.ts";
import { command, nodesOf, specOf, TestLab, until, verify } from "./support.ts";

const daemons = "/run/datapath-lab";

describe("routes by BGP in the embedded lab", function () {
  this.timeout(300_000);
  let lab: TestLab;
  let standing: UpResult;

  before(async () => {
    lab = await TestLab.create("bgp");
  });
  after(() => lab.dispose());

  const process = (name: string): number =>
    Number(readFileSync(path.join(daemons, `${lab.prefix}${name}.bird.pid`), "utf8"));
  const learned = (name: string): Promise<string> =>
    command("ip", "-n", `${lab.prefix}${name}`, "-4", "route", "show", "proto", "bird");

  /** Runs `up`, which has to be confirmed. Gives what was found on the first node, by the check's name. */
  async function confirmed(datapath: object): Promise<Map<string, string>> {
    standing = await lab.up({ datapath });
    const run = runSchema.parse(standing.outputs["verification"]?.value);
    assert.equal(run.verdict, "confirmed", JSON.stringify(run.checks.filter(({ ok }: Check) => ok !== true)));
    return new Map(run.checks.filter(({ node }) => node === "node-1").map(({ name, found }) => [name, found]));
  }

  /** Daemons, their files and their routes that are left of the lab. */
  async function leftOfBgp(): Promise<string[]> {
    const routes = await Promise.all(["network", ...nodesOf(standing).map(({ name }) => name)].map(learned));
    const files = readdirSync(daemons).filter((name) => name.startsWith(lab.prefix) && name.includes(".bird"));
    const processes = (await command("ps", "-eo", "args")).split("\n");
    return [
      ...routes.filter((text) => text !== ""),
      ...files,
      ...processes.filter((line) => line.startsWith("bird ") && line.includes(lab.prefix)),
    ];
  }

  it("has every node peer with every other, and routes learned from them carry the pods, bare on the wire", async () => {
    const found = await confirmed({ mode: "native", routes: "bgp" });
    assert.equal(found.get("BGP session with node-2"), "Established, 1 learned, 1 announced");
    assert.equal(found.get("route to 10.42.1.0/24"), "via 172.30.0.6 dev eth0, proto bird");
    assert.match(found.get("pod packets on the wire, bare") ?? "", /^\d+ packets$/);
    assert.equal(await learned("network"), "", "without a peer in the config no router speaks BGP");
  });

  it("sees a node's routes withdrawn: they go from its peers, and the verdict names them", async () => {
    global.process.kill(process("node-2"), "SIGTERM");
    await until("node-1 takes the route to node-2's pods out", 30, async () => {
      return !(await learned("node-1")).includes("10.42.1.0/24");
    });
    assert.match(await learned("node-1"), /10\.42\.2\.0\/24 via 172\.30\.0\.10 /, "others' routes stay");
    const { exitCode, stderr } = await verify(specOf(lab, standing));
    assert.notEqual(exitCode, 0);
    for (const named of [
      /node-1: route to 10\.42\.1\.0\/24\n\s+expected: via 172\.30\.0\.6 dev eth0, learned by BGP\n\s+found:\s+none of its own/,
      /node-1: BGP session with node-2\n\s+expected: Established\n\s+found:\s+(?!Established)\w/,
      /node-2: BGP session with node-1\n\s+expected: Established\n\s+found:\s+no such session/,
      /node-1: path MTU to node-2's pod\n\s+expected: 1500 bytes\n\s+found:\s+no packet passes/,
    ]) {
      assert.match(stderr, named);
    }
  });

  it("starts a daemon that is gone again, and gives the others a new configuration without ending them", async () => {
    const before = process("node-1");
    const peer = { address: "172.30.0.1", asn: 64_513 };
    const found = await confirmed({ mode: "native", routes: { kind: "bgp", peer } });
    assert.equal(process("node-1"), before);
    assert.match(found.get("BGP session with router") ?? "", /^Established, 0 learned, 1 announced$/);
    assert.equal((await learned("network")).trim().split("\n").length, 3);
  });

  it("leaves no daemon and no learned route behind when the tunnel takes over", async () => {
    await confirmed({ mode: "vxlan" });
    assert.deepEqual(await leftOfBgp(), []);
  });

  it("only announces in Cilium's place: the router learns and forwards, the nodes keep their default route", async () => {
    const peer = { address: "172.30.0.1", asn: 64_513 };
    const found = await confirmed({ mode: "native", routes: { kind: "bgp", speaker: "cilium", peer } });
    assert.equal(found.get("BGP session with router"), "Established, 0 learned, 1 announced");
    assert.equal(found.get("route to 10.42.1.0/24"), "none of its own");
    assert.equal(await learned("node-1"), "");
    assert.match(await learned("network"), /10\.42\.1\.0\/24 via 172\.30\.0\.6 /);
  });

  it("has a configuration that BIRD understands, whatever its peers are called", async () => {
    const names = ["router", "import", "pods", "rack.7", "node-1"];
    const peers = names.map((name, index) => ({ name, address: `172.30.0.${index + 2}`, asn: 64_512 }));
    const file = path.join(lab.folder, "bird.conf");
    writeFileSync(file, routerBird(peers, { address: "172.30.0.1", asn: 4_294_967_295, pool: "10.42.0.0/16" }));
    await command("bird", "-p", "-c", file);
  });

  it("leaves nothing when destroyed while daemons run", async () => {
    assert.notDeepEqual(await leftOfBgp(), []);
    await lab.destroy();
    assert.deepEqual(await lab.leftovers(), []);
    assert.deepEqual(
      (await command("ps", "-eo", "args")).split("\n").filter((line) => line.includes(`${lab.prefix}node-1.bird`)),
      [],
    );
  });
});
