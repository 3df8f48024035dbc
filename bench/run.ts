// `npm run bench`: compares the lab with the least that could do the same, side by side in one run.
//   npm run bench            all comparisons
//   npm run bench -- preview up up-64 throughput
import { spawn, execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { median } from "simple-statistics";
import type { EmbeddedNode } from "../components/embedded-lab.ts";
import { run as runSchema } from "../datapath/run.ts";
import { embeddedLabTools, ensureTools } from "../cli/tools.ts";
import { openStack, root, type OpenStack } from "../cli/workspace.ts";
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
  const envVars = { ...engine.environment, PULUMI_BACKEND_URL: `file://${folder}`, PULUMI_CONFIG_PASSPHRASE: "bench" };
  const pulumiCommand = await PulumiCommand.get({ root: engine.pulumiRoot, skipVersionCheck: true });
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: "empty", workDir: folder },
    { pulumiCommand, envVars },
  );
  return { stack, configFile: path.join(folder, "Pulumi.empty.yaml"), usedConfig: {} };
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
        console.log(`    of it verification                ${figures(times.verification)} s`);
        console.log(`  engine floor: up of an empty program ${figures(times.floor)} s`);
        console.log(`  shell script, same topology          ${figures(times.shell)} s`);
        console.log(`  lab − floor  ${(median(times.lab) - median(times.floor)).toFixed(2)} s`);
      }),
    );
}

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
        const [from, to] = outputs["nodes"]?.value as [EmbeddedNode, EmbeddedNode];
        const byHand: number[] = [];
        for (let round = 0; round < samples.samples; round += 1) byHand.push(await iperf3ByHand(from, to));
        const byLab = (run.throughput.podToPod["1"]?.samples ?? []).map((value) => value / 1e9);
        console.log(`  lab      ${figures(byLab)} Gbit/s`);
        console.log(`  by hand  ${figures(byHand)} Gbit/s`);
        console.log(`  ratio    ${(median(byLab) / median(byHand)).toFixed(3)}`);
      } finally {
        await lab.stack.destroy({ configFile: lab.configFile, showSecrets: false });
      }
    }),
};

async function iperf3ByHand(from: EmbeddedNode, to: EmbeddedNode): Promise<number> {
  const server = spawn("ip", ["netns", "exec", to.pod.namespace, "iperf3", "-s", "-1", "-p", "5999", "--forceflush"]);
  await new Promise<void>((resolve) => server.stdout.once("data", () => resolve()));
  const client = ["netns", "exec", from.pod.namespace, "iperf3", "-c", to.pod.address, "-p", "5999", "-t", "2", "-J"];
  try {
    const { stdout } = await execute("ip", client);
    const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    server.kill("SIGKILL");
  }
}

const comparisons: readonly Comparison[] = [
  preview,
  { name: "up", about: "three nodes from nothing (aim: engine floor plus 3 s)", run: up(3, 3) },
  { name: "up-64", about: "64 nodes from nothing (aim: under 20 s)", run: up(64, 1) },
  throughput,
];

const chosen = process.argv.slice(2);
await ensureTools(embeddedLabTools, log);
for (const { name, about, run } of comparisons.filter((entry) => chosen.length === 0 || chosen.includes(entry.name))) {
  console.log(`\n${name}: ${about}`);
  await run();
}
