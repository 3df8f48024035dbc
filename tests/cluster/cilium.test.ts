import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { AppsV1Api, BatchV1Api } from "@kubernetes/client-node";
import { z } from "zod";
import { Cilium } from "../../components/cilium.ts";
import { ExistingCluster } from "../../components/existing-cluster.ts";
import { cilium as ciliumConfig } from "../../datapath/config/cilium.ts";
import { datapath as datapathConfig } from "../../datapath/config/datapath.ts";
import { execInPod } from "../../verification/exec-in-pod.ts";
import { labPodLabel, rolloutResult, type RolloutResult } from "../../verification/rollout/spec.ts";
import type { EngineEvent } from "../engine/inline-stack.ts";
import type { ClusterNode } from "./harness/cluster.ts";
import { testImage } from "./harness/image.ts";
import { testPod, until } from "./harness/pods.ts";
import {
  buildLimit,
  ciliumStack,
  failureOf,
  interruptedHelm,
  killEngine,
  log,
  releaseState,
  type ClusterStack,
} from "./harness/stack.ts";

const namespace = "kube-system";

/** What the lab's own pods are: a pod on each node, in a namespace of the lab. */
const workload = { namespace: "datapath-lab", name: "workload" };

// The agent is the stand-in of agent/chart; engine, Helm, API server, kubelets, pods, links and routes are real.
describe("Cilium on a real three-node cluster, by the stand-in agent, through the real engine", function () {
  this.timeout("4m");
  let made: ClusterStack;
  let remove = (): Promise<void> => Promise.resolve();

  before(async function () {
    this.timeout(buildLimit);
    made = await ciliumStack("cilium-test");
    ({ remove } = made);
  });
  afterEach(async () => {
    await made.core.deleteNamespacedConfigMap({ namespace, name: "stand-in-orders" }).catch(() => undefined);
    await made.core.deleteCollectionNamespacedPod({ namespace: "default" });
  });
  after(() => remove());

  const common = (): Record<string, unknown> => {
    const { host, port } = made.cluster.apiServer;
    return {
      // There is no kube-proxy: agents reach the API by its own address.
      kubeProxyReplacement: { mode: "strict", k8sServiceHost: host, k8sServicePort: port },
      values: { image: { override: testImage } },
    };
  };
  const vxlan = (): Record<string, unknown> => ({ mode: "vxlan", ...common() });
  const native = (): Record<string, unknown> => ({ mode: "native", routes: { kind: "direct" }, ...common() });

  /** A program that puts Cilium on the cluster. */
  function program(datapath: unknown, section: Record<string, unknown> = {}) {
    return () => {
      const { cluster } = made;
      const standing = new ExistingCluster("cluster", {
        machines: { kind: "none" },
        kubeconfig: cluster.kubeconfig.text,
      });
      const { rollout } = new Cilium(
        "cilium",
        {
          datapath: datapathConfig.parse(datapath),
          cilium: ciliumConfig.parse({ chart: { archive: "./chart" }, rolloutTimeoutSeconds: 60, ...section }),
          nodeCount: cluster.nodes.length,
          kubeconfig: standing.kubeconfig,
          definitions: ["ciliumnodes.cilium.io"],
        },
        { providers: { kubernetes: standing.provider } },
      );
      return Promise.resolve({ rollout });
    };
  }

  const rolledOut = z.object({ rollout: rolloutResult });
  /** Runs `up`. Returns how the roll-out went. */
  async function up(datapath: unknown, section?: Record<string, unknown>): Promise<RolloutResult> {
    return rolledOut.parse(await made.stack.up(program(datapath, section))).rollout;
  }

  /** Two pods on two nodes. Returns the second one's address. */
  async function twoPods(suffix: string): Promise<string> {
    const { cluster, core } = made;
    const [first, second] = cluster.nodes;
    assert.ok(first && second);
    for (const [pod, node] of [
      ["a", first.name],
      ["b", second.name],
    ] as const) {
      await core.createNamespacedPod({
        namespace: "default",
        body: testPod(`${pod}-${suffix}`, node, "sleep infinity"),
      });
    }
    return until("two pods with addresses", 40, async () => {
      const { items } = await core.listNamespacedPod({ namespace: "default" });
      const own = items.filter((pod) => pod.metadata?.name?.endsWith(`-${suffix}`) && pod.status?.phase === "Running");
      return own.length === 2 ? own.find((pod) => pod.metadata?.name === `b-${suffix}`)?.status?.podIP : undefined;
    });
  }

  /** Makes a pod of the lab's own on each node. */
  async function makeWorkload(): Promise<void> {
    const { spec } = testPod(workload.name, "", "sleep infinity");
    assert.ok(spec);
    delete spec.nodeName;
    const labels = { app: workload.name, [labPodLabel]: "yes" };
    await made.core.createNamespace({ body: { metadata: { name: workload.namespace } } });
    await made.config.makeApiClient(AppsV1Api).createNamespacedDaemonSet({
      namespace: workload.namespace,
      body: {
        metadata: { name: workload.name },
        spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      },
    });
  }

  /** The lab's own pods, when there is one a node that runs: `NAMESPACE/NAME`, by node. */
  function workloadPods(): Promise<{ title: string; name: string; address: string }[]> {
    return until("the lab's pods", 40, async () => {
      const { items } = await made.core.listNamespacedPod({ namespace: workload.namespace });
      const running = items
        .filter(({ metadata, status }) => metadata?.deletionTimestamp === undefined && status?.phase === "Running")
        .sort((one, other) => (one.spec?.nodeName ?? "").localeCompare(other.spec?.nodeName ?? ""));
      const pods = running.map(({ metadata, status }) => {
        const name = metadata?.name ?? "";
        return { name, title: `${workload.namespace}/${name}`, address: status?.podIP ?? "" };
      });
      return pods.length === made.cluster.nodes.length ? pods : undefined;
    });
  }

  const inPod = (pod: string, ...command: string[]): Promise<string> =>
    execInPod(made.config, { namespace: "default", name: pod }, command);

  const onNode = (node: string, command: string): Promise<string> =>
    made.cluster.runOnNode(node, ["sh", "-c", command]);

  const agentNodes = ({ agents }: RolloutResult): string[] => agents.map(({ node }) => node);

  function order(node: string, text: string): Promise<unknown> {
    return made.core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: "stand-in-orders" }, data: { [node]: text } },
    });
  }

  /** Has a node's agent begin anew without the orders it was given. */
  async function orderNothing(node: string): Promise<void> {
    await made.core.deleteNamespacedConfigMap({ namespace, name: "stand-in-orders" });
    await made.core.deleteCollectionNamespacedPod({
      namespace,
      labelSelector: "k8s-app=cilium",
      fieldSelector: `spec.nodeName=${node}`,
    });
  }

  /** The values that a preview shows as changed. */
  async function previewedValues(wanted: ReturnType<typeof program>): Promise<Record<string, string>> {
    let seen: Record<string, string> = {};
    await made.stack.preview(wanted, {
      onEvent: ({ resourcePreEvent }: EngineEvent) => {
        if (!resourcePreEvent?.metadata.urn.endsWith("::cilium-release")) return;
        seen = Object.fromEntries(
          Object.entries<{ diffKind: string }>(resourcePreEvent.metadata.detailedDiff ?? {}).map(
            ([key, { diffKind }]) => [key, diffKind],
          ),
        );
      },
    });
    return seen;
  }

  async function deployedRevisions(): Promise<number> {
    const records = { namespace, labelSelector: "owner=helm,status=deployed" };
    return (await made.core.listNamespacedSecret(records)).items.length;
  }

  const others = (node: ClusterNode): ClusterNode[] => made.cluster.nodes.filter((other) => other !== node);

  it("installs in vxlan, waits for every agent and node, changes nothing twice, and pods reach each other", async () => {
    const { cluster, core, stack } = made;
    const result = await up(vxlan());
    assert.deepEqual(agentNodes(result), ["node1", "node2", "node3"]);
    assert.equal(result.modeChangeUnmeasured, "no two pods of the lab's workload run on two nodes");
    const { items } = await core.listNode();
    assert.deepEqual(
      items.map(({ status }) => status?.conditions?.find(({ type }) => type === "Ready")?.status),
      ["True", "True", "True"],
    );
    const summary = await stack.preview(program(vxlan()));
    assert.deepEqual(Object.keys(summary), ["same"], JSON.stringify(summary));
    assert.ok(!stack.state().includes("certificate-authority-data"), "the kubeconfig is not in plain state");

    const address = await twoPods("tunnel");
    assert.match(await inPod("a-tunnel", "ping", "-c", "3", "-i", "0.2", address), / 3 received/);
    assert.match(await inPod("a-tunnel", "ip", "route"), /default via .* mtu 1450/);
    assert.match(
      await cluster.runOnNode("node1", ["ip", "route"]),
      /10\.42\.1\.0\/24 via \S+ dev cilium_host .*mtu 1450/,
    );
    await inPod("a-tunnel", "ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1422", address);
    await assert.rejects(inPod("a-tunnel", "ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1472", address));
  });

  it("shows vxlan to native as the values that change, switches all agents at once, and tells the outage that pods saw", async () => {
    const { cluster, core } = made;
    await makeWorkload();
    const labPods = await workloadPods();
    const address = await twoPods("old");
    assert.deepEqual(await previewedValues(program(native())), {
      "values.autoDirectNodeRoutes": "add",
      "values.ipv4NativeRoutingCIDR": "add",
      "values.tunnel": "update",
    });
    // Four times as often as the lab itself looks.
    const probe = testPod("probe", "node1", `ping -D -i 0.05 ${address} >/tmp/replies; true`);
    await core.createNamespacedPod({ namespace: "default", body: probe });
    await until("the probe's first reply", 20, async () =>
      (await inPod("probe", "cat", "/tmp/replies")).includes("bytes from") ? true : undefined,
    );
    const { left, restarted, modeChange } = await up(native());
    const replies = [...(await inPod("probe", "cat", "/tmp/replies")).matchAll(/^\[([0-9.]+)\] .*bytes from/gm)].map(
      ([, time]) => Number(time) * 1000,
    );
    const gaps = replies.slice(1).map((time, index) => time - (replies[index] ?? time));
    const outage = Math.max(...gaps);
    log(`outage of vxlan to native: ${outage.toFixed(0)} ms by the test's probe, ${JSON.stringify(modeChange)}`);
    assert.ok(modeChange?.directions && modeChange.intervalMilliseconds);
    assert.deepEqual([modeChange.from, modeChange.to], ["vxlan", "native, direct routes"]);
    assert.deepEqual(
      modeChange.directions.map(({ from, to, over }) => ({ from, to, over })),
      [
        { from: "node1", to: "node2", over: true },
        { from: "node2", to: "node1", over: true },
      ],
    );
    const [there] = modeChange.directions;
    assert.ok(there && there.received > 10 && there.received <= there.sent, "it pinged all the while");
    const difference = Math.abs(there.outageMilliseconds - outage);
    assert.ok(difference < 3 * modeChange.intervalMilliseconds, "both probes saw the same");

    assert.deepEqual(restarted, labPods.map(({ title }) => title).sort());
    assert.deepEqual(left, ["default/a-old", "default/b-old", "default/probe"]);
    for (const node of cluster.nodes) {
      assert.ok(!(await cluster.runOnNode(node.name, ["ip", "link"])).includes("cilium_vxlan"), node.name);
      const routes = await cluster.runOnNode(node.name, ["ip", "route"]);
      for (const peer of others(node)) {
        assert.ok(routes.includes(`${peer.podCIDR} via ${peer.address} dev eth0`), `${node.name}:\n${routes}`);
      }
    }
    assert.match(await inPod("a-old", "ip", "route"), /mtu 1450/, "old pods keep their MTU");
    const fresh = await twoPods("new");
    await inPod("a-new", "ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1472", fresh);
  });

  it("names the node whose agent ends, with the agent's last words and their rule, and goes on with the next up", async () => {
    const line =
      'level=fatal msg="install-no-conntrack-iptables-rules requires the agent to run in direct routing mode." subsys=daemon';
    await order("node2", `crash ${line}`);
    assert.match(
      await failureOf(up(vxlan())),
      /Cilium can't start with this configuration:[\s\S]*node2: the agent ended (\d times )?with: install-no-conntrack-iptables-rules requires the agent to run in direct routing mode\. \(rule conntrack-bypass-without-tunnel: datapath\.conntrackBypass: /,
    );
    // Of a config that agents end on a restarted container makes nothing else: the pod has to be made anew.
    await orderNothing("node2");
    assert.deepEqual(agentNodes(await up(vxlan())), ["node1", "node2", "node3"]);
  });

  it("says which node lags when its time is over", async () => {
    await order("node3", "lag 120");
    const failure = await failureOf(up(native(), { rolloutTimeoutSeconds: 20 }));
    assert.match(failure, /Cilium is not in effect on every node after 20 s:\s+node3: the agent starts/);
    await orderNothing("node3");
    await up(native());
  });

  const liveConfig = async (): Promise<Record<string, string>> =>
    (await made.core.readNamespacedConfigMap({ namespace, name: "cilium-config" })).data ?? {};

  /** Kills the engine while its Helm, which has applied everything, is at work on an upgrade. */
  async function killedUpgrade(datapath: unknown): Promise<void> {
    const hold = { namespace, name: "stand-in-hold" };
    await made.core.createNamespacedConfigMap({ namespace, body: { metadata: { name: hold.name } } });
    const attempt = failureOf(up(datapath));
    const jobs = made.config.makeApiClient(BatchV1Api);
    await until("Helm held", 60, () => jobs.readNamespacedJob(hold).catch(() => undefined));
    killEngine();
    await attempt;
    await made.stack.cancel();
    await made.core.deleteNamespacedConfigMap(hold);
    await jobs.deleteNamespacedJob(hold);
    // It stays so.
    await releaseState(made.core, "pending-upgrade");
  }

  it("takes an upgrade back whose engine was killed, and carries on", async () => {
    await killedUpgrade(vxlan());
    const helmsOwn = (): string[] =>
      made.stack.temporaryFiles().filter((name) => name.startsWith("datapath-lab-helm-"));
    assert.equal(helmsOwn().length, 1, "a killed provider removes nothing");
    const { modeChangeUnmeasured = "" } = await up(vxlan());
    assert.match(modeChangeUnmeasured, /^the mode is still vxlan; pods were cut off for \d+ ms/);
    assert.deepEqual(helmsOwn(), [], "the next one does");
    assert.equal(await deployedRevisions(), 1);
  });

  it("goes back to the datapath before a killed upgrade when the state is refreshed, and keeps nothing of the other", async () => {
    await killedUpgrade({ ...native(), mtuBytes: 1450 });
    assert.equal((await liveConfig())["mtu"], "1450");
    await made.stack.refresh();
    assert.deepEqual(agentNodes(await up(vxlan())), ["node1", "node2", "node3"]);
    const { tunnel, mtu, ...rest } = await liveConfig();
    assert.deepEqual([tunnel, mtu, rest["ipv4-native-routing-cidr"]], ["vxlan", undefined, undefined]);
    assert.match(await onNode("node1", "ip route"), /10\.42\.1\.0\/24 via \S+ dev cilium_host/);
    assert.equal(await deployedRevisions(), 1);
  });

  it("refuses to take pods' addresses from somebody else", async () => {
    assert.match(
      await failureOf(up({ ...vxlan(), ipam: { mode: "kubernetes" } })),
      /by ipam\.mode cluster-pool, and this datapath wants kubernetes[\s\S]*cilium\.strategy: replace/,
    );
    assert.equal((await liveConfig())["ipam"], "cluster-pool");
  });

  it("replaces the release when asked: uninstalled, nodes clean of what it left, installed, all pods anew", async () => {
    const { cluster, config } = made;
    await workloadPods();
    // What stays when a Cilium goes: of another mode, of an older agent, and beside the main table.
    const stale =
      "set -e; ip link add cilium_geneve type veth peer name stale; ip rule add pref 77 lookup 2005; ip route add 10.42.99.0/24 dev lo table 2004";
    for (const { name } of cluster.nodes) await onNode(name, stale);
    const replaced = { strategy: "replace" };
    const result = await up(native(), replaced);
    assert.equal(result.modeChangeUnmeasured, "the release was replaced, which cuts off every pod for good");
    for (const node of cluster.nodes) {
      const seen = await onNode(node.name, "ip -o link; ip rule; ip route show table 2004; ip route");
      assert.doesNotMatch(seen, /cilium_geneve|cilium_vxlan|stale|^77:|10\.42\.99\.0/m, node.name);
      for (const peer of others(node)) assert.ok(seen.includes(`${peer.podCIDR} via ${peer.address} dev eth0`), seen);
    }
    const pods = await workloadPods();
    const [first, second] = pods;
    assert.ok(first && second && !result.restarted.includes(first.title), "made anew since");
    const place = { namespace: workload.namespace, name: first.name };
    await until("replies between the new pods", 20, () =>
      execInPod(config, place, ["ping", "-c", "1", "-W", "1", second.address]),
    );
    const cleaners = { namespace, labelSelector: "datapath-lab/clean-node" };
    assert.deepEqual((await made.core.listNamespacedPod(cleaners)).items, []);
    assert.deepEqual(Object.keys(await made.stack.preview(program(native(), replaced))), ["same"]);
  });

  it("removes the release and its objects at destroy", async () => {
    await made.stack.destroy();
    const { items } = await made.core.listNamespacedSecret({ namespace, labelSelector: "owner=helm" });
    assert.deepEqual(items, []);
    const sets = await made.config.makeApiClient(AppsV1Api).listNamespacedDaemonSet({ namespace });
    assert.deepEqual(sets.items, []);
  });

  const ownValues = (): string[] => [
    ...["--set", "kubeProxyReplacement=strict", "--set", `k8sServiceHost=${made.cluster.apiServer.host}`],
    ...[
      "--set-string",
      `k8sServicePort=${made.cluster.apiServer.port}`,
      "--set",
      "ipam.operator.clusterPoolIPv4PodCIDR=10.42.0.0/16",
    ],
  ];
  const chart = (): string => made.stack.file("chart");
  const waysOut = /\s+Set cilium\.adopt: true .* or cilium\.manage: false/.source;

  it("takes an interrupted first install back and installs", async () => {
    // More operators than nodes: it would wait for ever.
    const install = ["install", "cilium", chart(), ...ownValues(), "--set", "operator.replicas=4"];
    await interruptedHelm(made, install, "pending-install");
    await up(vxlan());
    await made.stack.destroy();
  });

  it("names a Cilium that was put there by hand, only verifies it when told so, and takes it over when asked", async () => {
    const { cluster, helm, stack } = made;
    const values = [...ownValues(), "--set", "MTU=1400"];
    const rendered = execFileSync(helm, ["template", "cilium", chart(), "--namespace", namespace, ...values], {
      encoding: "utf8",
    });
    const kubectl = path.join(cluster.programsFolder, "kubectl");
    execFileSync(kubectl, ["--kubeconfig", cluster.kubeconfig.path, "apply", "-f", "-"], { input: rendered });
    assert.match(
      await failureOf(up(vxlan())),
      new RegExp(`kube-system has a Cilium that no Helm release owns: DaemonSet cilium, image \\S+\\.${waysOut}`),
    );
    assert.deepEqual(agentNodes(await up(vxlan(), { manage: false })), ["node1", "node2", "node3"]);
    assert.equal((await liveConfig())["mtu"], "1400");
    await up(vxlan(), { adopt: true });
    assert.equal(await deployedRevisions(), 1);
    assert.equal((await liveConfig())["mtu"], undefined, "what the other one set is gone");
    await stack.destroy();
  });

  it("names a release that the stack knows nothing of, and replaces it when asked", async () => {
    const { cluster, helm } = made;
    const access = ["--kubeconfig", cluster.kubeconfig.path, "--namespace", namespace];
    execFileSync(helm, ["install", "cilium", chart(), ...ownValues(), ...access]);
    assert.match(
      await failureOf(up(vxlan())),
      new RegExp(`kube-system has a Helm release cilium, revision 1, that this stack knows nothing of\\.${waysOut}`),
    );
    // Its agents run on while nobody uninstalls them.
    await up(vxlan(), { adopt: true, strategy: "replace" });
    assert.equal(await deployedRevisions(), 1);
  });
});
