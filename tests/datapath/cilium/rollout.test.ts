import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  fatalLine,
  outdatedAgents,
  rolloutState,
  networkedAt,
  stalePods,
  type AgentPod,
  type NetworkedPod,
  type RolloutObservation,
} from "../../../datapath/cilium/rollout.ts";

const configuredAt = 1_000_000;

function agent(node: string, differing: Partial<AgentPod> = {}): AgentPod {
  return {
    name: `cilium-${node}`,
    uid: node,
    node,
    createdAt: configuredAt + 1000,
    revision: "new",
    deleting: false,
    ready: true,
    restarts: 0,
    lastLines: [],
    ...differing,
  };
}

function seen(differing: Partial<RolloutObservation> = {}): RolloutObservation {
  return {
    daemonSet: { generation: 2, observedGeneration: 2, desired: 2, updated: 2, revision: "new" },
    configuredAt,
    pods: [agent("kn1"), agent("kn2")],
    nodes: [
      { name: "kn1", ready: true },
      { name: "kn2", ready: true },
    ],
    missingDefinitions: [],
    ...differing,
  };
}

const missing = (differing: Partial<RolloutObservation>): readonly string[] => rolloutState(seen(differing)).missing;

describe("The state of a roll-out", () => {
  it("is done when each node has a Ready agent of the newest template, made after the config was written", () => {
    assert.deepEqual(rolloutState(seen()), { done: true, hopeless: false, missing: [] });
  });

  it("names what is not there at all", () => {
    assert.deepEqual(rolloutState({ pods: [], nodes: [], missingDefinitions: [] }).missing, [
      "kube-system has no DaemonSet cilium and no ConfigMap cilium-config",
    ]);
  });

  it("does not take an agent for current that is of an older template, older than the config, or going", () => {
    for (const differing of [{ revision: "old" }, { createdAt: configuredAt - 1000 }, { deleting: true }]) {
      assert.deepEqual(missing({ pods: [agent("kn1"), agent("kn2", differing)] }), [
        "kn2: its agent still runs with the configuration before",
      ]);
    }
  });

  it("tells what keeps the operator from running where an agent waits, and there alone", () => {
    const operatorTroubles = [{ container: "cilium-operator", reason: "ImagePullBackOff", message: "no such image" }];
    assert.deepEqual(missing({ operatorTroubles, pods: [agent("kn1"), agent("kn2", { ready: false })] }), [
      "kn2: the agent starts",
      "operator: cilium-operator: ImagePullBackOff, no such image",
    ]);
    assert.deepEqual(missing({ operatorTroubles }), []);
  });

  it("waits for the DaemonSet's controller, a first agent, the node, and definitions", () => {
    assert.deepEqual(
      missing({
        daemonSet: { generation: 3, observedGeneration: 2, desired: 2, updated: 2, revision: "new" },
        pods: [agent("kn1")],
        nodes: [
          { name: "kn1", ready: false, why: "cni plugin not initialized" },
          { name: "kn2", ready: false },
        ],
        missingDefinitions: ["ciliumnodes.cilium.io"],
      }),
      [
        "the DaemonSet's change is not taken up by its controller yet",
        "kn1: agent Ready, node not: cni plugin not initialized",
        "kn2: no agent yet",
        "the definition ciliumnodes.cilium.io is not established",
      ],
    );
  });

  it("says why an agent does not start, with its last lines", () => {
    const trouble = { container: "config", reason: "ImagePullBackOff", message: "Back-off pulling image" };
    assert.deepEqual(missing({ pods: [agent("kn1", { ready: false, trouble }), agent("kn2", { ready: false })] }), [
      "kn1: config: ImagePullBackOff, Back-off pulling image",
      "kn2: the agent starts",
    ]);
    const crash = { container: "cilium-agent", reason: "CrashLoopBackOff" };
    const lastLines = ["one", "two", "three", "four"];
    assert.deepEqual(missing({ pods: [agent("kn1", { ready: false, trouble: crash, lastLines }), agent("kn2")] }), [
      "kn1: cilium-agent: CrashLoopBackOff\n    two\n    three\n    four",
    ]);
  });

  it("is hopeless once a current agent ended again on a line that a rule knows, not before and not for others", () => {
    const lastLines = [
      'level=fatal msg="install-no-conntrack-iptables-rules requires the agent to run in direct routing mode." subsys=daemon',
    ];
    const ended = (differing: Partial<AgentPod>): boolean =>
      rolloutState(seen({ pods: [agent("kn1"), agent("kn2", { ready: false, lastLines, ...differing })] })).hopeless;
    assert.deepEqual(
      [ended({ restarts: 1 }), ended({ restarts: 0 }), ended({ restarts: 1, revision: "old" })],
      [true, false, false],
    );
    assert.equal(ended({ restarts: 1, lastLines: ['level=fatal msg="no space left on device" subsys=daemon'] }), false);
  });
});

