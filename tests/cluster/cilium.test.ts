import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import path from "node:path";
import { AppsV1Api, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { Cilium } from "../../components/cilium.ts";
import { ExistingCluster } from "../../components/existing-cluster.ts";
import { cilium as ciliumConfig } from "../../datapath/config/cilium.ts";
import { datapath as datapathConfig } from "../../datapath/config/datapath.ts";
import { ensureHelm } from "../../offline/kubernetes/helm.ts";
import { labPodLabel } from "../../verification/rollout/spec.ts";
import { InlineStack, type EngineEvent } from "../engine/inlineStack.ts";
import { removeCluster, startCluster, type Cluster } from "./harness/cluster.ts";
import { clientConfig, execInPod, testPod, until } from "./harness/pods.ts";

const log = (line: string): void => void process.stderr.write(`      ${line}\n`);
const namespace = "kube-system";

// The agent is the stand-in of agent/chart; engine, Helm, API server, kubelets, pods, links and routes are real.
describe("Cilium on a real three-node cluster, by the stand-in agent, through the real engine", function () {
  this.timeout("4m");
  const name = "cilium-test";
  let cluster: Cluster;
  let config: KubeConfig;
  let core: CoreV1Api;
  let stack: InlineStack;
  let helm: string;

  before(async function () {
    // The first run on a machine builds Kubernetes, Helm and the CLI.
    this.timeout("30m");
    helm = await ensureHelm(log);
    stack = await InlineStack.create();
    cpSync(path.join(import.meta.dirname, "agent", "chart"), stack.file("chart"), { recursive: true });
    // Commands name their programs from the program's working directory, which is the stack's folder here.
    for (const folder of ["verification", "node_modules"]) {
      symlinkSync(path.resolve(import.meta.dirname, "..", "..", folder), stack.file(folder));
    }
    cluster = await startCluster({ name, cni: "none", log });
    config = clientConfig(cluster);
    core = config.makeApiClient(CoreV1Api);
  });
  afterEach(async () => {
    await core.deleteNamespacedConfigMap({ namespace, name: "stand-in-orders" }).catch(() => undefined);
    await core.deleteCollectionNamespacedPod({ namespace: "default" });
  });
  after(async () => {
    await stack.destroy();
    await removeCluster(name);
    stack.remove();
  });

  const replacement = (): unknown => ({
    // There is no kube-proxy: agents reach the API by its own address.
    mode: "strict",
    k8sServiceHost: cluster.apiServer.host,
    k8sServicePort: cluster.apiServer.port,
  });
  const vxlan = (): unknown => ({ mode: "vxlan", kubeProxyReplacement: replacement() });
  const native = (): unknown => ({ mode: "native", routes: { kind: "direct" }, kubeProxyReplacement: replacement() });

  /** A program that puts Cilium on the cluster. */
  function program(datapath: unknown, section: Record<string, unknown> = {}) {
    return () => {
      const standing = new ExistingCluster("cluster", {
        machines: { kind: "none" },
        kubeconfig: cluster.kubeconfig.text,
      });
      const made = new Cilium(
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
      return Promise.resolve({ rollout: made.rollout });
    };
  }

  async function failureOf(attempt: Promise<unknown>): Promise<string> {
    const error: unknown = await attempt.then(
      () => assert.fail("it succeeded"),
      (reason: unknown) => reason,
    );
    return error instanceof Error ? error.message : String(error);
  }

  /** Two pods on two nodes. Returns the second one's address. */
  async function twoPods(suffix: string): Promise<string> {
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
    const address = await until("two pods with addresses", 40, async () => {
      const { items } = await core.listNamespacedPod({ namespace: "default" });
      const own = items.filter((pod) => pod.metadata?.name?.endsWith(`-${suffix}`) && pod.status?.phase === "Running");
      return own.length === 2 ? own.find((pod) => pod.metadata?.name === `b-${suffix}`)?.status?.podIP : undefined;
    });
    return address;
  }

  const inPod = (pod: string, ...command: string[]): Promise<string> =>
    execInPod(config, { namespace: "default", name: pod }, command);

  /** The values that a preview shows as changed. */
  async function previewedValues(wanted: ReturnType<typeof program>): Promise<Record<string, string>> {
    let seen: Record<string, string> = {};
    await stack.preview(wanted, {
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

  it("installs in vxlan, waits for every agent and node, changes nothing twice, and pods reach each other", async () => {
    const { rollout } = await stack.up(program(vxlan()));
    assert.match(JSON.stringify(rollout), /"agents":\[\{"node":"node1",.*"node":"node2",.*"node":"node3",/);
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

  it("shows vxlan to native as the values that change, and switches all agents with a short outage", async () => {
    const address = await twoPods("old");
    assert.deepEqual(await previewedValues(program(native())), {
      "values.autoDirectNodeRoutes": "add",
      "values.ipv4NativeRoutingCIDR": "add",
      "values.tunnel": "update",
    });
    await core.createNamespacedPod({
      namespace: "default",
      body: testPod("probe", "node1", `ping -D -i 0.05 ${address} >/tmp/replies; true`),
    });
    await until("the probe's first reply", 20, async () =>
      (await inPod("probe", "cat", "/tmp/replies")).includes("bytes from") ? true : undefined,
    );
    const { rollout } = await stack.up(program(native()));
    assert.match(JSON.stringify(rollout), /"left":\["default\/a-old","default\/b-old","default\/probe"\]/);
    const replies = [...(await inPod("probe", "cat", "/tmp/replies")).matchAll(/^\[([0-9.]+)\] .*bytes from/gm)].map(
      ([, time]) => Number(time),
    );
    const gaps = replies.slice(1).map((time, index) => time - (replies[index] ?? time));
    log(`outage of vxlan to native: ${Math.max(...gaps).toFixed(2)} s, in ${replies.length} replies`);
    assert.ok(Math.max(...gaps) < 15, "the outage is short");

    for (const node of cluster.nodes) {
      assert.ok(!(await cluster.runOnNode(node.name, ["ip", "link"])).includes("cilium_vxlan"), node.name);
      const routes = await cluster.runOnNode(node.name, ["ip", "route"]);
      for (const peer of cluster.nodes.filter((other) => other !== node)) {
        assert.ok(routes.includes(`${peer.podCIDR} via ${peer.address} dev eth0`), `${node.name}:\n${routes}`);
      }
    }
    assert.match(await inPod("a-old", "ip", "route"), /mtu 1450/, "old pods keep their MTU");
    const fresh = await twoPods("new");
    await inPod("a-new", "ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1472", fresh);
  });

  it("makes the lab's own pods anew after a change, and names those that it leaves", async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const { spec } = testPod("workload", "node1", "sleep infinity");
    const labels = { app: "workload", [labPodLabel]: "yes" };
    assert.ok(spec);
    await apps.createNamespacedDeployment({
      namespace: "default",
      body: {
        metadata: { name: "workload" },
        spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      },
    });
    try {
      const before = await until("the workload", 30, async () => {
        const { items } = await core.listNamespacedPod({ namespace: "default", labelSelector: "app=workload" });
        return items.find(({ status }) => status?.phase === "Running")?.metadata?.name;
      });
      await twoPods("bare");
      const { rollout } = await stack.up(program(vxlan()));
      const text = JSON.stringify(rollout);
      assert.ok(text.includes(`"restarted":["default/${before}"]`), text);
      assert.match(text, /"left":\["default\/a-bare","default\/b-bare"\]/);
    } finally {
      await apps.deleteNamespacedDeployment({ namespace: "default", name: "workload" });
    }
  });

  it("names the node whose agent ends, with the agent's last words and their rule, and goes on with the next up", async () => {
    const line =
      'level=fatal msg="install-no-conntrack-iptables-rules requires the agent to run in direct routing mode." subsys=daemon';
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: "stand-in-orders" }, data: { node2: `crash ${line}` } },
    });
    const failure = await failureOf(stack.up(program(native())));
    assert.match(
      failure,
      /Cilium can't come about with this configuration:[\s\S]*node2: the agent ended \d times with: install-no-conntrack-iptables-rules requires the agent to run in direct routing mode\. \(rule conntrack-bypass-without-tunnel: datapath\.conntrackBypass: /,
    );
    await core.deleteNamespacedConfigMap({ namespace, name: "stand-in-orders" });
    // Of a config that agents end on a restarted container makes nothing else: the pod has to be made anew.
    await core.deleteCollectionNamespacedPod({
      namespace,
      labelSelector: "k8s-app=cilium",
      fieldSelector: "spec.nodeName=node2",
    });
    const { rollout } = await stack.up(program(native()));
    assert.match(JSON.stringify(rollout), /"node":"node2"/);
  });

  it("says which node lags when its time is over", async () => {
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: "stand-in-orders" }, data: { node3: "lag 60" } },
    });
    const failure = await failureOf(stack.up(program(vxlan(), { rolloutTimeoutSeconds: 30 })));
    assert.match(failure, /Cilium is not in effect on every node after 30 s:\s+node3: the agent starts/);
    await stack.up(program(vxlan()));
  });

  /** Runs Helm by hand until the release is in that state in the cluster, and kills it then. */
  async function interrupted(helmArguments: string[], state: string): Promise<void> {
    const child = spawn(
      helm,
      [...helmArguments, "--wait", "--kubeconfig", cluster.kubeconfig.path, "--namespace", namespace],
      { stdio: "ignore" },
    );
    const ended = new Promise((resolve) => child.once("close", resolve));
    await until(`the release ${state}`, 20, async () => {
      const { items } = await core.listNamespacedSecret({ namespace, labelSelector: `status=${state}` });
      return items.length > 0 || undefined;
    });
    child.kill("SIGKILL");
    await ended;
  }

  const ownValues = (): string[] => [
    ...["--set", "kubeProxyReplacement=strict", "--set", `k8sServiceHost=${cluster.apiServer.host}`],
    ...[
      "--set-string",
      `k8sServicePort=${cluster.apiServer.port}`,
      "--set",
      "ipam.operator.clusterPoolIPv4PodCIDR=10.42.0.0/16",
    ],
  ];

  it("takes an interrupted upgrade back and carries on", async () => {
    await interrupted(["upgrade", "cilium", stack.file("chart"), ...ownValues()], "pending-upgrade");
    await stack.up(program(native()));
    const { items } = await core.listNamespacedSecret({ namespace, labelSelector: "owner=helm,status=deployed" });
    assert.equal(items.length, 1);
  });

  it("removes the release and its objects at destroy", async () => {
    await stack.destroy();
    const { items } = await core.listNamespacedSecret({ namespace, labelSelector: "owner=helm" });
    assert.deepEqual(items, []);
    const sets = await config.makeApiClient(AppsV1Api).listNamespacedDaemonSet({ namespace });
    assert.deepEqual(sets.items, []);
  });

  it("takes an interrupted first install back and installs", async () => {
    await interrupted(
      ["install", "cilium", stack.file("chart"), ...ownValues(), "--set", "operator.replicas=4"],
      "pending-install",
    );
    await stack.up(program(vxlan()));
    await stack.destroy();
  });

  it("names a Cilium that was put there by hand, and takes it over when asked", async () => {
    const rendered = execFileSync(
      helm,
      ["template", "cilium", stack.file("chart"), "--namespace", namespace, ...ownValues()],
      { encoding: "utf8" },
    );
    execFileSync(
      path.join(cluster.programsFolder, "kubectl"),
      ["--kubeconfig", cluster.kubeconfig.path, "apply", "-f", "-"],
      {
        input: rendered,
      },
    );
    assert.match(
      await failureOf(stack.up(program(vxlan()))),
      /kube-system has a Cilium that no Helm release owns: DaemonSet cilium, image \S+\.\s+Set cilium\.adopt: true .* or cilium\.manage: false/,
    );
    const verified = await stack.up(program(vxlan(), { manage: false }));
    assert.match(JSON.stringify(verified), /"node":"node1"/);
    await stack.up(program(vxlan(), { adopt: true }));
    const { items } = await core.listNamespacedSecret({ namespace, labelSelector: "owner=helm,status=deployed" });
    assert.equal(items.length, 1);
  });
});
