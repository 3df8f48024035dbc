import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../cli/workspace.ts";
import { run as runSchema } from "../../datapath/run/run.ts";
import type { VerificationSpec } from "../../verification/spec.ts";
import { command, specOf, TestLab, verify } from "./support.ts";

/** Something done to a standing lab by hand, how it is undone, and what the verdict has to name. */
interface Sabotage {
  readonly title: string;
  readonly commands: (lab: string) => string[];
  readonly undo: (lab: string) => string[];
  readonly names: RegExp[];
}

const one = (lab: string): string => `ip -n ${lab}node-1`;

const onVxlan: Sabotage[] = [
  {
    title: "an MTU lowered on a node's NIC",
    commands: (lab) => [`${one(lab)} link set eth0 mtu 1400`],
    undo: (lab) => [`${one(lab)} link set eth0 mtu 1500`],
    names: [/node-1: path MTU to node-2's pod\n\s+expected: 1450 bytes\n\s+found:\s+13\d\d bytes/],
  },
  {
    title: "the tunnel on another port",
    commands: (lab) => [
      `${one(lab)} link del cilium_vxlan`,
      `${one(lab)} link add cilium_vxlan type vxlan external dstport 4789`,
      `${one(lab)} link set cilium_vxlan up`,
    ],
    undo: () => [],
    names: [
      /node-1: link cilium_vxlan\n\s+expected: vxlan, UDP 8472, up\n\s+found:\s+vxlan, UDP 4789, up/,
      /node-1: route to 10\.42\.1\.0\/24\n\s+expected: via 10\.42\.1\.1 dev cilium_vxlan mtu 1450 to 172\.30\.0\.6\n\s+found:\s+none of its own/,
    ],
  },
];

const onNative: Sabotage[] = [
  {
    title: "a VXLAN device left behind",
    commands: (lab) => [`${one(lab)} link add cilium_vxlan type vxlan external dstport 8472`],
    undo: (lab) => [`${one(lab)} link del cilium_vxlan`],
    names: [/node-1: link cilium_vxlan\n\s+expected: absent\n\s+found:\s+vxlan, UDP 8472, down/],
  },
  {
    title: "one route gone",
    commands: (lab) => [`${one(lab)} route del 10.42.1.0/24`],
    undo: (lab) => [`${one(lab)} route add 10.42.1.0/24 via 172.30.0.6 dev eth0`],
    names: [
      /node-1: route to 10\.42\.1\.0\/24\n\s+expected: via 172\.30\.0\.6 dev eth0\n\s+found:\s+none of its own/,
      /node-1: path MTU to node-2's pod\n\s+expected: 1500 bytes\n\s+found:\s+no packet passes/,
    ],
  },
  {
    title: "a route that nobody planned",
    commands: (lab) => [`${one(lab)} route add 10.42.200.0/24 via 172.30.0.6 dev eth0`],
    undo: (lab) => [`${one(lab)} route del 10.42.200.0/24`],
    names: [
      /node-1: other routes to pods\n\s+expected: none\n\s+found:\s+10\.42\.200\.0\/24 via 172\.30\.0\.6 dev eth0/,
    ],
  },
  {
    title: "a pod that keeps the old mode's MTU",
    commands: (lab) => [`${one(lab)}:pod route replace default via 10.42.0.1 dev eth0 mtu 1450`],
    undo: (lab) => [`${one(lab)}:pod route replace default via 10.42.0.1 dev eth0`],
    names: [
      /node-1: MTU on the pod's default route\n\s+expected: the device's\n\s+found:\s+1450/,
      /node-1: path MTU to node-2's pod\n\s+expected: 1500 bytes\n\s+found:\s+1450 bytes/,
    ],
  },
  {
    title: "traffic diverted through a tunnel under another name",
    commands: (lab) => [
      ...[1, 2].flatMap((number) => [
        `ip -n ${lab}node-${number} link add sneak address 02:00:00:00:00:0${number} type vxlan id 7 remote 172.30.0.${number === 1 ? 6 : 2} dstport 9999 nolearning`,
        `ip -n ${lab}node-${number} link set sneak up`,
        `ip -n ${lab}node-${number} neigh add 10.42.${2 - number}.1 lladdr 02:00:00:00:00:0${3 - number} dev sneak nud permanent`,
        `ip -n ${lab}node-${number} route add 10.42.${2 - number}.10/32 via 10.42.${2 - number}.1 dev sneak onlink`,
      ]),
    ],
    undo: (lab) => [1, 2].map((number) => `ip -n ${lab}node-${number} link del sneak`),
    names: [
      /node-1: pod packets on the wire inside UDP 9999\n\s+expected: none\n\s+found:\s+\d+ packets/,
      /node-1: route looked up for node-2's pod\n\s+expected: via 172\.30\.0\.6 dev eth0\n\s+found:\s+via 10\.42\.1\.1 dev sneak/,
    ],
  },
  {
    title: "masquerading switched off",
    commands: (lab) => [`ip netns exec ${lab}node-1 nft delete table ip datapath_lab`],
    undo: () => [],
    names: [
      /node-1: source of the pod's packets at node-2\n\s+expected: 172\.30\.0\.2 \(masqueraded\)\n\s+found:\s+10\.42\.0\.10 \(the pod's own\)/,
    ],
  },
];

