import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { AppsV1Api, CoreV1Api, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import {
  hasNoHealth,
  isHealthSettled,
  judgeAgent,
  judgeHubble,
  type AgentEvidence,
  type AgentNode,
} from "../../datapath/cilium/agent-checks.ts";
import type { HubbleParts } from "../../datapath/cilium/asked-of-cilium.ts";
import type { Datapath } from "../../datapath/config/datapath.ts";
import type { PlannedFeature } from "../../datapath/cilium/features.ts";
import { fallbacksIn, foundByAgent, reachesStart, type FoundOnNode } from "../../datapath/cilium/found-features.ts";
import type { Agent, Check } from "../../datapath/run/run.ts";
import { dataWrittenAt } from "../configured-at.ts";
import { podHost } from "../hosts/kubernetes.ts";
import { inParallel } from "../in-parallel.ts";
import { answered, apiFailure } from "../api-answers.ts";
import { parseHealth, parseStatusLines, parseTunnelMap } from "../parsers/cilium.ts";

/** Cilium's own word on every node. */
export interface AgentsFound {
  readonly checks: readonly Check[];
  /** What each node shows of the features; a node whose agent can't be read shows nothing. */
  readonly found: readonly FoundOnNode[];
  readonly agents: readonly Agent[];
}

const namespace = "kube-system";
const parallelAgents = 16;
const commandTimeoutSeconds = 30;
/** The agent says what it falls back on while it starts. */
const logBeginningBytes = 1024 * 1024;

/** Options that decide on the datapath, as they are kept in the run. */
const keptOptions = [
  ...["Tunnel", "TunnelPort", "EnableAutoDirectRouting", "IPv4NativeRoutingCIDR", "MTU", "Devices", "IPAM"],
  ...[
    "KubeProxyReplacement",
    "EnableNodePort",
    "EnableHostLegacyRouting",
    "EnableBPFMasquerade",
    "EnableIPv4Masquerade",
  ],
  ...["EnableBandwidthManager", "EnableBBR", "EnableIPv6", "EnableIPv6BIGTCP", "EnableEndpointRoutes", "EnableL7Proxy"],
  ...["EnableHubble", "EnableIPSec", "EnableWireguard", "InstallNoConntrackIptRules"],
  ...["NodePortMode", "NodePortAlg", "NodePortAcceleration"],
];

/**
 * Asks every node's agent, and the API about it, and judges the answers. What can't be read is named in the checks that it leaves
 * unjudged.
 */
export async function askAgents(
  config: KubeConfig,
  subject: {
    readonly datapath: Datapath;
    readonly nodes: readonly AgentNode[];
    readonly features: readonly PlannedFeature[];
  },
  signal: AbortSignal,
): Promise<AgentsFound> {
  const core = config.makeApiClient(CoreV1Api);
  const { datapath, nodes, features } = subject;
  const [pods, configuredAt, hubble] = await Promise.all([
    answered(core.listNamespacedPod({ namespace, labelSelector: "k8s-app=cilium" })).then(
      ({ items }) => items,
      asError,
    ),
    configurationTime(core).catch(asError),
    hubbleParts(config).catch(asError),
  ]);
  const requested = features.find(({ name }) => name === "routing")?.requested ?? "";
  const read = await inParallel(nodes, parallelAgents, async (node) => {
    const pod =
      pods instanceof Error
        ? pods
        : (pods.find(
            ({ spec, metadata }) => spec?.nodeName === node.name && metadata?.deletionTimestamp === undefined,
          ) ?? new Error(`${namespace} has no pod k8s-app=cilium on ${node.name}`));
    return readAgent(
      config,
      { node: node.name, pod, configuredAt, requested, isTunnel: datapath.mode !== "native" },
      signal,
    );
  });
  return {
    checks: [
      ...read.flatMap(({ evidence }) => judgeAgent(datapath, evidence, nodes, features)),
      ...(hubble instanceof Error ? judgeHubble(features, undefined, hubble.message) : judgeHubble(features, hubble)),
    ],
    found: read.map(({ evidence: { node, features: found } }) => ({
      node,
      values: { ...(hubble instanceof Error ? {} : hubble), ...found?.values },
      reasons: found?.reasons ?? {},
    })),
    agents: read.map(({ agent }) => agent),
  };
}

async function readAgent(
  config: KubeConfig,
  about: {
    readonly node: string;
    readonly pod: V1Pod | Error;
    readonly configuredAt: number | undefined | Error;
    readonly requested: string;
    readonly isTunnel: boolean;
  },
  signal: AbortSignal,
): Promise<{ evidence: AgentEvidence; agent: Agent }> {
  const { node, pod, configuredAt, requested, isTunnel } = about;
  if (pod instanceof Error) {
    return {
      evidence: { node, failures: [pod.message] },
      agent: { node, status: {}, options: {}, warnings: [], logReachesStart: false },
    };
  }
  const failures: string[] =
    configuredAt instanceof Error ? [`ConfigMap ${namespace}/cilium-config: ${configuredAt.message}`] : [];
  const attempt = async <T>(read: () => Promise<T> | T): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error instanceof z.ZodError ? z.prettifyError(error) : apiFailure(error));
      return undefined;
    }
  };
  const name = pod.metadata?.name ?? "";
  const container = "cilium-agent";
  const host = podHost(config, { namespace, name, container }, signal);
  const said = async (...command: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await host.run(command, { timeoutSeconds: commandTimeoutSeconds });
    if (exitCode !== 0 && stdout.length === 0)
      throw new Error(`${command.join(" ")}: ${stderr.trim() || `exit status ${exitCode}`}`);
    return stdout.toString();
  };
  const asksOptions = attempt(async () =>
    parseJson("cilium config -r -o json", await said("cilium", "config", "-r", "-o", "json")),
  );
  const [options, status, lines, health, tunnelMap, log] = await Promise.all([
    asksOptions,
    attempt(async () => parseJson("cilium status -o json", await said("cilium", "status", "-o", "json"))),
    attempt(async () => parseStatusLines(await said("cilium", "status"))),
    asksOptions.then(async (found): Promise<AgentEvidence["health"]> =>
      hasNoHealth(found) ? "switched off" : attempt(() => healthOf(node, said, signal)),
    ),
    isTunnel ? attempt(async () => parseTunnelMap(await said("cilium", "bpf", "tunnel", "list"))) : undefined,
    attempt(() =>
      answered(
        config
          .makeApiClient(CoreV1Api)
          .readNamespacedPodLog({ namespace, name, container, limitBytes: logBeginningBytes }),
      ),
    ),
  ]);
  const warnings = log === undefined ? undefined : await attempt(() => fallbacksIn(log));
  const features =
    options === undefined || status === undefined || log === undefined
      ? undefined
      : await attempt(() => foundByAgent(node, { options, status, log, requested }));
  const createdAt = pod.metadata?.creationTimestamp?.getTime();
  return {
    evidence: {
      node,
      failures,
      ...(createdAt === undefined ? {} : { createdAt }),
      ...(configuredAt === undefined || configuredAt instanceof Error ? {} : { configuredAt }),
      ...(options === undefined ? {} : { options }),
      ...(health === undefined ? {} : { health }),
      ...(tunnelMap === undefined ? {} : { tunnelMap }),
      ...(features === undefined ? {} : { features }),
    },
    agent: {
      node,
      ...(createdAt === undefined ? {} : { startedAt: new Date(createdAt).toISOString() }),
      status: lines ?? {},
      options: optionsInWords(options),
      warnings: warnings ?? [],
      logReachesStart: log !== undefined && reachesStart(log),
    },
  };
}

