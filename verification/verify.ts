import { cpus, release } from "node:os";
import type { NodeEvidence, PathMtuEvidence } from "../datapath/proof/evidence.ts";
import type { PlannedFeature } from "../datapath/cilium/features.ts";
import { featuresFound, foundByChecks, withRoutingOfChecks } from "../datapath/cilium/found-features.ts";
import type { NodePlan } from "../datapath/plan/plan.ts";
import { runSchemaVersion, type Check, type Run, type Sample } from "../datapath/run/run.ts";
import { kindsOfRound } from "../datapath/run/round.ts";
import { pathName, streamsName } from "../datapath/run/run-words.ts";
import { figuresOf } from "../datapath/run/statistics.ts";
import { judge, verdictOf } from "../datapath/proof/verdict.ts";
import type { AgentsFound } from "./cluster/agents.ts";
import type { OmittedNode } from "./cluster/pods.ts";
import { captureDuring, collectStanding, pingNode, probedPairs, probePathMtu, type CollectedNode } from "./collect.ts";
import type { Hosts } from "./hosts/host.ts";
import { inParallel } from "./in-parallel.ts";
import {
  iperf3,
  latencyByPath,
  measuredPaths,
  measureLatency,
  measureLatencyUnderLoad,
  takeSamples,
  withServers,
} from "./measure.ts";
import type { VerificationSpec } from "./spec.ts";
import { nicDriver, offloads, toolVersions } from "./conditions.ts";
import { asError } from "./as-error.ts";
import { errorText } from "./error-text.ts";

/** Where progress goes: one line a step, without a line end. */
export type Progress = (line: string) => void;

/** Processes at once on this machine; more would only wait for its cores. */
const parallelProbes = 16;
/** A quarter of a second on these machines, and no more than half a minute on a link of 100 Mbit/s. */
const warmUpMegabytes = 256;

/** What is verified, whatever kind of lab it is. */
export interface VerificationSubject extends Pick<VerificationSpec, "datapath" | "pool" | "plan" | "settings"> {
  readonly lab: Run["lab"];
  readonly nodes: readonly VerifiedNode[];
  /** Nodes of the cluster that nothing is read of. */
  readonly omitted?: readonly OmittedNode[];
  readonly features: readonly PlannedFeature[];
  /** Versions of what the lab runs, beside those of the tools. */
  readonly versions?: Readonly<Record<string, string>>;
  /** The first node's processor; this machine's where absent. */
  readonly processor?: { readonly model: string; readonly count: number };
}

export interface VerifiedNode extends CollectedNode {
  readonly secondPod?: { readonly address: string };
  /** Of a node of the embedded lab, whose BGP daemon is named by it. */
  readonly namespace?: string;
  /** Kernel release; this machine's where absent. */
  readonly kernel?: string;
}

/**
 * Collects the evidence, judges it against the plan and measures. The wire is captured during a warm-up load, which is not
 * among the samples, so that capturing slows down nothing that is measured.
 * Rejects where `signal` aborts; evidence that can't be had makes the verdict `incomplete` instead.
 */
