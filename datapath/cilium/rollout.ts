import type { Cilium } from "../config/cilium.ts";
import { crashRules } from "../rules/crash.ts";

/** What is seen of one container that does not run as it should. */
export interface ContainerTrouble {
  readonly container: string;
  /** Kubernetes's word: `ImagePullBackOff`, `CrashLoopBackOff`, `Error`. */
  readonly reason: string;
  readonly message?: string;
}

/** An agent's pod, as far as a roll-out is concerned. */
export interface AgentPod {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  /** Milliseconds since 1970, to a second. */
  readonly createdAt: number;
  /** `controller-revision-hash`: which version of the DaemonSet's pod template it was made from. */
  readonly revision?: string;
  readonly deleting: boolean;
  readonly ready: boolean;
  readonly restarts: number;
  readonly trouble?: ContainerTrouble;
  /** The last lines of the agent that ended last; empty where none did. */
  readonly lastLines: readonly string[];
}

/** What the API says of a roll-out at one time. */
export interface RolloutObservation {
  /** Absent where there is no DaemonSet `cilium`. */
  readonly daemonSet?: {
    readonly generation: number;
    readonly observedGeneration: number;
    readonly desired: number;
    /** Pods that its controller takes for those of the newest template. */
    readonly updated: number;
    /** Hash of the newest template. */
    readonly revision?: string;
  };
  /** When the data of `cilium-config` was written last, in milliseconds since 1970, to a second; absent where it does not exist. */
  readonly configuredAt?: number;
  readonly pods: readonly AgentPod[];
  readonly nodes: readonly { readonly name: string; readonly ready: boolean; readonly why?: string }[];
  /** What keeps the operator's pods from running: agents wait for the definitions and pod CIDRs that come from it. */
  readonly operatorTroubles?: readonly ContainerTrouble[];
  /** Definitions that something needs and that are not Established. */
  readonly missingDefinitions: readonly string[];
}

/** What a roll-out still lacks. */
export interface RolloutState {
  readonly done: boolean;
  /** Whether it can't come about by waiting: an agent of the current template ended on its configuration. */
  readonly hopeless: boolean;
  /** One line for each node that is not there yet and for what else is missing, in the order of names. */
  readonly missing: readonly string[];
}

/** Lines at which agents end that no config of ours leads to: somebody else wrote the ConfigMap. */
const foreignEnds = [
  {
    id: "tunnel-word",
    says: "invalid tunnel mode",
    wayOut: "The chart's value tunnel is vxlan, geneve or disabled; native is disabled there.",
  },
  {
    id: "direct-routes-without-tunnel",
    says: "auto-direct-node-routes cannot be used with tunneling",
    wayOut: "autoDirectNodeRoutes goes with tunnel: disabled alone.",
  },
];

const endings = [
  ...crashRules.map(({ id, key, message, wayOut }) => ({
    id,
    says: message.replace(/^The agent ends with: /, ""),
    wayOut: `${key}: ${wayOut}`,
  })),
  ...foreignEnds,
];

/** Why an agent ended, from its own last line. */
export interface FatalLine {
  /** The line's message, and the error that it names beside it. */
  readonly message: string;
  /** The rule that knows it; absent where none does. */
  readonly rule?: { readonly id: string; readonly wayOut: string };
  /** Where all it names is another program's exit status: that program's last command that said something, and what. */
  readonly said?: string;
}

const shownOfCommand = 60;

/**
 * Why a script that the agent ran ended. The agent logs the script's trace (`set -x`) line by line, commands with a plus sign; the
 * clean-up that comes after the command that failed is silent (1.13.4 bpf/init.sh, pkg/datapath/loader).
 */
function lastSaid(lines: readonly ReadonlyMap<string, string>[]): string | undefined {
  const trace = lines
    .filter((entry) => entry.get("subsys") === "datapath-loader" && entry.get("level") === "warning")
    .map((entry) => entry.get("msg") ?? "");
  const isCommand = (words: string | undefined): boolean => words?.startsWith("+ ") === true;
  const at = trace.findLastIndex((words, index) => isCommand(trace[index - 1]) && !isCommand(words) && words !== "");
  const [command, words] = [trace[at - 1]?.slice(2), trace[at]];
  if (command === undefined || words === undefined) return undefined;
  return `${command.length > shownOfCommand ? `${command.slice(0, shownOfCommand)}…` : command}: ${words}`;
}