describe("Agents that began before their configuration was written", () => {
  const old = { createdAt: configuredAt - 1000 };
  const outdated = (rollOut: "together" | "node-by-node", differing: Partial<RolloutObservation>): string[] =>
    outdatedAgents(seen(differing), rollOut).map(({ node }) => node);

  it("are restarted where their template did not change with it, all together or one after another", () => {
    const pods = [agent("kn1", old), agent("kn2", old)];
    assert.deepEqual(outdated("together", { pods }), ["kn1", "kn2"]);
    assert.deepEqual(outdated("node-by-node", { pods }), ["kn1"]);
    assert.deepEqual(outdated("node-by-node", { pods: [agent("kn1", { ready: false }), agent("kn2", old)] }), []);
    assert.deepEqual(outdated("node-by-node", { pods: [agent("kn1"), agent("kn2", old)] }), ["kn2"]);
  });

  it("are left to their DaemonSet where it restarts them itself", () => {
    const atWork = { generation: 2, observedGeneration: 2, desired: 2, updated: 1, revision: "new" };
    const another = agent("kn1", { ...old, revision: "old" });
    assert.deepEqual(outdated("together", { daemonSet: atWork, pods: [another] }), []);
    // Its label of the generation makes a new DaemonSet take it for its own.
    assert.deepEqual(outdated("together", { pods: [another] }), ["kn1"]);
    assert.deepEqual(outdated("together", { pods: [agent("kn1", { ...old, deleting: true })] }), []);
    const daemonSet = { generation: 3, observedGeneration: 2, desired: 2, updated: 2, revision: "new" };
    assert.deepEqual(outdated("together", { daemonSet, pods: [agent("kn1", old)] }), []);
  });
});

