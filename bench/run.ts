// `npm run bench`: compares the lab with the least that could do the same, side by side in one run.
//   npm run bench            all comparisons
//   npm run bench -- preview up up-64 throughput ratio machines
import { spawn, execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { once } from "node:events";
import path from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { geometricMean, median } from "simple-statistics";
import { z } from "zod";
import { compareRuns, inPercent } from "../datapath/run/comparison.ts";
import { run as runSchema, type Run } from "../datapath/run/run.ts";
import { factorBetween } from "../datapath/run/statistics.ts";
import { embeddedLabTools } from "../cli/tools.ts";
import { ensurePackages } from "../offline/packages.ts";
import { openStack, root, stateIn, type OpenStack } from "../cli/workspace.ts";
import { ensureEngine } from "../offline/engine.ts";

const execute = promisify(execFile);
const log = (line: string): void => console.error(line);

interface Comparison {
  readonly name: string;
  readonly about: string;
  readonly run: () => Promise<void>;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function figures(values: readonly number[], digits = 2): string {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return `${median([...values]).toFixed(digits)} (${low} – ${high})`;
}

/** A folder that is gone when `work` ends. */
async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-bench-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A TypeScript program with nothing in it, run by the same engine in the same way as the lab. */
async function openEmpty(folder: string): Promise<OpenStack> {
  const engine = await ensureEngine({ log });
  const project = await readFile(path.join(root, "Pulumi.yaml"), "utf8");
  await writeFile(path.join(folder, "Pulumi.yaml"), project.slice(0, project.search(/^config:/m) >>> 0));
  await writeFile(path.join(folder, "package.json"), JSON.stringify({ type: "module", main: "index.ts" }));
  await writeFile(
    path.join(folder, "index.ts"),
    'import * as pulumi from "@pulumi/pulumi";\nexport const stack = pulumi.getStack();\n',
  );
  await symlink(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  const envVars = { ...engine.environment, PULUMI_BACKEND_URL: stateIn(folder), PULUMI_CONFIG_PASSPHRASE: "bench" };
  const pulumiCommand = await PulumiCommand.get({ root: engine.pulumiRoot, skipVersionCheck: true });
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: "empty", workDir: folder },
    { pulumiCommand, envVars },
  );
  return { stack, configFile: path.join(folder, "Pulumi.empty.yaml") };
}

const bare = {
  samples: 1,
  durationSeconds: 1,
  streams: [1],
  udpMegabitsPerSecond: 0,
  latencyUnderLoad: false,
  sameNode: false,
};

function labConfig(
  folder: string,
  count: number,
  datapath: object,
  verification: object = bare,
): Record<string, unknown> {
  return {
    machines: { kind: "namespaces", count, network: "172.30.0.0/24" },
    datapath,
    verification: { ...verification, runsFolder: path.relative(root, path.join(folder, "runs")) },
  };
}

const preview: Comparison = {
  name: "preview",
  about: "preview of the lab against preview of an empty program on the same engine (aim: at most 1.3)",
  run: () =>
    inFolder(async (folder) =>
      inFolder(async (emptyFolder) => {
        const lab = await openStack("bench-preview", labConfig(folder, 3, { mode: "vxlan" }), log, folder);
        const empty = await openEmpty(emptyFolder);
        const times: { lab: number[]; empty: number[] } = { lab: [], empty: [] };
        for (let round = 0; round < 6; round += 1) {
          const one = await seconds(() => lab.stack.preview({ configFile: lab.configFile }));
          const other = await seconds(() => empty.stack.preview());
          // The first round fills caches.
          if (round === 0) continue;
          times.lab.push(one);
          times.empty.push(other);
        }
        console.log(`  lab    ${figures(times.lab)} s`);
        console.log(`  empty  ${figures(times.empty)} s`);
        console.log(`  ratio  ${(median(times.lab) / median(times.empty)).toFixed(2)}`);
      }),
    ),
};

/** The same topology by ip(8) alone: namespaces, veth pairs, a bridge, VXLAN devices with their routes. */
function shellTopology(count: number): string {
  const lines = [
    "set -eu",
    "ip netns add bench-net",
    "ip -n bench-net link add bridge type bridge",
    "ip -n bench-net link set bridge up",
  ];
  const nodes = Array.from({ length: count }, (_, index) => index);
  const address = (index: number): string => `172.30.0.${index * 4 + 2}`;
  const ethernet = (index: number): string => `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`;
  for (const index of nodes) {
    const node = `bench-${index}`;
    lines.push(
      `ip netns add ${node}`,
      `ip netns add ${node}-pod`,
      `ip link add eth0 netns ${node} type veth peer name n${index} netns bench-net`,
      `ip -n bench-net link set n${index} master bridge up`,
      `ip link add eth0 netns ${node}-pod type veth peer name lxc netns ${node}`,
      `ip -n ${node} address add ${address(index)}/24 dev eth0`,
      `ip -n ${node} link set eth0 up`,
      `ip -n ${node} link set lxc up`,
      `ip -n ${node}-pod link set eth0 up`,
      `ip netns exec ${node} sysctl -qw net.ipv4.ip_forward=1`,
      `ip -n ${node} link add cilium_vxlan address ${ethernet(index)} type vxlan external dstport 8472`,
      `ip -n ${node} link set cilium_vxlan up`,
      `ip -n ${node} -batch - <<'ROUTES'`,
      ...nodes
        .filter((peer) => peer !== index)
        .flatMap((peer) => [
          `neigh replace 10.42.${peer}.1 lladdr ${ethernet(peer)} dev cilium_vxlan nud permanent`,
          `route replace 10.42.${peer}.0/24 encap ip id 2 dst ${address(peer)} via 10.42.${peer}.1 dev cilium_vxlan onlink mtu 1450`,
        ]),
      "ROUTES",
    );
  }
  return `${lines.join("\n")}\n`;
}

function removeShellTopology(count: number): string {
  const names = Array.from({ length: count }, (_, index) => [`bench-${index}`, `bench-${index}-pod`]).flat();
  return ["bench-net", ...names].map((name) => `ip netns del ${name} 2>/dev/null || true\n`).join("");
}

async function shell(script: string): Promise<void> {
  const child = spawn("sh", [], { stdio: ["pipe", "inherit", "inherit"] });
  child.stdin.end(script);
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`the shell script ended with ${String(code)}`);
}

