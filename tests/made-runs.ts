import { readFileSync } from "node:fs";
import path from "node:path";
import type { Check, Path, Run, Sample } from "../datapath/run/run.ts";
import { featuresOf } from "../datapath/cilium/features.ts";
import { featuresFound, foundByAgent, foundByChecks } from "../datapath/cilium/found-features.ts";
import { datapath as datapathSchema, type Datapath } from "../datapath/config/datapath.ts";
import { figuresOf, latencyOf } from "../datapath/run/statistics.ts";

/** Numbers between 0 and 1, the same for the same seed (mulberry32): made runs look like measured ones and never change. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A normal deviate (Box-Muller). */
export function deviate(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export type Mode = "vxlan" | "geneve" | "native";

/** Single-stream throughput in Gbit/s, as three namespaces on one machine gave it. */
const gigabits: Readonly<Record<Mode, number>> = { vxlan: 12.1, geneve: 11.6, native: 14.3 };
const nodeGigabits = 15;
const roundTripMilliseconds: Readonly<Record<Mode, number>> = { vxlan: 0.062, geneve: 0.064, native: 0.047 };
const nodeRoundTripMilliseconds = 0.041;
const sameNodeRoundTripMilliseconds = 0.033;

const names = ["node-1", "node-2", "node-3"] as const;
const podCidr = (index: number): string => `10.42.${index}.0/24`;
const address = (index: number): string => `172.30.0.${index * 4 + 2}`;

const tunnels = { vxlan: { device: "cilium_vxlan", port: 8472 }, geneve: { device: "cilium_geneve", port: 6081 } };

function planOf(mode: Mode): Run["plan"] {
  const link = (name: "vxlan" | "geneve"): unknown =>
    name === mode ? { state: "up", kind: name, port: tunnels[name].port } : { state: "absent" };
  return names.map((node, index) => ({
    node,
    links: { cilium_vxlan: link("vxlan"), cilium_geneve: link("geneve") },
    routes: Object.fromEntries(
      names.flatMap((_, peer) =>
        peer === index
          ? []
          : [
              [
                podCidr(peer),
                mode === "native"
                  ? { via: address(peer), device: "eth0" }
                  : {
                      via: `10.42.${peer}.1`,
                      device: tunnels[mode].device,
                      mtuBytes: 1450,
                      tunnelEndpoint: address(peer),
                    },
              ],
            ],
      ),
    ),
    pathMtuBytes: mode === "native" ? 1500 : 1450,
    wire: mode === "native" ? { pods: "bare" } : { pods: "encapsulated", protocol: mode, port: tunnels[mode].port },
    masquerade: { podCidr: podCidr(index), excludedCidr: "10.42.0.0/16" },
  }));
}

function checksOf(mode: Mode): Check[] {
  const carrier = mode === "native" ? undefined : `UDP ${tunnels[mode].port}`;
  return names.flatMap((node, index) => {
    const holds = (name: string, expected: string, found = expected): Check => ({
      node,
      name,
      expected,
      found,
      ok: true,
    });
    const peers = names.flatMap((peer, at) => (at === index ? [] : [{ peer, at }]));
    return [
      holds("link cilium_vxlan", mode === "vxlan" ? "vxlan, UDP 8472, up" : "absent"),
      holds("link cilium_geneve", mode === "geneve" ? "geneve, UDP 6081, up" : "absent"),
      ...peers.flatMap(({ peer, at }) => {
        const route =
          mode === "native"
            ? `via ${address(at)} dev eth0`
            : `via 10.42.${at}.1 dev ${tunnels[mode].device} mtu 1450 to ${address(at)}`;
        return [holds(`route to ${podCidr(at)}`, route), holds(`route looked up for ${peer}'s pod`, route)];
      }),
      holds("other routes to pods", "none"),
      ...peers.map(({ peer }) => holds(`path MTU to ${peer}'s pod`, mode === "native" ? "1500 bytes" : "1450 bytes")),
      ...(carrier === undefined
        ? [holds("pod packets on the wire inside a tunnel", "none")]
        : [holds(`pod packets on the wire inside ${carrier}`, "some", "6420 packets")]),
      carrier === undefined
        ? holds("pod packets on the wire, bare", "some", "6388 packets")
        : holds("pod packets on the wire, bare", "none"),
      holds(
        `source of the pod's packets at ${names[(index + 1) % names.length] ?? ""}`,
        `${address(index)} (masqueraded)`,
      ),
    ];
  });
}

/** What was asked for, with every default. */
function datapathOf(mode: Mode): Datapath {
  return datapathSchema.parse(mode === "native" ? { mode, ipv4NativeRoutingCIDR: "10.42.0.0/16" } : { mode });
}

/** How a made run departs from a plain, confirmed one. */
export interface Making {
  readonly mode?: Mode;
  readonly seed?: number;
  readonly rounds?: number;
  readonly streams?: readonly number[];
  /** Standard deviation of one sample, as a fraction of its size. */
  readonly spread?: number;
  /** Factor on every throughput, as a slower or busier machine has it. */
  readonly machine?: number;
  readonly startedAt?: string;
}

/** A run as the embedded lab makes it, from plausible figures; the same for the same arguments. */
export function madeRun(making: Making = {}): Run {
  const { mode = "vxlan", seed = 1, rounds = 5, streams = [1, 4], spread = 0.015, machine = 1 } = making;
  const start = Date.parse(making.startedAt ?? "2026-11-23T09:00:00.000Z");
  const random = seeded(seed);
  const around = (value: number, relative = spread): number => value * Math.exp(relative * deviate(random));
  const base = (path: Path, number: number): number => {
    const single = { podToPod: gigabits[mode], nodeToNode: nodeGigabits, podToPodSameNode: 17.2 }[path];
    return single * machine * (number === 1 ? 1 : 1.12) * 1e9;
  };
  const durationSeconds = 2;
  const samples: Sample[] = [];
  const add = (sample: (about: Pick<Sample, "startedAt" | "durationSeconds">) => Sample): void => {
    const startedAt = new Date(start + 20_000 + samples.length * 2300).toISOString();
    samples.push(sample({ startedAt, durationSeconds }));
  };
  const ends = (path: Path): { from: string; to: string } => ({
    from: "node-1",
    to: path === "podToPodSameNode" ? "node-1" : "node-2",
  });
  const everyPath: readonly Path[] = ["podToPod", "nodeToNode", "podToPodSameNode"];
  for (let round = 1; round <= rounds; round += 1) {
    for (const number of streams) {
      for (const path of everyPath) {
        add((about) => ({
          protocol: "tcp",
          path,
          streams: number,
          round,
          ...ends(path),
          ...about,
          result: {
            outcome: "measured",
            bitsPerSecond: Math.round(around(base(path, number))),
            retransmits: Math.floor(random() * (number === 1 ? 4 : 40)),
            cpuPercent: { sender: around(71, 0.03), receiver: around(88, 0.03) },
          },
        }));
      }
    }
    for (const path of ["podToPod", "nodeToNode"] as const) {
      add((about) => ({
        protocol: "udp",
        path,
        streams: 1,
        round,
        rateBitsPerSecond: 1e9,
        ...ends(path),
        ...about,
        result: {
          outcome: "measured",
          bitsPerSecond: 1e9 - Math.round(random() * 2e6),
          packets: 172_600,
          lostPackets: Math.floor(random() * 300),
          jitterMilliseconds: around(0.004, 0.2),
          cpuPercent: { sender: around(40, 0.05), receiver: around(52, 0.05) },
        },
      }));
    }
  }
  const roundTrips = (milliseconds: number, chance = random): ReturnType<typeof latencyOf> =>
    latencyOf(
      100,
      Array.from({ length: 100 }, () => Number((milliseconds * Math.exp(0.14 * Math.abs(deviate(chance)))).toFixed(3))),
    );
  const onOneNode = seeded(seed + 100);
  const [datapath, checks] = [datapathOf(mode), checksOf(mode)];
  const planned = featuresOf(datapath, { runsCilium: false });
  const id = `local-${mode}-${new Date(start).toISOString().replaceAll(/[:.]/g, "-")}`;
  return {
    schemaVersion: 1,
    id,
    time: new Date(start).toISOString(),
    elapsedSeconds: 20 + samples.length * 2.3,
    lab: { project: "datapath-lab", stack: "local", kind: "namespaces" },
    datapath,
    plan: planOf(mode),
    nodes: names.map((name, index) => ({
      name,
      address: address(index),
      podCidr: podCidr(index),
      device: "eth0",
      kernel: "6.1.0-18-amd64",
    })),
    kernel: "6.1.0-18-amd64",
    versions: { iperf3: "3.12", iproute2: "6.1.0", nftables: "1.0.6", tcpdump: "4.99.3" },
    conditions: {
      cpuModel: "AMD EPYC 7763 64-Core Processor",
      cpuCount: 2,
      offloads: Object.fromEntries(
        ["node-1", "node-2"].map((node) => [
          node,
          {
            "tcp-segmentation-offload": "on",
            "generic-segmentation-offload": "on",
            "generic-receive-offload": "on",
            "tx-udp_tnl-segmentation": "on",
          },
        ]),
      ),
      settings: {
        samples: rounds,
        durationSeconds,
        streams: [...streams],
        warmUpSeconds: 1,
        udpRateBitsPerSecond: 1e9,
      },
    },
    verdict: "confirmed",
    checks,
    features: featuresFound(planned, foundByChecks(planned, checks)),
    samples,
    ...figuresOf(samples),
    latency: {
      podToPod: roundTrips(roundTripMilliseconds[mode]),
      nodeToNode: roundTrips(nodeRoundTripMilliseconds),
      podToPodSameNode: roundTrips(sameNodeRoundTripMilliseconds, onOneNode),
    },
    latencyUnderLoad: {
      podToPod: roundTrips(roundTripMilliseconds[mode] * 3.4),
      nodeToNode: roundTrips(nodeRoundTripMilliseconds * 3.1),
      podToPodSameNode: roundTrips(sameNodeRoundTripMilliseconds * 2.9, onOneNode),
    },
  };
}

/** The made run as it looks when VXLAN was asked for, one node lost a route and another kept a leftover device. */
export function contradictedRun(): Run {
  const run = madeRun({ mode: "native", seed: 9 });
  const wrong: Readonly<Record<string, string>> = {
    "node-2/route to 10.42.0.0/24": "none of its own",
    "node-2/route looked up for node-1's pod": "via 172.30.0.9 dev eth0",
    "node-3/link cilium_vxlan": "vxlan, UDP 8472, up",
  };
  return {
    ...run,
    id: `${run.id}-wrong`,
    verdict: "contradicted",
    checks: run.checks.map((check) => {
      const found = wrong[`${check.node}/${check.name}`];
      if (found !== undefined) return { ...check, found, ok: false };
      return check.node === "node-3" && check.name === "path MTU to node-1's pod"
        ? { ...check, found: "not read: ping: not permitted", ok: null }
        : check;
    }),
    features: [
      {
        name: "routing",
        requested: "native, routes on each node",
        effective: "native on 1 of 3 nodes",
        reason: "node-2 has no route to 10.42.0.0/24",
      },
      { name: "path MTU", requested: "1500 bytes" },
      { name: "masquerading", requested: "outside 10.42.0.0/16", effective: "outside 10.42.0.0/16" },
    ],
    samples: [],
    ...figuresOf([]),
    udp: undefined,
    latency: undefined,
    latencyUnderLoad: undefined,
  };
}

const recorded = path.join(import.meta.dirname, "fixtures", "cilium-1.13.4", "native-bpf-masquerade-without-kpr");

/**
 * The made run as a cluster gives it on which the agents fell back: features and log line as a real 1.13.4 agent told them that
 * was asked for BPF masquerading without kube-proxy replacement.
 */
export function clusterRun(making: Making = {}): Run {
  const run = madeRun({ ...making, mode: "native" });
  const datapath = datapathSchema.parse({
    ...run.datapath,
    l7Proxy: false,
    masquerade: { implementation: "bpf" },
    hostRouting: "bpf",
  });
  const planned = featuresOf(datapath, { runsCilium: true, kernel: "6.2.0" });
  const text = (file: string): string => readFileSync(path.join(recorded, file), "utf8");
  const log = text("agent-log.txt");
  const found = run.nodes.map(({ name }) =>
    foundByAgent(name, {
      options: JSON.parse(text("cilium-config-effective.json")),
      status: JSON.parse(text("cilium-status.json")),
      log,
      requested: "native, direct routes",
    }),
  );
  const warnings = log.split("\n").filter((line) => line.includes("Falling back"));
  return {
    ...run,
    id: run.id.replace("local-", "dev-"),
    lab: { project: "datapath-lab", stack: "dev", kind: "cluster", cluster: "0f0ac1f5-8c4a-4c8a-9f2f-5d1b6f3f7f11" },
    datapath,
    nodes: run.nodes.map((node) => ({ ...node, device: "ens3" })),
    versions: { ...run.versions, kubernetes: "v1.26.6+k3s1" },
    features: featuresFound(planned, found),
    cilium: { agents: run.nodes.map(({ name }) => ({ node: name, status: {}, options: {}, warnings })) },
  };
}

/** `run` with one of its samples failed, as a broken connection leaves it. */
export function withFailedSample(run: Run, index = 0): Run {
  const samples = run.samples.map((sample, at): Sample => {
    if (at !== index) return sample;
    const result = { outcome: "failed" as const, reason: "iperf3: unable to connect to server: Connection refused" };
    return sample.protocol === "tcp" ? { ...sample, result } : { ...sample, result };
  });
  return { ...run, samples, ...figuresOf(samples) };
}