/** The fields of a line as agents write it: `key="quoted text"`, or `key=word` where nothing needs quotes. */
function fieldsOf(line: string): ReadonlyMap<string, string> {
  const fields = line.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g);
  return new Map(
    Array.from(fields, ([, key = "", quoted, word = ""]) => [key, quoted?.replaceAll(/\\(.)/g, "$1") ?? word]),
  );
}

/** The last fatal line among an agent's lines, named by its rule; nothing where there is none. */
export function fatalLine(lines: readonly string[]): FatalLine | undefined {
  const entries = lines.map(fieldsOf);
  const fields = entries.findLast((entry) => entry.get("level") === "fatal");
  const words = fields?.get("msg");
  if (words === undefined) return undefined;
  const cause = fields?.get("error");
  const message = cause === undefined ? words : `${words}: ${cause}`;
  const known = endings.find(({ says }) => message.includes(says.replace(/\.$/, "")));
  if (known !== undefined) return { message, rule: { id: known.id, wayOut: known.wayOut } };
  const said = /: exit status \d+$/.test(message) ? lastSaid(entries) : undefined;
  return said === undefined ? { message } : { message, said };
}

/**
 * Whether every agent runs with the current configuration, and if not, which node is missing and why. An agent reads its
 * configuration once, when its pod starts (1.13.4 daemonset.yaml, init container config): what counts is a pod of the newest
 * template that is not older than the ConfigMap, and Ready.
 */
export function rolloutState(seen: RolloutObservation): RolloutState {
  const { daemonSet, configuredAt, pods, nodes } = seen;
  if (daemonSet === undefined || configuredAt === undefined) {
    const absent = [
      ...(daemonSet === undefined ? ["DaemonSet cilium"] : []),
      ...(configuredAt === undefined ? ["ConfigMap cilium-config"] : []),
    ];
    return { done: false, hopeless: false, missing: [`kube-system has no ${absent.join(" and no ")}`] };
  }
  const missing: string[] = [];
  if (daemonSet.observedGeneration < daemonSet.generation) {
    missing.push("the DaemonSet's change is not taken up by its controller yet");
  }
  let hopeless = false;
  const withPod = new Set(pods.map(({ node }) => node));
  for (const node of [...nodes].sort((one, other) => one.name.localeCompare(other.name))) {
    const current = pods.find((pod) => pod.node === node.name && isCurrent(pod, daemonSet.revision, configuredAt));
    if (current === undefined) {
      if (withPod.has(node.name)) missing.push(`${node.name}: its agent still runs with the configuration before`);
      else if (withPod.size < daemonSet.desired) missing.push(`${node.name}: no agent yet`);
      continue;
    }
    const why = obstacle(current);
    if (why !== undefined) missing.push(`${node.name}: ${why}`);
    else if (!node.ready) missing.push(`${node.name}: agent Ready, node not: ${node.why ?? "no reason given"}`);
    hopeless ||= current.restarts > 0 && fatalLine(current.lastLines)?.rule !== undefined;
  }
  missing.push(...seen.missingDefinitions.map((name) => `the definition ${name} is not established`));
  // By itself it keeps nobody waiting: of two operators one is enough.
  if (missing.length > 0) missing.push(...(seen.operatorTroubles ?? []).map((found) => `operator: ${inWords(found)}`));
  return { done: missing.length === 0, hopeless, missing };
}

/**
 * Agents that nobody restarts though they are older than the configuration or have another template: their DaemonSet takes them for
 * current. So it is where the configuration was written by hand; and where the DaemonSet was created again over pods that ran on:
 * one whose generation label is the new one's counts as updated whatever its hash (kubernetes pkg/controller/daemon/util, IsPodUpdated).
 */