function up(count: number, rounds: number): () => Promise<void> {
  return () =>
    inFolder(async (folder) =>
      inFolder(async (emptyFolder) => {
        const empty = await openEmpty(emptyFolder);
        const lab = await openStack("bench-up", labConfig(folder, count, { mode: "vxlan" }), log, folder);
        const times: { lab: number[]; floor: number[]; shell: number[]; verification: number[] } = {
          lab: [],
          floor: [],
          shell: [],
          verification: [],
        };
        for (let round = 0; round < rounds; round += 1) {
          try {
            let sampled = 0;
            let verifying = 0;
            const whole = await seconds(async () => {
              const { outputs } = await lab.stack.up({ configFile: lab.configFile, showSecrets: false });
              const run = runSchema.parse(outputs["verification"]?.value);
              sampled = run.samples.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
              verifying = run.elapsedSeconds - sampled;
            });
            times.lab.push(whole - sampled);
            times.verification.push(verifying);
            times.floor.push(await seconds(() => empty.stack.up({ showSecrets: false })));
            try {
              times.shell.push(await seconds(() => shell(shellTopology(count))));
            } finally {
              await shell(removeShellTopology(count));
            }
          } finally {
            await lab.stack.destroy({ configFile: lab.configFile, showSecrets: false });
            await empty.stack.destroy({ showSecrets: false });
          }
        }
        console.log(`  lab, without the samples' own time  ${figures(times.lab)} s`);
        console.log(
          `    of it verification                ${figures(times.verification)} s${aimOfVerification(count)}`,
        );
        console.log(`  engine floor: up of an empty program ${figures(times.floor)} s`);
        console.log(`  shell script, same topology          ${figures(times.shell)} s`);
        console.log(`  lab − floor  ${(median(times.lab) - median(times.floor)).toFixed(2)} s`);
        verificationSeconds.set(count, median(times.verification));
        console.log(growthOfVerification(count));
      }),
    );
}

/** Median seconds of verification beyond the samples' own, by number of nodes, as far as they were measured in this call. */
const verificationSeconds = new Map<number, number>();
const fewNodes = 3;

function aimOfVerification(count: number): string {
  return count === fewNodes ? " (aim: at most 5 s)" : "";
}