describe("An agent's fatal line", () => {
  // As recorded from the real agent.
  const recorded: [string, string | undefined][] = [
    [
      "failed to start: daemon creation failed: invalid daemon configuration: native routing cidr must be configured with option --ipv4-native-routing-cidr in combination with --enable-ipv4-masquerade --tunnel=disabled --ipam=cluster-pool --enable-ipv4=true",
      "native-needs-its-cidr",
    ],
    [
      "install-no-conntrack-iptables-rules requires the agent to run in direct routing mode.",
      "conntrack-bypass-without-tunnel",
    ],
    [
      "auto-direct-node-routes cannot be used with tunneling. Packets must be routed through the tunnel device.",
      "direct-routes-without-tunnel",
    ],
    [
      "failed to start: daemon creation failed: invalid daemon configuration: invalid tunnel mode 'native', valid modes = {vxlan, geneve, disabled}",
      "tunnel-word",
    ],
    ["no space left on device", undefined],
  ];
  for (const [message, rule] of recorded) {
    it(`is named by the rule ${rule ?? "that does not exist"}: ${message.slice(-60)}`, () => {
      const found = fatalLine(["level=info msg=Starting subsys=hive", `level=fatal msg="${message}" subsys=daemon`]);
      assert.equal(found?.message, message);
      assert.equal(found.rule?.id, rule);
    });
  }

  it("is read with its quotes", () => {
    const line = String.raw`level=fatal msg="Node Port \"dsr\" mode cannot be used with tunneling." subsys=daemon`;
    assert.equal(fatalLine([line])?.rule?.id, "node-port-mode-without-tunnel");
  });

  // As the real agent printed it on a kernel without modules.
  it("has the cause that stands beside the message, and a message of one word", () => {
    const line =
      'level=fatal msg="Unable to get information about kernel modules" error="failed to retrieve loaded modules names: failed to open loaded modules information at /proc/modules: open /proc/modules: no such file or directory" subsys=iptables';
    assert.equal(
      fatalLine([line])?.message,
      "Unable to get information about kernel modules: failed to retrieve loaded modules names: " +
        "failed to open loaded modules information at /proc/modules: open /proc/modules: no such file or directory",
    );
    assert.equal(fatalLine(["level=fatal msg=Stopped error=EOF subsys=daemon"])?.message, "Stopped: EOF");
  });

  it("that names nothing but an exit status is told with what the last command said", () => {
    // Recorded from the real agent in an image whose tc lacks what Cilium's own has.
    const lines = readFileSync("tests/fixtures/cilium-1.13.4/fatal-exit-status.txt", "utf8").trimEnd().split("\n");
    const said =
      "tc exec bpf pin /sys/fs/bpf/tc/globals/cilium_cgroups_connec…: Usage: ... bpf [ import UDS_FILE ] [ run CMD ]";
    const message =
      "failed to start: daemon creation failed: error while initializing daemon: failed while reinitializing datapath: exit status 1";
    assert.deepEqual(fatalLine(lines), { message, said });
    assert.deepEqual(missing({ pods: [agent("kn1", { ready: false, lastLines: lines }), agent("kn2")] }), [
      `kn1: the agent ended with: ${message}\n    ${said}`,
    ]);
    assert.deepEqual(fatalLine(lines.filter((line) => line.includes("level=fatal"))), { message });
  });

  it("is none where no line is fatal", () => assert.equal(fatalLine(["level=info msg=Starting"]), undefined));
});

describe("Pods older than the datapath", () => {
  const waiting = (name: string): NetworkedPod => ({
    namespace: "default",
    name,
    hostNetwork: false,
    finished: false,
    controlled: true,
    lab: false,
  });
  const pod = (name: string, differing: Partial<NetworkedPod> = {}): NetworkedPod => ({
    ...waiting(name),
    networkedAt: configuredAt - 1000,
    ...differing,
  });
  const pods = [
    pod("lab", { lab: true }),
    pod("other"),
    pod("bare", { controlled: false, lab: true }),
    pod("host", { hostNetwork: true }),
    pod("done", { finished: true }),
    pod("new", { networkedAt: configuredAt + 1000 }),
    waiting("waiting"),
  ];
  const sorted = (which: "lab" | "all"): string[][] => {
    const { restart, leave } = stalePods(pods, configuredAt, which);
    return [restart.map(({ name }) => name), leave.map(({ name }) => name)];
  };

  it("are made anew where the lab owns them, or all when asked, and never without something that makes them anew", () => {
    assert.deepEqual(sorted("lab"), [["lab"], ["other", "bare"]]);
    assert.deepEqual(sorted("all"), [["lab", "other"], ["bare"]]);
  });

  // As seen with the real agent: pods that wait on a cluster without a CNI start once Cilium is there.
  it("are not those that only waited for it: a pod's network is as old as its first container", () => {
    const createdAt = configuredAt - 60_000;
    const started = (startedAt: number, restarts = 0): { restarts: number; startedAt: number } => ({
      restarts,
      startedAt,
    });
    const since = (
      hasAddress: boolean,
      ...containers: { restarts: number; startedAt?: number }[]
    ): number | undefined => networkedAt({ createdAt, hasAddress, containers });
    assert.equal(since(false, { restarts: 0 }), undefined);
    assert.equal(since(true, started(configuredAt + 5000), started(configuredAt + 3000)), configuredAt + 3000);
    assert.equal(since(true, { restarts: 0 }), createdAt, "its image may be what it waits for");
    assert.equal(
      since(true, started(configuredAt + 5000, 1)),
      createdAt,
      "when it first started is not known any more",
    );
  });
});
