import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { UpResult } from "@pulumi/pulumi/automation/index.js";
import type { EmbeddedNode } from "../../components/embedded-lab.ts";
import { run as runSchema } from "../../datapath/run/run.ts";
import { command, exitStatus, identity, inNamespace, nodesOf, TestLab, until } from "./support.ts";

/** Counts packets on a node's NIC that match a filter while one pod pings another ten times. */
async function countOnWire(node: EmbeddedNode, filter: string, from: EmbeddedNode, to: EmbeddedNode): Promise<number> {
  const options = ["-Z", "root", "-i", "eth0", "-n", "--immediate-mode", "-w", "-", filter];
  const capture = spawn("ip", ["netns", "exec", node.namespace, "tcpdump", ...options]);
  const bytes: Buffer[] = [];
  capture.stdout.on("data", (chunk: Buffer) => bytes.push(chunk));
  let said = "";
  capture.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await until("tcpdump listens", 10, () => said.includes("listening on"));
  await inNamespace(from.pod.namespace, "ping", "-q", "-c", "10", "-i", "0.02", to.pod.address);
  capture.kill("SIGINT");
  await once(capture, "close");
  return Number(/(?<count>\d+) packets? captured/.exec(said)?.groups?.["count"]);
}

async function pings(from: EmbeddedNode, to: string, packetBytes: number): Promise<boolean> {
  const size = String(packetBytes - 28);
  return (
    (await exitStatus("ip", "netns", "exec", from.pod.namespace, "ping", "-M", "do", "-c1", "-W1", "-s", size, to)) ===
    0
  );
}

/** Megabits per second between two pods, by an iperf3 of the test's own. */
async function iperf3(from: EmbeddedNode, to: EmbeddedNode): Promise<number> {
  const server = spawn("ip", ["netns", "exec", to.pod.namespace, "iperf3", "-s", "-1", "-p", "5999", "--forceflush"]);
  let said = "";
  server.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  try {
    await until("iperf3 listens", 10, () => said.includes("listening"));
    const json = await inNamespace(from.pod.namespace, "iperf3", "-c", to.pod.address, "-p", "5999", "-t", "1", "-J");
    const { end } = JSON.parse(json) as { end: { sum_received: { bits_per_second: number } } };
    return end.sum_received.bits_per_second / 1e6;
  } finally {
    server.kill("SIGKILL");
  }
}

function verified({ outputs }: UpResult): void {
  const run = runSchema.parse(outputs["verification"]?.value);
  assert.equal(run.verdict, "confirmed", JSON.stringify(run.checks.filter(({ ok }) => ok !== true)));
  assert.ok(run.nodes.every(({ device }) => device === "eth0"));
  assert.equal(run.throughput.podToPod["1"]?.samples.length, 1);
  assert.ok((run.throughput.nodeToNode["1"]?.median ?? 0) > 1e6);
}

