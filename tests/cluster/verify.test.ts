import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import { text } from "node:stream/consumers";
import { AppsV1Api, type V1Pod } from "@kubernetes/client-node";
import { stringify } from "yaml";
import { z } from "zod";
import { ClusterVerification } from "../../components/cluster-verification.ts";
import { Cilium } from "../../components/cilium.ts";
import { ExistingCluster } from "../../components/existing-cluster.ts";
import { Workload } from "../../components/workload.ts";
import { bgpDatapath, kubeRouter } from "../../datapath/bgp/kubernetes.ts";
import { cilium as ciliumConfig } from "../../datapath/config/cilium.ts";
import { datapath as datapathConfig } from "../../datapath/config/datapath.ts";
import { verification as verificationConfig } from "../../datapath/config/verification.ts";
import { run as runSchema, type Run } from "../../datapath/run/run.ts";
import type { ClusterSpec } from "../../verification/cluster/spec.ts";
import { verifyCluster } from "../../verification/cluster/verify-cluster.ts";
import { labNamespace } from "../../verification/cluster/workload.ts";
import { execInPod } from "../../verification/exec-in-pod.ts";
import { podHost } from "../../verification/hosts/kubernetes.ts";
import { podCidrs as podCidrsSchema, type PodCidrs } from "../../verification/pod-cidrs/spec.ts";
import { settingsOf } from "../../verification/spec.ts";
import { testImage } from "./harness/image.ts";
import { until } from "./harness/pods.ts";
import { buildLimit, ciliumStack, failureOf, type ClusterStack } from "./harness/stack.ts";

const images = { probe: testImage, workload: testImage };
const section = {
  samples: 1,
  durationSeconds: 1,
  streams: [1],
  udpMegabitsPerSecond: 0,
  latencyUnderLoad: false,
  images,
};
const settings = settingsOf(verificationConfig.parse(section));
const root = path.resolve(import.meta.dirname, "..", "..");