describe("a datapath that is not what was asked for", function () {
  this.timeout(300_000);

  for (const [datapath, sabotages] of [
    [{ mode: "vxlan" }, onVxlan],
    [{ mode: "native" }, onNative],
  ] as const) {
    describe(`asked for: ${datapath.mode}`, () => {
      let lab: TestLab;
      let spec: VerificationSpec;
      before(async () => {
        lab = await TestLab.create("broken");
        spec = specOf(lab, await lab.up({ datapath }));
      });
      after(() => lab.dispose());

      for (const { title, commands, undo, names } of sabotages) {
        it(`contradicted by ${title}`, async () => {
          for (const line of commands(lab.prefix)) await command(...line.split(" "));
          try {
            const { exitCode, stdout, stderr } = await verify(spec);
            assert.match(stderr, /CONTRADICTED: \d+ of \d+ checks speak against the datapath that was asked for/);
            for (const name of names) assert.match(stderr, name);
            assert.equal(exitCode, 1);
            assert.equal(stdout, "", "what failed is no run to build on");
            const newest = readdirSync(lab.runsFolder).sort().at(-1);
            assert(newest !== undefined);
            const kept = runSchema.parse(JSON.parse(readFileSync(path.join(lab.runsFolder, newest), "utf8")));
            assert.equal(kept.verdict, "contradicted");
          } finally {
            for (const line of undo(lab.prefix)) await command(...line.split(" "));
          }
        });
      }
    });
  }

  it("fails the update, and the next up goes on from there", async () => {
    const lab = await TestLab.create("enforced");
    try {
      await lab.up({ datapath: { mode: "vxlan" } });
      // A guard that comes first in the node's own table of rules: no route of the plan is touched.
      await command("ip", "-n", `${lab.prefix}node-1`, "rule", "add", "to", "10.42.1.0/24", "prohibit");
      const native = { datapath: { mode: "native" } };
      await assert.rejects(
        lab.up(native),
        /CONTRADICTED: [\s\S]*node-1: route looked up for node-2's pod\s+expected: via 172\.30\.0\.6 dev eth0\s+found:\s+no route/,
      );
      const report = await lab.up({ ...native, verification: { enforce: false } });
      assert.equal((report.outputs["verification"]?.value as { verdict: string }).verdict, "contradicted");
      await command("ip", "-n", `${lab.prefix}node-1`, "rule", "del", "to", "10.42.1.0/24");
      const mended = await lab.up(native);
      assert.equal((mended.outputs["verification"]?.value as { verdict: string }).verdict, "confirmed");
    } finally {
      await lab.dispose();
    }
  });

  it("ends its servers and captures when it is interrupted", async () => {
    const lab = await TestLab.create("interrupted");
    try {
      const spec = specOf(lab, await lab.up({ datapath: { mode: "vxlan" } }));
      const settings = { ...spec.settings, durationSeconds: 60 };
      const child = spawn(process.execPath, ["--import", "tsx", "verification/main.ts"], { cwd: root });
      child.stdin.end(JSON.stringify({ ...spec, settings }));
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      const running = async (): Promise<string> =>
        (await command("ip", "netns", "pids", `${lab.prefix}node-2:pod`)).trim();
      while (!stderr.includes("latency")) await once(child.stderr, "data");
      assert.notEqual(await running(), "");
      child.kill("SIGINT");
      await once(child, "close");
      assert.match(stderr, /verification failed: interrupted \(SIGINT\)/);
      assert.equal(await running(), "");
    } finally {
      await lab.dispose();
    }
  });
});