describe("the embedded lab, one lab through its datapaths", function () {
  this.timeout(300_000);
  let lab: TestLab;
  let identities: number[];

  const pair = (result: UpResult): [EmbeddedNode, EmbeddedNode] => {
    const [one, other] = nodesOf(result);
    assert(one !== undefined && other !== undefined);
    return [one, other];
  };
  const allIdentities = (result: UpResult): number[] =>
    nodesOf(result).flatMap(({ namespace, pod }) => [identity(namespace), identity(pod.namespace)]);

  before(async () => {
    lab = await TestLab.create("modes");
  });
  after(() => lab.dispose());

  it("builds VXLAN: pods talk inside UDP 8472, with the tunnel's MTU on the routes", async () => {
    const hostLinks = await command("ip", "-br", "link");
    const result = await lab.up({ datapath: { mode: "vxlan" } });
    verified(result);
    const [one, other] = pair(result);
    assert.equal(await command("ip", "-br", "link"), hostLinks, "nothing is added to the host's network");
    assert.match(
      await command("ip", "-n", one.namespace, "-d", "link", "show", "cilium_vxlan"),
      /vxlan external .*dstport 8472/,
    );
    assert.match(
      await command("ip", "-n", one.namespace, "route", "show", other.podCidr),
      /dev cilium_vxlan .*mtu 1450/,
    );
    assert.ok((await countOnWire(one, "udp port 8472", one, other)) >= 20);
    assert.equal(await countOnWire(one, "icmp and net 10.42.0.0/16", one, other), 0);
    assert.ok(await pings(one, other.pod.address, 1450));
    assert.ok(!(await pings(one, other.pod.address, 1451)));
    assert.ok((await iperf3(one, other)) > 1);
    identities = allIdentities(result);
  });

  it("a second up changes nothing", async () => {
    const { summary } = await lab.up({ datapath: { mode: "vxlan" } });
    assert.deepEqual(Object.keys(summary.resourceChanges ?? {}), ["same"]);
  });

  it("previews the change to native as links and routes that go and come, and changes nothing", async () => {
    const { stdout } = await lab.preview({ datapath: { mode: "native" } });
    assert.match(stdout, /~ cilium_vxlan\s*: "vxlan, UDP 8472, up" => "absent"/);
    assert.match(
      stdout,
      /~ 10\.42\.1\.0\/24: "via 10\.42\.1\.1 dev cilium_vxlan mtu 1450 to 172\.30\.0\.6" => "via 172\.30\.0\.6 dev eth0"/,
    );
    assert.match(stdout, /~ mode\s*: "vxlan" => "native"/);
    assert.doesNotMatch(stdout, /route replace/, "no script's text");
  });

  it("switches to native with direct routes in place, and no learned path MTU outlives it", async () => {
    const { stdout } = await lab.preview({ datapath: { mode: "native" } });
    assert.doesNotMatch(stdout, /replace\)/);
    const result = await lab.up({ datapath: { mode: "native" } });
    verified(result);
    const [one, other] = pair(result);
    assert.deepEqual(allIdentities(result), identities, "nodes and pods were not rebuilt");
    assert.notEqual(await exitStatus("ip", "-n", one.namespace, "link", "show", "cilium_vxlan"), 0);
    assert.match(
      await command("ip", "-n", one.namespace, "route", "show", other.podCidr),
      new RegExp(`via ${other.address} dev eth0`),
    );
    assert.equal(await countOnWire(one, "udp", one, other), 0);
    assert.ok((await countOnWire(one, "icmp and net 10.42.0.0/16", one, other)) >= 20);
    assert.ok(await pings(one, other.pod.address, 1500));
    assert.ok(!(await pings(one, other.pod.address, 1501)));
    assert.ok((await iperf3(one, other)) > 1);
  });

  it("masquerades pod traffic that leaves the native routing CIDR", async () => {
    const result = await lab.up({ datapath: { mode: "native" } });
    const [one, other] = pair(result);
    const options = [
      "-Z",
      "root",
      "-i",
      "eth0",
      "-n",
      "--immediate-mode",
      "-l",
      "-c",
      "1",
      "icmp[icmptype] == icmp-echo",
    ];
    const capture = spawn("ip", ["netns", "exec", other.namespace, "tcpdump", ...options]);
    let said = "";
    capture.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    capture.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await until("tcpdump listens", 10, () => said.includes("listening on"));
    await inNamespace(one.pod.namespace, "ping", "-c", "1", "-W", "1", other.address);
    await once(capture, "close");
    assert.match(said, new RegExp(`IP ${one.address} > ${other.address}: ICMP echo request`));
  });

  it("puts the nodes on subnets of their own, with a router that knows every pod CIDR", async () => {
    const result = await lab.up({ datapath: { mode: "native", routes: { kind: "router" } } });
    verified(result);
    const [one, other] = pair(result);
    assert.deepEqual(allIdentities(result), identities);
    assert.match(await command("ip", "-n", one.namespace, "-4", "-br", "address", "show", "eth0"), /172\.30\.0\.2\/30/);
    assert.equal(await command("ip", "-n", one.namespace, "route", "show", other.podCidr), "");
    assert.match(
      await command("ip", "-n", `${lab.prefix}network`, "route", "show", other.podCidr),
      new RegExp(`via ${other.address}`),
    );
    assert.ok((await countOnWire(one, "icmp and net 10.42.0.0/16", one, other)) >= 20);
    assert.ok(await pings(one, other.pod.address, 1500));
    assert.match(
      await inNamespace(one.pod.namespace, "ping", "-c1", other.pod.address),
      /ttl=61/,
      "one hop more than on a bridge",
    );
  });

  it("goes from the router back to VXLAN on one subnet", async () => {
    const result = await lab.up({ datapath: { mode: "vxlan" } });
    verified(result);
    assert.equal(await command("ip", "-n", `${lab.prefix}network`, "route", "show", "10.42.0.0/24"), "");
    assert.deepEqual(allIdentities(result), identities);
  });

  it("builds Geneve where the kernel has it, and else refuses before anything is changed", async () => {
    const hasGeneve =
      (await exitStatus("unshare", "--net", "ip", "link", "add", "probe", "type", "geneve", "external")) === 0;
    if (hasGeneve) {
      const result = await lab.up({ datapath: { mode: "geneve" } });
      verified(result);
      const [one, other] = pair(result);
      assert.ok((await countOnWire(one, "udp port 6081", one, other)) >= 20);
    } else {
      await assert.rejects(
        lab.preview({ datapath: { mode: "geneve" } }),
        /datapath-lab:datapath\.mode\s+this machine's kernel has no geneve links .*\s+Choose vxlan or native/,
      );
      assert.equal(lab.namespaces().length, 8, "the lab that stood still stands");
    }
  });

  it("takes a node away and adds one", async () => {
    const fewer = await lab.up({ machines: { kind: "namespaces", count: 2 }, datapath: { mode: "vxlan" } });
    verified(fewer);
    assert.equal(lab.namespaces().length, 6);
    const more = await lab.up({ machines: { kind: "namespaces", count: 4 }, datapath: { mode: "vxlan" } });
    verified(more);
    assert.equal(lab.namespaces().length, 10);
  });

  it("destroys everything", async () => {
    await lab.destroy();
    assert.deepEqual(await lab.leftovers(), []);
  });
});