// The agent is the stand-in of agent/chart; engine, Helm, API server, kubelets, pods, links, routes and captures are real.
describe("verification of a real three-node cluster", function () {
  this.timeout("3m");
  let made: ClusterStack;
  let remove = (): Promise<void> => Promise.resolve();

  before(async function () {
    this.timeout(buildLimit);
    made = await ciliumStack("verify-test");
    ({ remove } = made);
    writeFileSync(made.stack.file("verify.json"), JSON.stringify({ verification: section }));
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
  /** On another port than the default, so that what is taken for granted shows. */
  const vxlan = (tunnelPort = 8473): Record<string, unknown> => ({ mode: "vxlan", tunnelPort, ...common() });
  const native = (): Record<string, unknown> => ({ mode: "native", routes: { kind: "direct" }, ...common() });

  /** What a stack with a cluster is made of: Cilium, the standing pods, the proof. */
  async function up(datapath: unknown): Promise<Run> {
    const { cluster, stack } = made;
    const outputs = await stack.up(() => {
      const standing = new ExistingCluster("cluster", {
        machines: { kind: "none" },
        kubeconfig: cluster.kubeconfig.text,
      });
      const { kubeconfig, provider } = standing;
      const asked = datapathConfig.parse(datapath);
      const providers = { kubernetes: provider };
      const cilium = new Cilium(
        "cilium",
        {
          datapath: asked,
          cilium: ciliumConfig.parse({ chart: { archive: "./chart" }, rolloutTimeoutSeconds: 90 }),
          nodeCount: cluster.nodes.length,
          kubeconfig,
          definitions: ["ciliumnodes.cilium.io"],
        },
        { providers },
      );
      const workload = new Workload("workload", { images }, { providers, dependsOn: cilium });
      const { run } = new ClusterVerification(
        "verification",
        {
          datapath: asked,
          verification: verificationConfig.parse(section),
          kubeconfig,
          occasions: [cilium.rollout.apply((rollout) => JSON.stringify(rollout))],
        },
        { dependsOn: workload },
      );
      return Promise.resolve({ run });
    });
    return runSchema.parse(outputs["run"]);
  }

  const spec = (more: Partial<ClusterSpec>): ClusterSpec => ({
    lab: { project: "tests", stack: "verify-test" },
    kubeconfig: made.cluster.kubeconfig.text,
    images,
    pods: "standing",
    settings,
    runsFolder: made.stack.file("runs"),
    ...more,
  });

  /** Verifies from the standing pods. `hook` gets each line of progress. */
  function verifyStanding(
    datapath: Record<string, unknown> | undefined,
    hook: (line: string) => void = () => undefined,
    more: Partial<ClusterSpec> = {},
  ): Promise<Run> {
    return verifyCluster(spec({ ...(datapath === undefined ? {} : { datapath }), ...more }), {
      signal: new AbortController().signal,
      progress: hook,
    });
  }

  /** What the program prints that reads pod CIDRs for the lab's router. */
  async function readPodCidrs(nodes: readonly string[], limitSeconds: number): Promise<PodCidrs> {
    const program = path.join(root, "verification", "pod-cidrs", "main.ts");
    const child = spawn(process.execPath, ["--import", "tsx", program]);
    child.stdin.end(JSON.stringify({ kubeconfig: made.cluster.kubeconfig.text, nodes, limitSeconds }));
    const [printed, said] = await Promise.all([text(child.stdout), text(child.stderr)]);
    if (printed === "") throw new Error(said);
    return podCidrsSchema.parse(JSON.parse(printed));
  }

  /** What does not hold, or can't be told: `NODE NAME: FOUND`. */
  const departures = ({ checks }: Run): string[] =>
    checks.filter(({ ok }) => ok !== true).map(({ node, name, found }) => `${node} ${name}: ${found}`);

  function confirmed(run: Run): void {
    assert.deepEqual(departures(run), []);
    assert.equal(run.verdict, "confirmed");
  }

  async function podsOf(role: string): Promise<V1Pod[]> {
    const labelSelector = `app.kubernetes.io/component=${role}`;
    return (await made.core.listNamespacedPod({ namespace: labNamespace, labelSelector })).items;
  }

  async function ownNamespaces(): Promise<string[]> {
    const { items } = await made.core.listNamespace();
    return items
      .flatMap(({ metadata }) => metadata?.name ?? [])
      .filter((name) => name.startsWith("datapath-lab-verify-"));
  }

  it("confirms vxlan in a stack, with Cilium's own word, and keeps no kubeconfig in the state", async () => {
    const run = await up(vxlan());
    confirmed(run);
    assert.equal(run.lab.kind, "cluster");
    assert.ok(run.throughput.podToPodSameNode !== undefined);
    assert.ok(
      run.samples.every(({ result }) => result.outcome === "measured"),
      JSON.stringify(run.samples),
    );
    const agents = run.cilium?.agents ?? [];
    assert.deepEqual(
      agents.map(({ options, status }) => `${options["Tunnel"]}, ${status["Host Routing"]}`),
      Array.from({ length: 3 }, () => "vxlan, Legacy"),
    );
    assert.deepEqual(
      run.features?.filter(({ requested, effective }) => requested !== effective),
      [],
    );
    assert.match(run.versions["kubernetes"] ?? "", /^v1\.26/);
    assert.ok(!made.stack.state().includes("certificate-authority-data"));
  });

  it("contradicts a tunnel on another port than asked for: device, agent and wire", async () => {
    const wrong = departures(await verifyStanding(vxlan(8472)));
    for (const node of ["node1", "node2", "node3"]) {
      assert.ok(wrong.includes(`${node} link cilium_vxlan: vxlan, UDP 8473, up`), wrong.join("\n"));
      assert.ok(wrong.includes(`${node} agent option tunnel-port: 8473`), wrong.join("\n"));
      assert.ok(
        wrong.some((line) => line.startsWith(`${node} pod packets on the wire inside UDP 8473:`)),
        wrong.join("\n"),
      );
    }
  });

  it("confirms native after a change of mode, from pods that were made anew", async () => {
    const before = new Set((await podsOf("workload")).map(({ metadata }) => metadata?.uid));
    confirmed(await up(native()));
    assert.ok((await podsOf("workload")).every(({ metadata }) => !before.has(metadata?.uid)));
  });

  it("confirms routes by a router to which nodes have one route for all pods, and tells that router who has which", async () => {
    const { nodes, runOnNode } = made.cluster;
    const [first] = nodes;
    assert.ok(first);
    const [router, pool] = ["10.99.0.254", "10.42.0.0/16"];
    const inSwitch = (...words: string[]): Buffer =>
      execFileSync("ip", ["netns", "exec", first.networkNamespace.replace(first.name, "control"), ...words]);
    const names = nodes.map(({ name }) => name);
    assert.match(await failureOf(readPodCidrs([...names, "ghost"], 1)), /after 1 s: the cluster has no node ghost/);
    const podCidrs = await readPodCidrs(names, 30);
    assert.deepEqual(Object.values(podCidrs).sort(), ["10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24"]);
    const routes = nodes.map(({ name, address }) => [podCidrs[name] ?? "none", "via", address]);
    inSwitch("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0");
    inSwitch("sysctl", "-qw", "net.ipv4.conf.lan.send_redirects=0");
    inSwitch("ip", "address", "add", `${router}/24`, "dev", "lan");
    for (const words of routes) inSwitch("ip", "route", "add", ...words);
    for (const name of names) await runOnNode(name, ["ip", "route", "add", pool, "via", router]);
    try {
      // A kube-router that an earlier datapath had, of the lab's own and with its routes.
      const { daemonSet } = kubeRouter(
        bgpDatapath(datapathConfig.parse({ mode: "native", routes: "bgp" })) ?? assert.fail(),
      );
      const container = { name: "kube-router", image: testImage, command: ["sleep", "infinity"] };
      const template = { ...daemonSet.spec.template, spec: { hostNetwork: true, containers: [container] } };
      await made.config.makeApiClient(AppsV1Api).createNamespacedDaemonSet({
        namespace: "kube-system",
        body: { ...daemonSet, spec: { ...daemonSet.spec, template } },
      });
      const learned = [podCidrs["node2"] ?? "none", "via", "10.99.0.12"];
      await runOnNode("node1", ["ip", "route", "replace", ...learned, "proto", "17"]);
      const datapath = { ...native(), routes: { kind: "router" } };
      // The agents' direct routes stay behind, as kube-router's do.
      confirmed(await up(datapath));
      const own = [podCidrs["node3"] ?? "none", "via", "10.99.0.13"];
      await runOnNode("node1", ["ip", "route", "add", ...own]);
      const wrong = departures(await verifyStanding(datapath));
      await runOnNode("node1", ["ip", "route", "delete", ...own]);
      assert.deepEqual(wrong, [
        `node1 route to ${podCidrs["node3"] ?? ""}: via 10.99.0.13 dev eth0`,
        "node1 route looked up for node3's pod: via 10.99.0.13 dev eth0",
      ]);
    } finally {
      for (const name of names) await runOnNode(name, ["ip", "route", "delete", pool]);
      for (const words of routes) inSwitch("ip", "route", "delete", ...words);
      inSwitch("ip", "address", "delete", `${router}/24`, "dev", "lan");
    }
    confirmed(await up(native()));
  });

  it("contradicts a stale tunnel device, and nothing else", async () => {
    await made.cluster.runOnNode("node2", "ip link add cilium_vxlan type vxlan external dstport 8472".split(" "));
    try {
      await made.cluster.runOnNode("node2", "ip link set cilium_vxlan up".split(" "));
      const run = await verifyStanding(native());
      assert.deepEqual(departures(run), ["node2 link cilium_vxlan: vxlan, UDP 8472, up"]);
      assert.deepEqual(run.samples, [], "the wrong datapath is not measured");
    } finally {
      await made.cluster.runOnNode("node2", "ip link del cilium_vxlan".split(" "));
    }
  });

  it("contradicts one route gone, on the node and for the pods behind it", async () => {
    await made.cluster.runOnNode("node1", "ip route del 10.42.2.0/24".split(" "));
    try {
      const wrong = departures(await verifyStanding(native()));
      assert.ok(wrong.includes("node1 route to 10.42.2.0/24: none of its own"), wrong.join("\n"));
      assert.ok(
        wrong.some((line) => line.startsWith("node1 path MTU to node3's pod:")),
        wrong.join("\n"),
      );
      assert.ok(!wrong.some((line) => line.startsWith("node2 ")), wrong.join("\n"));
    } finally {
      await made.cluster.runOnNode("node1", "ip route add 10.42.2.0/24 via 10.99.0.13 dev eth0".split(" "));
    }
  });

  it("contradicts a pod that keeps the MTU of the mode before", async () => {
    const pod = (await podsOf("workload")).find((one) => one.spec?.nodeName === "node1");
    const address = pod?.status?.podIP ?? assert.fail();
    const change = (mtu: string): Promise<string> =>
      made.cluster.runOnNode("node1", [
        "bash",
        "-euc",
        `for ns in $(ip netns list | cut -d" " -f1); do
           if ip -n "$ns" -4 address | grep -qF "${address}/"; then
             route=$(ip -n "$ns" route show default | sed "s/ mtu [0-9]*//")
             ip -n "$ns" route replace $route ${mtu}; exit 0
           fi
         done; exit 1`,
      ]);
    await change("mtu 1450");
    try {
      const wrong = departures(await verifyStanding(native()));
      assert.deepEqual(wrong, [
        "node1 MTU on the pod's default route: 1450",
        "node1 path MTU to node2's pod: 1450 bytes",
        "node1 path MTU to node3's pod: 1450 bytes",
      ]);
    } finally {
      await change("");
    }
  });

  it("leaves unjudged what a pod that vanishes in the middle would have shown", async () => {
    const { core } = made;
    const pod = (await podsOf("workload")).find((one) => one.spec?.nodeName === "node3");
    const name = pod?.metadata?.name ?? assert.fail();
    let gone: Promise<unknown> | undefined;
    const run = await verifyStanding(native(), (line) => {
      if (line.startsWith("asking the agents"))
        gone = core.deleteNamespacedPod({ namespace: labNamespace, name, gracePeriodSeconds: 0 });
    });
    await gone;
    assert.notEqual(run.verdict, "confirmed");
    const unjudged = run.checks.filter(({ ok }) => ok === null);
    assert.ok(
      unjudged.some(({ node, found }) => node === "node3" && found.includes(name)),
      JSON.stringify(run.checks.filter(({ ok }) => ok !== true)),
    );
    await until(
      "the pod made anew",
      30,
      async () => (await podsOf("workload")).every(({ status }) => status?.phase === "Running") || undefined,
    );
  });

  it("keeps samples that fail as failed, with iperf3's words, and takes those that can be had", async () => {
    const server = (await podsOf("workload")).find((one) => one.spec?.nodeName === "node2");
    const pod = { namespace: labNamespace, name: server?.metadata?.name ?? assert.fail() };
    let ending: Promise<unknown> | undefined;
    const run = await verifyStanding(native(), (line) => {
      if (line.startsWith("measuring:")) ending = execInPod(made.config, pod, ["pkill", "-9", "iperf3"]);
    });
    await ending;
    assert.equal(run.verdict, "confirmed", "a server that ends says nothing against the datapath");
    const outcomes = new Map(run.samples.map(({ path: between, result }) => [between, result]));
    const failed = outcomes.get("podToPod");
    assert.ok(failed?.outcome === "failed", JSON.stringify(run.samples));
    assert.match(failed.reason, /^iperf3: /);
    assert.equal(outcomes.get("nodeToNode")?.outcome, "measured");
    assert.equal(run.throughput.podToPod["1"]?.failed, 1);
  });

  it("tells a command in a pod that does not end, and one that is not there, and leaves none running", async () => {
    const [pod] = await podsOf("probe");
    const place = { namespace: labNamespace, name: pod?.metadata?.name ?? assert.fail(), container: "probe" };
    const host = podHost(made.config, place, new AbortController().signal);
    assert.match(
      await failureOf(host.run(["sleep", "4321"], { timeoutSeconds: 1 })),
      new RegExp(`^sleep 4321 in ${labNamespace}/${place.name}: no end within 1 s$`),
    );
    assert.match(await failureOf(host.run(["no-such-program"], { timeoutSeconds: 10 })), /no-such-program.*not found/);
    const sleeping = async (): Promise<string> =>
      execInPod(made.config, place, ["sh", "-c", "pgrep -f '[s]leep 4321' || true"]);
    await until("the end of the command", 20, async () => ((await sleeping()) === "" ? true : undefined));
  });

  it("ends its commands in the pods when it is killed", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "verification/cluster/main.ts"], {
      cwd: root,
      stdio: ["pipe", "ignore", "pipe"],
    });
    child.stdin.end(JSON.stringify(spec({ datapath: native() })));
    await said(child, "capturing on every node's NIC");
    const { config } = made;
    const [probe] = await podsOf("probe");
    const pod = { namespace: labNamespace, name: probe?.metadata?.name ?? assert.fail() };
    const running = (): Promise<string> => execInPod(config, pod, ["sh", "-c", "pgrep -a 'tcpdump|iperf3' || true"]);
    await until("captures", 20, async () => ((await running()).includes("tcpdump") ? true : undefined));
    child.kill("SIGKILL");
    await until("the end of captures and servers", 20, async () => ((await running()) === "" ? true : undefined));
  });

  /** `npm run lab -- verify` on this cluster. */
  function lab(...more: string[]): ChildProcess {
    return spawn(
      process.execPath,
      [
        ...["--import", "tsx", path.join(root, "cli", "lab.ts"), "verify", "--file", made.stack.file("verify.json")],
        ...["--kubeconfig", made.cluster.kubeconfig.path, ...more],
      ],
      { cwd: root, stdio: ["ignore", "pipe", "pipe"] },
    );
  }

  /** Waits until a program says something on standard error. */
  function said(child: ChildProcess, words: string): Promise<void> {
    let printed = "";
    return new Promise((resolve, reject) => {
      child.stderr?.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed.includes(words)) resolve();
      });
      child.once("close", () => reject(new Error(`it ended before it said ${JSON.stringify(words)}: ${printed}`)));
    });
  }

  const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once("close", resolve));

  it("verifies outside of a stack what cilium-config asks for, and removes what it made", async () => {
    const child = lab("--json");
    const status = ended(child);
    child.stderr?.resume();
    const run = runSchema.parse(JSON.parse(await text(child.stdout ?? assert.fail())));
    assert.equal(await status, 0);
    confirmed(run);
    assert.equal(z.object({ mode: z.string() }).parse(run.datapath).mode, "native");
    assert.ok(readdirSync(path.join(root, ".lab", "runs")).includes(`${run.id}.json`));
    assert.deepEqual(await ownNamespaces(), []);
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`removes what it made after ${signal}`, async () => {
      const child = lab();
      const status = ended(child);
      child.stdout?.resume();
      await said(child, "capturing on every node's NIC");
      assert.equal((await ownNamespaces()).length, 1);
      child.kill(signal);
      assert.notEqual(await status, 0);
      assert.deepEqual(await ownNamespaces(), []);
    });
  }

  it("names the pods that don't get ready and why, and removes them", async () => {
    const missing = { probe: "localhost/none:1", workload: testImage };
    const failure = await failureOf(
      verifyStanding(native(), undefined, { pods: "own", images: missing, podsTimeoutSeconds: 8 }),
    );
    assert.match(
      failure,
      /The pods to verify with are not ready after 8 s:[\s\S]*node\d: pod probe: (ErrImagePull|ImagePullBackOff)/,
    );
    assert.match(failure, /verification\.images/);
    assert.deepEqual(await ownNamespaces(), []);
  });

  it("tells a lost API server, and removes what it made when it is back", async () => {
    const gate = await Gate.before(new URL(made.cluster.kubeconfig.text.match(/https:\S+/)?.[0] ?? assert.fail()));
    try {
      const kubeconfig = made.cluster.kubeconfig.text.replace(/https:\S+/, `https://127.0.0.1:${gate.port}`);
      let back: NodeJS.Timeout | undefined;
      const outcome = await verifyStanding(
        native(),
        (line) => {
          if (!line.startsWith("capturing")) return;
          gate.close();
          back = setTimeout(() => gate.open(), 3000);
        },
        { pods: "own", kubeconfig },
      ).then(
        ({ verdict }) => verdict,
        (error: unknown) => String(error),
      );
      clearTimeout(back);
      assert.match(outcome, /connection|incomplete|ECONNREFUSED|socket/, outcome);
      assert.deepEqual(await ownNamespaces(), []);
    } finally {
      await gate.remove();
    }
  });

  it("contradicts agents that did not start anew after the config was changed", async () => {
    const { core } = made;
    const map = { namespace: "kube-system", name: "cilium-config" };
    const { data = {} } = await core.readNamespacedConfigMap(map);
    const changed = { ...data, tunnel: "vxlan", "auto-direct-node-routes": "false" };
    await core.replaceNamespacedConfigMap({ ...map, body: { metadata: { name: map.name }, data: changed } });
    try {
      const run = await verifyStanding(undefined);
      assert.equal(run.verdict, "contradicted");
      const wrong = departures(run);
      for (const node of ["node1", "node2", "node3"]) {
        assert.ok(wrong.includes(`${node} agent option tunnel: disabled`), wrong.join("\n"));
        assert.ok(
          wrong.some(
            (line) => line.startsWith(`${node} start of the agent:`) && line.includes("before the last change"),
          ),
        );
        assert.ok(wrong.includes(`${node} link cilium_vxlan: absent`), wrong.join("\n"));
      }
    } finally {
      await core.replaceNamespacedConfigMap({ ...map, body: { metadata: { name: map.name }, data } });
    }
  });

  it("compares datapaths of a stack in turns, each proven, with the tuning kept, and leaves nothing where nothing stood", async function () {
    this.timeout("6m");
    const { core, stack } = made;
    await stack.destroy();
    const stackName = `test-cluster-${process.pid}`;
    const file = path.join(root, `Pulumi.${stackName}.yaml`);
    const config = {
      machines: { kind: "none", kubeconfig: made.cluster.kubeconfig.path },
      datapath: native(),
      cilium: { chart: { archive: path.relative(root, path.join(import.meta.dirname, "agent", "chart")) } },
      verification: {
        ...section,
        udpMegabitsPerSecond: 10,
        latencyUnderLoad: true,
        runsFolder: path.relative(root, stack.file("compared")),
      },
    };
    const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`datapath-lab:${key}`, value]);
    writeFileSync(file, stringify({ config: Object.fromEntries(entries) }));
    try {
      const words = ["compare", "--stack", stackName, "--datapaths", "native,vxlan", "--rounds", "1", "--json"];
      const child = spawn(process.execPath, ["--import", "tsx", path.join(root, "cli", "lab.ts"), ...words], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, DATAPATH_LAB_FOLDER: stack.file("lab") },
      });
      const [said, printed, status] = await Promise.all([text(child.stderr), text(child.stdout), ended(child)]);
      assert.equal(status, 0, said);
      const { comparisons } = z
        .object({ comparisons: z.array(z.object({ a: z.string(), b: z.string(), differences: z.array(z.unknown()) })) })
        .parse(JSON.parse(printed));
      assert.deepEqual(
        comparisons.map(({ a, b }) => [a, b]),
        [["native", "vxlan"]],
      );
      const runs = readdirSync(stack.file("compared"))
        .map((name) => runSchema.parse(JSON.parse(readFileSync(path.join(stack.file("compared"), name), "utf8"))))
        .toSorted((one, other) => one.time.localeCompare(other.time));
      for (const run of runs) {
        confirmed(run);
        assert.ok(
          run.samples.every(({ result }) => result.outcome === "measured"),
          JSON.stringify(run.samples),
        );
        assert.equal(run.udp?.podToPod?.rateBitsPerSecond, 10e6);
        assert.equal(run.latencyUnderLoad?.podToPodSameNode?.received, 200);
      }
      assert.deepEqual(
        runs.map(({ datapath, modeChange }) => [datapath["mode"], modeChange?.to]),
        [
          ["native", undefined],
          ["vxlan", "vxlan"],
        ],
      );
      const replacements = runs.map(
        ({ features = [] }) => features.find(({ name }) => name === "kube-proxy replacement")?.effective,
      );
      assert.deepEqual(replacements, ["strict", "strict"], "what is compared differs in nothing but the mode");
      // Nothing stood before. Helm does not wait for the last pod.
      await until("the end of all pods", 60, async () =>
        (await core.listPodForAllNamespaces()).items.length === 0 ? true : undefined,
      );
    } finally {
      rmSync(file, { force: true });
    }
  });
});

/** Stands between a client and the API server, and can cut it off. */
class Gate {
  readonly port: number;
  private readonly server: Server;
  private readonly sockets: Set<Socket>;
  private readonly state: { isOpen: boolean };

  private constructor(server: Server, port: number, sockets: Set<Socket>, state: { isOpen: boolean }) {
    this.server = server;
    this.port = port;
    this.sockets = sockets;
    this.state = state;
  }

  static async before({ hostname, port }: URL): Promise<Gate> {
    const sockets = new Set<Socket>();
    const state = { isOpen: true };
    const server = createServer((client) => {
      if (!state.isOpen) {
        client.destroy();
        return;
      }
      const api = connect(Number(port), hostname);
      for (const [one, other] of [
        [client, api],
        [api, client],
      ] as const) {
        sockets.add(one);
        one.on("error", () => undefined);
        one.on("close", () => {
          sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    return new Gate(server, address.port, sockets, state);
  }

  /** Cuts every connection, and lets none through. */
  close(): void {
    this.state.isOpen = false;
    for (const socket of this.sockets) socket.destroy();
  }

  open(): void {
    this.state.isOpen = true;
  }

  async remove(): Promise<void> {
    this.close();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