/** Linear growth at most: so many times as long as there are times as many nodes. */
function growthOfVerification(count: number): string {
  const [few, these] = [verificationSeconds.get(fewNodes), verificationSeconds.get(count)];
  if (count === fewNodes || few === undefined || these === undefined) {
    return `  verification a node  ${((these ?? NaN) / count).toFixed(2)} s`;
  }
  const aim = (count / fewNodes).toFixed(1);
  return `  verification of ${count} nodes against ${fewNodes}  ${(these / few).toFixed(1)} times as long (aim: linear, at most ${aim})`;
}

const benchNode = z.object({ pod: z.object({ namespace: z.string(), address: z.string() }) });
const benchNodes = z.tuple([benchNode, benchNode]);

const throughput: Comparison = {
  name: "throughput",
  about: "the lab's native pod-to-pod samples against iperf3 by hand in the same namespaces (aim: medians within 5 %)",
  run: () =>
    inFolder(async (folder) => {
      const samples = { ...bare, samples: 7, durationSeconds: 2 };
      const config = labConfig(folder, 2, { mode: "native" }, samples);
      const lab = await openStack("bench-throughput", config, log, folder);
      try {
        const { outputs } = await lab.stack.up({ configFile: lab.configFile, showSecrets: false });
        const run = runSchema.parse(outputs["verification"]?.value);
        const [from, to] = benchNodes.parse(outputs["nodes"]?.value);
        const measured: number[] = [];
        for (let round = 0; round < samples.samples; round += 1)
          measured.push(
            await iperf3ByHand(from.pod.namespace, to.pod.namespace, to.pod.address, samples.durationSeconds),
          );
        const byLab = (run.throughput.podToPod["1"]?.samples ?? []).map((value) => value / 1e9);
        console.log(`  lab      ${figures(byLab)} Gbit/s`);
        console.log(`  by hand  ${figures(measured)} Gbit/s`);
        console.log(`  ratio    ${(median(byLab) / median(measured)).toFixed(3)}`);
      } finally {
        await lab.stack.destroy({ configFile: lab.configFile, showSecrets: false });
      }
    }),
};

const iperf3Report = z.object({ end: z.object({ sum_received: z.object({ bits_per_second: z.number() }) }) });

/** Gbit/s of one TCP stream between two namespaces. Throws where it does not start or end in time. */
async function iperf3ByHand(from: string, to: string, address: string, durationSeconds: number): Promise<number> {
  const server = spawn("ip", ["netns", "exec", to, "iperf3", "-s", "-1", "-p", "5999", "--forceflush"]);
  const client = ["netns", "exec", from, "iperf3", "-c", address, "-p", "5999", "-t", `${durationSeconds}`, "-J"];
  try {
    await once(server.stdout, "data", { signal: AbortSignal.timeout(10_000) });
    const { stdout } = await execute("ip", client, { timeout: (durationSeconds + 30) * 1000 });
    const { end } = iperf3Report.parse(JSON.parse(stdout));
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    server.kill("SIGKILL");
  }
}

/** Two nodes with a pod each on a bridge, by ip(8) alone. `datapath` sets the routes; nothing of the lab's plan is used. */
const byHand = {
  up: `set -eu
ip netns add hand-net
ip -n hand-net link add bridge type bridge
ip -n hand-net link set bridge up
for i in 1 2; do
  ip netns add hand-$i
  ip netns add hand-$i-pod
  ip link add eth0 netns hand-$i type veth peer name port$i netns hand-net
  ip -n hand-net link set port$i master bridge up
  ip link add eth0 netns hand-$i-pod type veth peer name pod netns hand-$i
  ip netns exec hand-$i sysctl -qw net.ipv4.ip_forward=1
  ip -n hand-$i address add 192.168.77.$i/24 dev eth0
  ip -n hand-$i address add 10.77.$i.1/32 dev lo
  ip -n hand-$i link set eth0 up
  ip -n hand-$i link set pod up
  ip -n hand-$i route add 10.77.$i.10/32 dev pod
  ip -n hand-$i link add tunnel type vxlan id 7 remote 192.168.77.$((3 - i)) dstport 4789
  ip -n hand-$i address add 192.168.78.$i/24 dev tunnel
  ip -n hand-$i link set tunnel up
  ip -n hand-$i-pod address add 10.77.$i.10/32 dev eth0
  ip -n hand-$i-pod link set eth0 up
  ip -n hand-$i-pod route add 10.77.$i.1 dev eth0
done
`,
  datapath: (name: "vxlan" | "native"): string => `set -eu
for i in 1 2; do
  ip -n hand-$i route replace 10.77.$((3 - i)).0/24 via 192.168.${name === "vxlan" ? 78 : 77}.$((3 - i))
  ip -n hand-$i-pod route replace default via 10.77.$i.1 ${name === "vxlan" ? "mtu 1450" : ""}
  ip -n hand-$i-pod route flush cache
done
`,
  down: "for name in hand-net hand-1 hand-2 hand-1-pod hand-2-pod; do ip netns del $name 2>/dev/null || true; done\n",
};