export async function verify(
  spec: VerificationSubject,
  hosts: Hosts,
  {
    signal,
    progress,
    agents: askAgents,
  }: {
    readonly signal: AbortSignal;
    readonly progress: Progress;
    /** Asks the agents of a lab that has any; what they say is judged beside the rest. */
    readonly agents?: () => Promise<AgentsFound>;
  },
): Promise<Run> {
  const started = new Date();
  const { nodes, plan, settings } = spec;
  const [first, second] = nodes;
  if (first === undefined || second === undefined) throw new Error("a path needs two nodes");

  progress(`reading links and routes of ${nodes.length} nodes`);
  const planned = new Map(plan.map((nodePlan) => [nodePlan.node, nodePlan]));
  const standing = await inParallel(nodes, parallelProbes, async (node) => {
    const peers = nodes.filter((peer) => peer !== node);
    const daemon = planned.get(node.name)?.bgp === undefined ? undefined : node.namespace;
    return { node: node.name, ...(await collectStanding(hosts, node, peers, daemon)) };
  });

  if (askAgents !== undefined) progress(`asking the agents of ${nodes.length} nodes`);
  const agents = await askAgents?.();

  const pairs = probedPairs(nodes);

  return withServers(measuredPaths(hosts, [first, second], settings), async (paths) => {
    for (const { serverAddress, unserved } of paths) {
      if (unserved !== undefined) progress(`no iperf3 server at ${serverAddress}: ${unserved}`);
    }
    progress(`capturing on every node's NIC while path MTU and masquerading are probed (${pairs.length} paths)`);
    const masqueradePeer = new Map(nodes.map((node, index) => [node.name, nodes[(index + 1) % nodes.length] ?? first]));
    const { captured, loaded } = await captureDuring(hosts, nodes, async () => {
      const complaints = await inParallel(nodes, parallelProbes, (node) =>
        pingNode(hosts, node, masqueradePeer.get(node.name) ?? first).catch(errorText),
      );
      // The probes are what every NIC has to show.
      const pathMtu = await inParallel(pairs, parallelProbes, async ([from, to]) => ({
        from: from.name,
        to: to.name,
        // A pod that can't be asked leaves its checks unjudged; the others go on.
        found: await probePathMtu(
          hosts.pod(from.name),
          to.pod.address,
          planned.get(from.name)?.pathMtuBytes ?? 1500,
        ).catch(asError),
      }));
      signal.throwIfAborted();
      // Between pods it is the load that the wire has to show; every path is warm after it.
      for (const measured of paths) {
        await iperf3(measured, { streams: 1, megabytes: warmUpMegabytes }).catch((error: unknown) =>
          progress(`warm-up load of ${pathName(measured.path)} failed: ${errorText(error)}`),
        );
      }
      return { complaints, pathMtu };
    });

    const found = nodes.flatMap((node, index): Check[] => {
      const nodePlan = planned.get(node.name);
      const standingThere = standing[index];
      if (nodePlan === undefined || standingThere === undefined) return [];
      const own = captured.get(node.name);
      const peer = masqueradePeer.get(node.name) ?? first;
      const atPeer = captured.get(peer.name);
      const seenFrom = atPeer instanceof Error ? undefined : atPeer?.pingedFrom[0];
      const probed = loaded.pathMtu.filter(({ from }) => from === node.name);
      const failures = [
        ...probed.flatMap(({ found: mtu }) => (mtu instanceof Error ? [mtu.message] : [])),
        ...[own, atPeer].flatMap((part) => (part instanceof Error ? [part.message] : [])),
        ...(seenFrom === undefined
          ? [`no packet of ${node.name}'s pod arrived at ${peer.name}: ${loaded.complaints[index] ?? ""}`]
          : []),
      ];
      const evidence: NodeEvidence = {
        ...standingThere,
        failures: [...standingThere.failures, ...failures],
        pathMtu: Object.fromEntries(
          probed.flatMap(({ to, found: mtu }): [string, PathMtuEvidence][] =>
            mtu instanceof Error ? [] : [[to, mtu]],
          ),
        ),
        ...(own === undefined || own instanceof Error ? {} : { wire: own.wire }),
        ...(seenFrom === undefined ? {} : { masquerade: { seenFrom } }),
      };
      return judge(nodePlan, evidence, nodes, spec.pool, {
        pathMtu: pairs.filter(([from]) => from === node).map(([, to]) => to.name),
        masquerade: peer.name,
      });
    });
    const checks = [...found, ...(agents?.checks ?? [])];
    const verdict = verdictOf(checks);
    progress(`${checks.length} checks: ${verdict}`);
    if (verdict === "contradicted" && settings.enforce)
      progress("measuring nothing: this is not the datapath that was asked for");

    const samples: Sample[] = [];
    let latency: Run["latency"];
    let latencyUnderLoad: Run["latencyUnderLoad"];
    if (verdict !== "contradicted" || !settings.enforce) {
      progress(`latency: ping from ${first.name} to ${second.name}, pods and nodes`);
      const without = (what: string) => (error: unknown) => {
        signal.throwIfAborted();
        progress(`no ${what}: ${errorText(error)}`);
        return undefined;
      };
      latency = await latencyByPath(paths, measureLatency).catch(without("latency"));
      if (settings.latencyUnderLoad) {
        progress("latency under load: the same while one TCP stream fills the path");
        latencyUnderLoad = await latencyByPath(paths, measureLatencyUnderLoad).catch(without("latency under load"));
      }
      const kinds = kindsOfRound(
        paths.map(({ path }) => path),
        settings,
      );
      const total = settings.samples * kinds.length;
      progress(`measuring: ${total} samples of ${settings.durationSeconds} s`);
      for await (const sample of takeSamples(paths, settings)) {
        signal.throwIfAborted();
        samples.push(sample);
        progress(`sample ${samples.length} of ${total}: ${describeSample(sample)}`);
      }
    }

    const nicDrivers = await driversOf([first, second], hosts);
    return {
      schemaVersion: runSchemaVersion,
      id: `${spec.lab.stack}-${started.toISOString().replaceAll(/[:.]/g, "-")}`,
      time: started.toISOString(),
      elapsedSeconds: (Date.now() - started.getTime()) / 1000,
      lab: spec.lab,
      datapath: spec.datapath,
      plan: plan.map((nodePlan: NodePlan) => ({ ...nodePlan })),
      nodes: nodes.map(({ name, address, podCidr, device, kernel = release() }) => ({
        name,
        address,
        podCidr,
        device,
        kernel,
      })),
      ...(spec.omitted === undefined || spec.omitted.length === 0 ? {} : { omittedNodes: [...spec.omitted] }),
      kernel: first.kernel ?? release(),
      versions: { ...(await toolVersions(hosts.node(first.name))), ...spec.versions },
      conditions: {
        cpuModel: spec.processor?.model ?? cpus()[0]?.model ?? "unknown",
        cpuCount: spec.processor?.count ?? cpus().length,
        offloads: Object.fromEntries(
          await Promise.all(
            [first, second].map(async ({ name, device }): Promise<[string, Record<string, string>]> => [
              name,
              await offloads(hosts.node(name), device),
            ]),
          ),
        ),
        ...(Object.keys(nicDrivers).length === 0 ? {} : { nicDrivers }),
        settings: {
          samples: settings.samples,
          durationSeconds: settings.durationSeconds,
          streams: [...settings.streams],
          ...(settings.warmUpSeconds === 0 ? {} : { warmUpSeconds: settings.warmUpSeconds }),
          ...(settings.udpMegabitsPerSecond === 0 ? {} : { udpRateBitsPerSecond: settings.udpMegabitsPerSecond * 1e6 }),
        },
      },
      verdict,
      features: featuresFound(
        spec.features,
        agents === undefined
          ? foundByChecks(spec.features, checks)
          : withRoutingOfChecks(spec.features, agents.found, checks),
      ),
      ...(agents === undefined ? {} : { cilium: { agents: [...agents.agents] } }),
      checks,
      samples,
      ...figuresOf(samples),
      ...(latency === undefined ? {} : { latency }),
      ...(latencyUnderLoad === undefined ? {} : { latencyUnderLoad }),
    };
  });
}

function describeSample(sample: Sample): string {
  const { path, streams, protocol, result } = sample;
  return `${pathName(path)}, ${protocol === "udp" ? "UDP" : streamsName(streams)}: ${describeResult(result)}`;
}

function describeResult(result: Sample["result"]): string {
  if (result.outcome === "failed") return `failed: ${result.reason}`;
  const gigabits = `${(result.bitsPerSecond / 1e9).toFixed(2)} Gbit/s`;
  return "lostPackets" in result ? `${gigabits}, ${result.lostPackets} of ${result.packets} lost` : gigabits;
}

/** Drivers of the nodes' NICs, by node; nodes whose driver is not known are left out. */
async function driversOf(nodes: readonly VerifiedNode[], hosts: Hosts): Promise<Record<string, string>> {
  const found = await Promise.all(
    nodes.map(async ({ name, device }): Promise<[string, string][]> => {
      const driver = await nicDriver(hosts.node(name), device);
      return driver === undefined ? [] : [[name, driver]];
    }),
  );
  return Object.fromEntries(found.flat());
}