export function outdatedAgents(
  { daemonSet, configuredAt, pods }: RolloutObservation,
  rollOut: Cilium["rollOut"],
): AgentPod[] {
  if (
    daemonSet === undefined ||
    configuredAt === undefined ||
    daemonSet.observedGeneration < daemonSet.generation ||
    daemonSet.updated < daemonSet.desired
  ) {
    return [];
  }
  const outdated = pods.filter((pod) => !pod.deleting && !isCurrent(pod, daemonSet.revision, configuredAt));
  if (rollOut === "together") return outdated;
  // One that is not ready is no agent that its node would miss.
  const starts = pods.length < daemonSet.desired || pods.some((pod) => !pod.ready && !outdated.includes(pod));
  return starts ? [] : outdated.slice(0, 1);
}

function isCurrent(pod: AgentPod, revision: string | undefined, configuredAt: number): boolean {
  return (
    !pod.deleting &&
    pod.createdAt >= configuredAt &&
    (revision === undefined || pod.revision === undefined || pod.revision === revision)
  );
}

function obstacle(pod: AgentPod): string | undefined {
  if (pod.ready) return undefined;
  const fatal = fatalLine(pod.lastLines);
  if (fatal !== undefined) {
    const named = fatal.rule === undefined ? "" : ` (rule ${fatal.rule.id}: ${fatal.rule.wayOut})`;
    const said = fatal.said === undefined ? "" : `\n    ${fatal.said}`;
    return `the agent ended ${pod.restarts === 0 ? "" : `${pod.restarts + 1} times `}with: ${fatal.message}${named}${said}`;
  }
  if (pod.trouble !== undefined) {
    const lines = pod.lastLines.slice(-3).map((line) => `\n    ${line}`);
    return `${inWords(pod.trouble)}${lines.join("")}`;
  }
  return "the agent starts";
}

function inWords({ container, reason, message }: ContainerTrouble): string {
  return `${container}: ${reason}${message === undefined ? "" : `, ${message}`}`;
}

/** A pod that got its network from an agent. */
export interface NetworkedPod {
  readonly namespace: string;
  readonly name: string;
  /** When it got its network, in milliseconds since 1970; absent where it has none yet. */
  readonly networkedAt?: number;
  readonly hostNetwork: boolean;
  readonly finished: boolean;
  /** Whether something makes it anew when it is deleted. */
  readonly controlled: boolean;
  /** Whether the lab made it. */
  readonly lab: boolean;
}

/** What the API says of a pod from which follows since when it has its network. Times are milliseconds since 1970, to a second. */
export interface PodBeginnings {
  readonly createdAt: number;
  readonly hasAddress: boolean;
  /** Init containers too. */
  readonly containers: readonly { readonly restarts: number; readonly startedAt?: number }[];
}

/**
 * When a pod got its network: shortly before its first container started. Pods wait for an agent on a node that never had one, as
 * all do that are there before Cilium: their creation says nothing. Of a container that was restarted only the last start is known.
 */
export function networkedAt({ createdAt, hasAddress, containers }: PodBeginnings): number | undefined {
  if (!hasAddress) return undefined;
  const starts = containers.flatMap(({ startedAt }) => startedAt ?? []);
  return starts.length === 0 || containers.some(({ restarts }) => restarts > 0) ? createdAt : Math.min(...starts);
}

/** Pods older than the datapath, by what is to become of them. */
export interface StalePods<Pod> {
  readonly restart: readonly Pod[];
  /** Named, and left: nobody asked for their restart, or nothing would make them anew. */
  readonly leave: readonly Pod[];
}

/**
 * Sorts out the pods that got their network before the configuration changed: an agent sets a pod's routes and their MTU when the pod
 * is made, and never again (seen on 1.13.4: after vxlan to native such pods keep mtu 1450).
 */
export function stalePods<Pod extends NetworkedPod>(
  pods: readonly Pod[],
  configuredAt: number,
  which: "lab" | "all",
): StalePods<Pod> {
  const stale = pods.filter(
    ({ hostNetwork, finished, networkedAt: since }) =>
      !hostNetwork && !finished && since !== undefined && since < configuredAt,
  );
  const wanted = (pod: Pod): boolean => pod.controlled && (pod.lab || which === "all");
  return { restart: stale.filter(wanted), leave: stale.filter((pod) => !wanted(pod)) };
}