const healthAttempts = 6;
const healthPauseMilliseconds = 3000;
/** One probe takes up to half a minute where a node is not reached: another would show no more. */
const healthLimitMilliseconds = 30_000;

/** Asks again while it does not answer or something is not reached: it starts a while after its agent is Ready. */
async function healthOf(
  node: string,
  said: (...command: string[]) => Promise<string>,
  signal: AbortSignal,
): Promise<ReturnType<typeof parseHealth>> {
  const limit = Date.now() + healthLimitMilliseconds;
  for (let asked = 1; ; asked += 1) {
    const isLast = (): boolean => asked === healthAttempts || Date.now() > limit;
    try {
      const health = parseHealth(await said("cilium-health", "status", "--probe", "-o", "json"));
      if (isHealthSettled(node, health) || isLast()) return health;
    } catch (error) {
      if (isLast()) throw error;
    }
    await delay(healthPauseMilliseconds, undefined, { signal });
  }
}

function parseJson(command: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${command}: the JSON is cut short`);
  }
}

function optionsInWords(options: unknown): Record<string, string> {
  const all = z.record(z.string(), z.unknown()).safeParse(options).data ?? {};
  return Object.fromEntries(
    keptOptions.flatMap((key): [string, string][] => {
      const value = all[key];
      return value === undefined ? [] : [[key, typeof value === "string" ? value : JSON.stringify(value)]];
    }),
  );
}

async function configurationTime(core: CoreV1Api): Promise<number | undefined> {
  return dataWrittenAt((await answered(core.readNamespacedConfigMap({ namespace, name: "cilium-config" }))).metadata);
}

/**
 * Relay and UI, which are Deployments of their own: no agent speaks of them. `on`, `off`, or how many of their pods are missing.
 * Rejects where they can't be read.
 */
async function hubbleParts(config: KubeConfig): Promise<Record<string, string>> {
  const { items } = await answered(config.makeApiClient(AppsV1Api).listNamespacedDeployment({ namespace }));
  const state = (name: string): string => {
    const found = items.find(({ metadata }) => metadata?.name === name);
    if (found === undefined) return "off";
    return (found.status?.readyReplicas ?? 0) > 0 ? "on" : "off: its Deployment stands, and none of its pods is ready";
  };
  return { "Hubble relay": state("hubble-relay"), "Hubble UI": state("hubble-ui") };
}

/** Which of them have a Deployment, whether their pods are ready or not; none where that can't be read. */
export async function hubbleAsked(config: KubeConfig): Promise<HubbleParts> {
  const found = await hubbleParts(config).catch((): Record<string, string> => ({}));
  const stands = (name: string): boolean => (found[name] ?? "off") !== "off";
  return { relay: stands("Hubble relay"), ui: stands("Hubble UI") };
}

function asError(reason: unknown): Error {
  return new Error(apiFailure(reason));
}
