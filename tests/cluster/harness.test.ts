import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  AppsV1Api,
  CoreV1Api,
  RbacAuthorizationV1Api,
  VersionApi,
  type KubeConfig,
  type V1Pod,
} from "@kubernetes/client-node";
import { removeCluster, standingCluster, startCluster, type Cluster } from "./harness/cluster.ts";
import { testImage } from "./harness/image.ts";
import { execInPod } from "../../verification/exec-in-pod.ts";
import { clientConfig, testPod, until } from "./harness/pods.ts";

const namespace = "default";
const log = (line: string): void => void process.stderr.write(`      ${line}\n`);

function ready(pod: V1Pod): boolean {
  return (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
}

/** Everything on the machine that bears a cluster's name, by tools that the harness does not use for it. */
function tracesOf(name: string): string[] {
  const hostLink = `dp-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
  const lines = (program: string, ...programArguments: string[]): string[] =>
    execFileSync(program, programArguments, { encoding: "utf8" }).split("\n");
  const marked = (line: string): boolean => line.includes(`datapath-test.${name}.`);
  return [
    ...lines("ip", "netns", "list").filter(marked),
    ...lines("ip", "-o", "link").filter((line) => line.includes(hostLink)),
    // With their environments, which containerd's shims have from containerd.
    ...lines("ps", "axwwe", "-o", "pid,args").filter((line) => line.includes(`DATAPATH_TEST_CLUSTER=${name} `)),
    ...lines("cat", "/proc/mounts").filter((line) => line.includes(`datapath-test.${name}`)),
    ...lines("find", "/sys/fs/cgroup", "-maxdepth", "2").filter(marked),
    ...readdirSync(tmpdir()).filter((entry) => entry === `datapath-test.${name}`),
  ];
}

/** The process ids of everything in the pods of a cluster. */
function podProcesses(name: string): string[] {
  const groups = ["/sys/fs/cgroup", "-path", `*/datapath-test.${name}.*/cgroup.procs`, "-exec", "cat", "{}", "+"];
  return [...new Set(execFileSync("find", groups, { encoding: "utf8" }).split("\n"))].filter((line) => line !== "");
}

describe("A test cluster", function () {
  this.timeout(180_000);
  const name = "harness-test";
  let cluster: Cluster;
  let config: KubeConfig;
  let core: CoreV1Api;

  const running = (pod: string): Promise<V1Pod> =>
    until(`pod ${pod} Ready`, 30, async () => {
      const found = await core.readNamespacedPod({ name: pod, namespace });
      return ready(found) ? found : undefined;
    });

  before(async function () {
    // The first start on a machine builds Kubernetes.
    this.timeout(900_000);
    await removeCluster(name);
    cluster = await startCluster({ name, log });
    config = clientConfig(cluster);
    core = config.makeApiClient(CoreV1Api);
  });

  after(() => removeCluster(name));

  it("has three nodes Ready in Kubernetes 1.26.15, each with its address and pod CIDR", async () => {
    const { gitVersion } = await config.makeApiClient(VersionApi).getCode();
    assert.equal(gitVersion, "v1.26.15");
    const { items } = await core.listNode();
    const seen = items.map((node) => ({
      name: node.metadata?.name,
      address: node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address,
      podCIDR: node.spec?.podCIDR,
      ready: node.status?.conditions?.find(({ type }) => type === "Ready")?.status,
    }));
    assert.deepEqual(seen, [
      { name: "node1", address: "10.99.0.11", podCIDR: "10.42.0.0/24", ready: "True" },
      { name: "node2", address: "10.99.0.12", podCIDR: "10.42.1.0/24", ready: "True" },
      { name: "node3", address: "10.99.0.13", podCIDR: "10.42.2.0/24", ready: "True" },
    ]);
  });

  it("runs a DaemonSet's pods on each node, with addresses from its pod CIDR; exec and logs work", async () => {
    const { spec } = testPod("everywhere", "", "echo started on $NODE; sleep infinity");
    assert.ok(spec);
    const [container] = spec.containers;
    assert.ok(container);
    delete spec.nodeName;
    container.env = [{ name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }];
    const labels = { app: "everywhere" };
    await config.makeApiClient(AppsV1Api).createNamespacedDaemonSet({
      namespace,
      body: {
        metadata: { name: "everywhere" },
        spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      },
    });
    const pods = await until("three pods Ready", 30, async () => {
      const { items } = await core.listNamespacedPod({ namespace, labelSelector: "app=everywhere" });
      return items.length === 3 && items.every(ready) ? items : undefined;
    });
    for (const node of cluster.nodes) {
      const pod = pods.find((candidate) => candidate.spec?.nodeName === node.name);
      const podName = pod?.metadata?.name ?? "";
      assert.ok(
        pod?.status?.podIP?.startsWith(node.podCIDR.replace("0/24", "")),
        `${pod?.status?.podIP} on ${node.name}`,
      );
      assert.equal(await execInPod(config, { namespace, name: podName }, ["printenv", "NODE"]), `${node.name}\n`);
      assert.equal(await core.readNamespacedPodLog({ name: podName, namespace }), `started on ${node.name}\n`);
    }
    await assert.rejects(
      execInPod(config, { namespace, name: pods[0]?.metadata?.name ?? "" }, [
        "sh",
        "-c",
        "# Fails\necho no >&2; exit 3",
      ]),
      new RegExp(`^Error: sh -c # Fails in ${namespace}/\\S+: exit code 3\nno$`),
    );
  });

  it("carries pings and iperf3 between pods of a node, and sets no route to the pods of other nodes", async () => {
    await core.createNamespacedPod({ namespace, body: testPod("server", "node2", "iperf3 --server") });
    await core.createNamespacedPod({ namespace, body: testPod("client", "node2", "sleep infinity") });
    const address = (await running("server")).status?.podIP ?? "";
    await running("client");
    const client = { namespace, name: "client" };
    const ping = await execInPod(config, client, ["ping", "-c", "2", "-i", "0.2", "-M", "do", "-s", "1472", address]);
    assert.match(ping, /2 packets transmitted, 2 received/);
    const iperf = await until("an iperf3 run", 20, () =>
      execInPod(config, client, ["iperf3", "--client", address, "--bytes", "20M", "--json"]),
    );
    assert.match(iperf, /"bits_per_second":\s*[1-9]/);
    for (const { name: node, podCIDR } of cluster.nodes) {
      const routes = await cluster.runOnNode(node, ["ip", "-4", "route"]);
      const toPods = routes.split("\n").filter((route) => route.startsWith("10.42."));
      assert.ok(
        toPods.every((route) => route.startsWith(podCIDR)),
        routes,
      );
    }
  });

  it("gives each node files and mounts of its own, which a privileged pod reaches", async () => {
    const pod = testPod("agent", "node3", "touch /node/run/cilium/mark; sleep infinity");
    assert.ok(pod.spec?.containers[0]);
    pod.spec.hostPID = true;
    pod.spec.hostNetwork = true;
    pod.spec.volumes = [{ name: "node", hostPath: { path: "/" } }];
    pod.spec.containers[0].volumeMounts = [{ name: "node", mountPath: "/node" }];
    pod.spec.containers[0].securityContext = { privileged: true };
    await core.createNamespacedPod({ namespace, body: pod });
    await running("agent");
    const onNode = ["nsenter", "--mount=/proc/1/ns/mnt", "sh", "-c"];
    await execInPod(config, { namespace, name: "agent" }, [
      ...onNode,
      "touch /etc/cni/net.d/other; ip link add dlink type veth peer name dpeer",
    ]);
    for (const node of ["node1", "node2", "node3"]) {
      const seen = await cluster.runOnNode(node, [
        "sh",
        "-c",
        "ls /run/cilium /etc/cni/net.d; ip -o link show type veth",
      ]);
      assert.equal(seen.includes("mark"), node === "node3", `${node}: ${seen}`);
      assert.equal(seen.includes("other"), node === "node3", `${node}: ${seen}`);
      assert.equal(seen.includes("dlink"), node === "node3", `${node}: ${seen}`);
    }
    assert.equal(existsSync("/etc/cni/net.d/other"), false);
    assert.equal(existsSync("/run/cilium/mark"), false);
  });

  it("answers a pod's own service account, by the API server's own address", async () => {
    const rbac = config.makeApiClient(RbacAuthorizationV1Api);
    await rbac.createClusterRoleBinding({
      body: {
        metadata: { name: "default-view" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
        subjects: [{ kind: "ServiceAccount", name: "default", namespace }],
      },
    });
    const pod = testPod("inside", "node1", "sleep infinity");
    assert.ok(pod.spec);
    pod.spec.hostNetwork = true;
    await core.createNamespacedPod({ namespace, body: pod });
    await running("inside");
    const credentials = "/var/run/secrets/kubernetes.io/serviceaccount";
    const url = `https://${cluster.apiServer.host}:${cluster.apiServer.port}/api/v1/namespaces/default/pods`;
    const answer = await execInPod(config, { namespace, name: "inside" }, [
      ...["bash", "-c"],
      `curl -sS --cacert ${credentials}/ca.crt -H "Authorization: Bearer $(cat ${credentials}/token)" ${url} | jq -r .kind`,
    ]);
    assert.equal(answer, "PodList\n");
  });

  it("installs a further image on every node", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "datapath-image-"));
    try {
      // The same image under another name, without its layers: containerd has them.
      const other = "localhost/another:1";
      await cluster.runOnNode("node1", ["ctr", "-n", "k8s.io", "images", "tag", testImage, other]);
      const archive = path.join(folder, "another.tar");
      writeFileSync(archive, "");
      await cluster.runOnNode("node1", ["ctr", "-n", "k8s.io", "images", "export", archive, other]);
      await cluster.installImage(archive);
      for (const { name: node } of cluster.nodes) {
        const images = await cluster.runOnNode(node, ["ctr", "-n", "k8s.io", "images", "list", "-q"]);
        assert.ok(images.split("\n").includes(other), `${node}: ${images}`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("stands beside another cluster, whose nodes wait for a CNI configuration", async () => {
    const other = await startCluster({ name: "harness-test-bare", nodes: 1, cni: "none", log });
    try {
      const otherCore = clientConfig(other).makeApiClient(CoreV1Api);
      const condition = async (): Promise<{ status: string; message?: string } | undefined> =>
        (await otherCore.readNode({ name: "node1" })).status?.conditions?.find(({ type }) => type === "Ready");
      const waiting = await until("a Ready condition", 20, condition);
      assert.equal(waiting.status, "False");
      assert.match(waiting.message ?? "", /cni plugin not initialized/);
      const bridge = {
        cniVersion: "0.4.0",
        name: "late",
        type: "bridge",
        ipam: { type: "host-local", subnet: "10.42.0.0/24" },
      };
      await other.runOnNode("node1", ["sh", "-c", `echo '${JSON.stringify(bridge)}' >/etc/cni/net.d/05-late.conf`]);
      await until("node1 Ready", 30, async () => ((await condition())?.status === "True" ? true : undefined));
      assert.equal((await core.listNode()).items.length, 3);
      assert.equal(standingCluster(name).nodes.length, 3);
    } finally {
      await other.stop();
    }
    assert.deepEqual(tracesOf("harness-test-bare"), []);
    assert.notDeepEqual(tracesOf(name), []);
  });

  it("leaves nothing when it is stopped", async () => {
    assert.ok(tracesOf(name).length > 10, "the traces are looked for where there are some");
    const inPods = podProcesses(name);
    assert.ok(inPods.length > 0);
    await cluster.stop();
    assert.deepEqual(tracesOf(name), []);
    assert.deepEqual(
      inPods.filter((id) => existsSync(`/proc/${id}`)),
      [],
    );
    assert.throws(() => standingCluster(name), /No cluster named harness-test stands on this machine/);
  });

  it("names what does not start, with its log, and leaves nothing", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "datapath-tools-"));
    const searched = process.env["PATH"];
    try {
      writeFileSync(path.join(folder, "containerd"), "#!/bin/sh\necho no space left >&2\nexit 7\n", { mode: 0o755 });
      process.env["PATH"] = `${folder}:${searched ?? ""}`;
      await assert.rejects(
        startCluster({ name, nodes: 1, log }),
        /^Error: node1 of the cluster harness-test ended \(exit status 1\):\n[^]*containerd\.log\nno space left/,
      );
    } finally {
      process.env["PATH"] = searched;
      rmSync(folder, { recursive: true });
    }
    assert.deepEqual(tracesOf(name), []);
  });

  it("is removed by its name when the process that started it was killed", async () => {
    const main = path.join(import.meta.dirname, "harness", "main.ts");
    const child = spawn(process.execPath, ["--import", "tsx", main, "up", name, "--nodes", "1"], { stdio: "ignore" });
    await until("the kubelet of node1 under way", 60, () =>
      Promise.resolve(tracesOf(name).some((line) => line.includes("/kubelet ")) || undefined),
    );
    child.kill("SIGKILL");
    await removeCluster(name);
    assert.deepEqual(tracesOf(name), []);
  });

  it("refuses a name that could not be told apart from others", async () => {
    await assert.rejects(
      startCluster({ name: "a.b", log }),
      /A cluster can't be named "a\.b": up to 32 lower case letters/,
    );
  });
});