const ratio: Comparison = {
  name: "ratio",
  about:
    "native against VXLAN: by compare's own figures, and by ip and iperf3 in namespaces made by hand (aim: compare's interval holds what was found by hand)",
  run: () =>
    inFolder(async (folder) => {
      const modes = ["vxlan", "native"] as const;
      const settings = { ...bare, samples: 3 };
      const runs: Record<(typeof modes)[number], Run[]> = { vxlan: [], native: [] };
      const hand: Record<(typeof modes)[number], number[]> = { vxlan: [], native: [] };
      let opened: OpenStack | undefined;
      await shell(byHand.down);
      await shell(byHand.up);
      try {
        for (let round = 1; round <= 3; round += 1) {
          for (const mode of round % 2 === 1 ? modes : modes.toReversed()) {
            const config = labConfig(folder, 2, { mode }, { ...settings, occasion: `${round}` });
            opened = await openStack("bench-ratio", config, log, folder);
            const { outputs } = await opened.stack.up({ configFile: opened.configFile, showSecrets: false });
            runs[mode].push(runSchema.parse(outputs["verification"]?.value));
            await shell(byHand.datapath(mode));
            const samples: number[] = [];
            for (let sample = 0; sample < settings.samples; sample += 1) {
              samples.push(await iperf3ByHand("hand-1-pod", "hand-2-pod", "10.77.2.10", settings.durationSeconds));
            }
            // One observation a turn, as compare has it from two runs a side on.
            hand[mode].push(geometricMean(samples));
          }
        }
      } finally {
        await opened?.stack.destroy({ configFile: opened.configFile, showSecrets: false });
        await shell(byHand.down);
      }
      const { differences } = compareRuns(runs.vxlan, runs.native);
      const byLab = differences.find(({ path: name, protocol }) => name === "podToPod" && protocol === "tcp")?.absolute;
      const plain = factorBetween(hand.native, hand.vxlan);
      if (byLab?.confidence === undefined || plain?.confidence === undefined) throw new Error("too few samples");
      const { lower, upper } = byLab.confidence;
      const agree = lower <= plain.factor && plain.factor <= upper;
      const overlap = lower <= plain.confidence.upper && plain.confidence.lower <= upper;
      console.log(`  lab      native against VXLAN ${inPercent(byLab)}`);
      console.log(`  by hand  native against VXLAN ${inPercent(plain)}`);
      // Intervals as wide as that hold almost any answer.
      const isVague = [byLab.confidence, plain.confidence].some((one) => one.upper / one.lower > 1.5);
      if (isVague) console.log("  too wide to tell whether they agree: leave the machine alone and run it again");
      console.log(`  compare's interval ${agree ? "holds" : "does not hold"} the figure found by hand`);
      console.log(`  the two 95 % intervals ${overlap ? "overlap" : "do not overlap"}`);
    }),
};

const comparisons: readonly Comparison[] = [
  preview,
  { name: "up", about: "three nodes from nothing (aim: engine floor plus 3 s)", run: up(3, 3) },
  { name: "up-64", about: "64 nodes from nothing (aim: under 20 s)", run: up(64, 1) },
  throughput,
  ratio,
  {
    name: "machines",
    about: "three virtual machines ready, against a virsh script (aim: at most 1.3)",
    run: async () => (await import("./machines.ts")).machinesUp(log),
  },
];

const chosen = process.argv.slice(2);
await ensurePackages(embeddedLabTools, log);
for (const { name, about, run } of comparisons.filter((entry) => chosen.length === 0 || chosen.includes(entry.name))) {
  console.log(`\n${name}: ${about}`);
  await run();
}
