import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions, type V1Node } from "@kubernetes/client-node";
import { stringify } from "yaml";
import { ensurePackages } from "../../../offline/packages.ts";
import { testImage, testImageArchive } from "./image.ts";
import { kubernetesPrograms } from "./programs.ts";

/** A node of a test cluster. */
export interface ClusterNode {
  /** As the API server knows it: `node1`, `node2`, … */
  name: string;
  /** IPv4 address in the node network, on the node's only NIC `eth0`. */
  address: string;
  /** Name under /run/netns. */
  networkNamespace: string;
  /** As in the node's spec.podCIDR. */
  podCIDR: string;
}

/** A Kubernetes cluster that stands on this machine alone. */
export interface Cluster {
  name: string;
  nodes: ClusterNode[];
  /** For clients on this machine; the client is a cluster administrator. */
  kubeconfig: { path: string; text: string };
  /** Where pods on the host network, and clients on nodes, reach the API: there is no kube-proxy, so no service address. */
  apiServer: { host: string; port: number };
  /** Holds kubectl, among others. */
  programsFolder: string;
  /** Folder with the logs of control plane (`log/`) and nodes (`NODE/log/`); gone after `stop`. */
  folder: string;
  /**
   * Runs a program on a node, in all of its namespaces, without Kubernetes.
   * @throws Error with what the program printed, when it fails
   */
  runOnNode: (node: string, command: readonly string[]) => Promise<string>;
  /** Removes everything: pods, processes, namespaces, cgroups, files. */
  stop: () => Promise<void>;
}

export interface ClusterOptions {
  /** Lower case letters, digits and hyphens; two clusters with different names don't meet. */
  name: string;
  /** How many; 3 without it, 250 at most. */
  nodes?: number;
  /**
   * `bridge`: each node's pods hang on a bridge and reach their own node and each other; nobody sets routes to other nodes'
   * pods. `none`: nodes stay NotReady until something writes /etc/cni/net.d on them (the plugins are in /opt/cni/bin).
   */
  cni?: "bridge" | "none";
  /** Takes one line about what is done and how long it took. */
  log: (line: string) => void;
}

const run = promisify(execFile);

/** In every cluster: they stand in network namespaces of their own. */
const nodeNetworkGateway = "10.99.0.1";
const podCIDR = "10.42.0.0/16";
const serviceCIDR = "10.43.0.0/16";
const apiPort = 6443;

const startLimitMilliseconds = 120_000;
const pollMilliseconds = 100;

export const clusterTools = [
  { tool: "etcd", package: "etcd-server" },
  { tool: "containerd", package: "containerd" },
  { tool: "runc", package: "runc" },
  { tool: "ip", package: "iproute2" },
  { tool: "openssl", package: "openssl" },
  { tool: "mmdebstrap", package: "mmdebstrap" },
  { tool: "nsenter", package: "util-linux" },
  // Looked for from the folders of PATH: /usr/bin is one of them.
  { tool: "../lib/cni/bridge", package: "containernetworking-plugins" },
];

/** Names of everything that a cluster has outside its namespaces. */
interface Names {
  name: string;
  /** What namespaces and cgroups begin with; the dot keeps a cluster `a` and one `a-b` apart. */
  prefix: string;
  folder: string;
  hostLink: string;
}

function namesOf(name: string): Names {
  if (!/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new Error(
      `A cluster can't be named ${JSON.stringify(name)}: up to 32 lower case letters, digits and hyphens, a letter first.`,
    );
  }
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return {
    name,
    prefix: `datapath-test.${name}.`,
    folder: path.join(tmpdir(), `datapath-test.${name}`),
    hostLink: `dp-${hash}`,
  };
}

/**
 * Starts a Kubernetes cluster of real kubelets, containerd and pods in namespaces of this machine. What an earlier cluster
 * of that name left, also a running one, is removed first. Needs root. The first call on a machine builds Kubernetes and
 * the test image and takes about five minutes.
 * @returns the cluster, its API answering, its nodes registered with their pod CIDRs, and with `cni: "bridge"` all Ready
 * @throws Error that names what did not start, with the end of its log; nothing is left then
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { log, cni = "bridge", nodes: count = 3 } = options;
  const names = namesOf(options.name);
  if (process.getuid?.() !== 0)
    throw new Error("A test cluster needs root: it makes network, mount and process namespaces.");
  await ensurePackages(clusterTools, log);
  const programsFolder = await kubernetesPrograms(log);
  const image = await testImageArchive(log);
  await sweep(names);

  const started = Date.now();
  try {
    const hostSubnet = freeHostSubnet(names.name);
    const nodes = Array.from({ length: count }, (_, index): ClusterNode => {
      const name = `node${index + 1}`;
      return {
        name,
        address: `10.99.0.${index + 11}`,
        networkNamespace: `${names.prefix}${name}`,
        podCIDR: `10.42.${index}.0/24`,
      };
    });
    mkdirSync(names.folder, { mode: 0o700 });
    await writeCredentials(names.folder, hostSubnet.api);
    const cluster = clusterOf(names, { nodes, programsFolder });

    await run(script("network-up"), [], {
      env: {
        ...baseEnvironment(),
        CLUSTER_PREFIX: names.prefix,
        CLUSTER_NODES: nodes.map(({ name, address }) => `${name} ${address}/24`).join("\n"),
        CLUSTER_GATEWAY: `${nodeNetworkGateway}/24`,
        CLUSTER_HOST_LINK: names.hostLink,
        CLUSTER_HOST_ADDRESS: `${hostSubnet.host}/30`,
        CLUSTER_API_ADDRESS: `${hostSubnet.api}/30`,
      },
    });
    const processes = [
      startInNamespaces(names, "control", "control-plane", {
        CLUSTER_FOLDER: names.folder,
        CLUSTER_PROGRAMS: programsFolder,
        CLUSTER_ADDRESS: nodeNetworkGateway,
        CLUSTER_SERVICE_CIDR: serviceCIDR,
        CLUSTER_POD_CIDR: podCIDR,
      }),
      ...nodes.map((node) => {
        const folder = path.join(names.folder, node.name);
        mkdirSync(folder);
        writeNodeConfiguration(folder, node, cni);
        makeCgroups(node.networkNamespace);
        return startInNamespaces(names, node.name, "node", {
          NODE_NAME: node.name,
          NODE_ADDRESS: node.address,
          NODE_FOLDER: folder,
          NODE_KUBECONFIG: path.join(names.folder, "node.kubeconfig"),
          NODE_IMAGE: image,
          NODE_PAUSE_IMAGE: testImage,
          CLUSTER_PROGRAMS: programsFolder,
        });
      }),
    ];
    await untilUsable(cluster, cni, processes);
    log(`Cluster ${names.name}: ${count} nodes in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return cluster;
  } catch (error) {
    await sweep(names);
    throw error;
  }
}

/** Removes what there is of a cluster: a running one, or what a killed process left of it. */
export async function removeCluster(name: string): Promise<void> {
  await sweep(namesOf(name));
}

function clusterOf(names: Names, { nodes, programsFolder }: Pick<Cluster, "nodes" | "programsFolder">): Cluster {
  const kubeconfig = path.join(names.folder, "kubeconfig");
  return {
    name: names.name,
    nodes,
    kubeconfig: { path: kubeconfig, text: readFileSync(kubeconfig, "utf8") },
    apiServer: { host: nodeNetworkGateway, port: apiPort },
    programsFolder,
    folder: names.folder,
    runOnNode: (node, command) =>
      printedBy("nsenter", ["-t", String(initOfNode(names, node)), "-m", "-p", "-n", "-u", "--", ...command]),
    stop: () => sweep(names),
  };
}

function script(name: string): string {
  return path.join(import.meta.dirname, "scripts", name);
}

function baseEnvironment(): NodeJS.ProcessEnv {
  // Daemons inherit nothing of this process but what finds programs.
  return { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`, LANG: "C.UTF-8" };
}

async function sweep(names: Names): Promise<void> {
  await run(script("sweep"), [], {
    env: {
      ...baseEnvironment(),
      CLUSTER_NAME: names.name,
      CLUSTER_PREFIX: names.prefix,
      CLUSTER_HOST_LINK: names.hostLink,
      CLUSTER_FOLDER: names.folder,
    },
  });
}

/** A /30 of the link-local range for the link between this machine and the control plane, with no address of this machine in it. */
function freeHostSubnet(name: string): { host: string; api: string } {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)),
  );
  const first = createHash("sha256").update(name).digest().readUInt16BE(0);
  for (let attempt = 0; attempt < 64; attempt += 1) {
    const subnet = (first + attempt) % (64 * 64);
    const start = `169.254.${64 + Math.floor(subnet / 64)}.`;
    const host = `${start}${(subnet % 64) * 4 + 1}`;
    const api = `${start}${(subnet % 64) * 4 + 2}`;
    if (!taken.has(host) && !taken.has(api)) return { host, api };
  }
  throw new Error("No free subnet in 169.254.64.0/18 for the link to the cluster's control plane.");
}

// --- Files -----------------------------------------------------------------------------------------------------------

async function writeCredentials(folder: string, apiAddressFromHost: string): Promise<void> {
  const inFolder = (name: string): string => path.join(folder, name);
  const subjectNames = [
    ...[
      "kubernetes",
      "kubernetes.default",
      "kubernetes.default.svc",
      "kubernetes.default.svc.cluster.local",
      "localhost",
    ].map((name) => `DNS:${name}`),
    ...[nodeNetworkGateway, apiAddressFromHost, "10.43.0.1", "127.0.0.1"].map((address) => `IP:${address}`),
  ];
  // Its own authority: what trusts the API server's certificate needs no other.
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "365"],
    ...["-subj", "/CN=datapath-test", "-addext", `subjectAltName=${subjectNames.join(",")}`],
    ...["-keyout", inFolder("api.key"), "-out", inFolder("api.crt")],
  ]);
  await run("openssl", ["genrsa", "-out", inFolder("service-accounts.key"), "2048"]);
  const token = randomBytes(24).toString("hex");
  writeFileSync(inFolder("tokens.csv"), `${token},datapath-test,datapath-test,"system:masters"\n`, { mode: 0o600 });
  const certificate = readFileSync(inFolder("api.crt")).toString("base64");
  const writeKubeconfig = (file: string, server: string): void =>
    writeFileSync(
      inFolder(file),
      stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "datapath-test", cluster: { server, "certificate-authority-data": certificate } }],
        users: [{ name: "datapath-test", user: { token } }],
        contexts: [{ name: "datapath-test", context: { cluster: "datapath-test", user: "datapath-test" } }],
        "current-context": "datapath-test",
      }),
      { mode: 0o600 },
    );
  writeKubeconfig("kubeconfig", `https://${apiAddressFromHost}:${apiPort}`);
  writeKubeconfig("node.kubeconfig", `https://${nodeNetworkGateway}:${apiPort}`);
  writeKubeconfig("control.kubeconfig", `https://127.0.0.1:${apiPort}`);
}

function writeNodeConfiguration(folder: string, node: ClusterNode, cni: "bridge" | "none"): void {
  writeFileSync(
    path.join(folder, "containerd.toml"),
    `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${testImage}"
  # Where root may not lower its OOM score, sandboxes would not start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`,
  );
  writeFileSync(
    path.join(folder, "kubelet.yaml"),
    stringify({
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      // Exec and logs come from the API server, which has no client certificate here.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${node.networkNamespace}`,
      enforceNodeAllocatable: [],
      // The machine's own swap and disk say nothing about the cluster.
      failSwapOn: false,
      evictionHard: {
        "memory.available": "0%",
        "nodefs.available": "0%",
        "nodefs.inodesFree": "0%",
        "imagefs.available": "0%",
      },
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
      resolvConf: "",
      makeIPTablesUtilChains: false,
      oomScoreAdj: 0,
      volumePluginDir: "/var/lib/kubelet/volume-plugins",
      kubeAPIQPS: 100,
      kubeAPIBurst: 200,
    }),
  );
  if (cni === "bridge") {
    const bridge = {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ipMasq: false,
      mtu: 1500,
      ipam: { type: "host-local", ranges: [[{ subnet: node.podCIDR }]], routes: [{ dst: "0.0.0.0/0" }] },
    };
    const list = {
      cniVersion: "0.4.0",
      name: "bridge",
      plugins: [bridge, { type: "portmap", capabilities: { portMappings: true } }],
    };
    writeFileSync(path.join(folder, "cni.conflist"), JSON.stringify(list));
  }
}

/** The kubelet puts its pods under an existing cgroup: in each controller's tree (v1) or the one tree (v2). */
function makeCgroups(name: string): void {
  const root = "/sys/fs/cgroup";
  const unified = path.join(root, "cgroup.controllers");
  if (existsSync(unified)) {
    for (const controller of readFileSync(unified, "utf8").trim().split(" ")) {
      writeFileSync(path.join(root, "cgroup.subtree_control"), `+${controller}`);
    }
    mkdirSync(path.join(root, name), { recursive: true });
    return;
  }
  for (const controller of readdirSync(root)) {
    const folder = path.join(root, controller, name);
    if (!existsSync(path.join(root, controller, "cgroup.procs"))) continue;
    mkdirSync(folder, { recursive: true });
    if (controller.split(",").includes("cpuset")) {
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        writeFileSync(path.join(folder, file), readFileSync(path.join(root, controller, file)));
      }
    }
  }
}

// --- Processes -------------------------------------------------------------------------------------------------------

interface NamespaceProcess {
  title: string;
  /** What it said before it ended, once it has. */
  ended: () => string | undefined;
}

/** Starts a script as process 1 of new mount, process and host name namespaces in a node's network namespace. */
function startInNamespaces(
  names: Names,
  title: string,
  scriptName: string,
  environment: NodeJS.ProcessEnv,
): NamespaceProcess {
  const logFile = path.join(names.folder, `${title}.log`);
  const output = openSync(logFile, "a", 0o600);
  const child = spawn(
    "nsenter",
    [
      `--net=/run/netns/${names.prefix}${title}`,
      ...["unshare", "--mount", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child", "--", script(scriptName)],
    ],
    {
      detached: true,
      stdio: ["ignore", output, output],
      env: { ...baseEnvironment(), ...environment, DATAPATH_TEST_CLUSTER: names.name },
    },
  );
  closeSync(output);
  let ended: string | undefined;
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code, signal) => (ended = `exit status ${code ?? signal ?? "unknown"}`));
  child.unref();
  return { title, ended: () => ended };
}

/** Process id, on this machine, of a node's process 1. */
function initOfNode(names: Names, node: string): number {
  const wanted = [`DATAPATH_TEST_CLUSTER=${names.name}`, `NODE_NAME=${node}`];
  for (const id of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const environment = readFileSync(`/proc/${id}/environ`, "utf8").split("\0");
      if (!wanted.every((variable) => environment.includes(variable))) continue;
      // Its number in each process namespace that it is in, the innermost last (proc(5)).
      const numbers = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1]?.split(/\s+/) ?? [];
      if (numbers.length === 2 && numbers[1] === "1") return Number(id);
    } catch {
      // Processes end while they are being looked at.
    }
  }
  throw new Error(`The cluster ${names.name} has no running node ${node}.`);
}

async function printedBy(program: string, programArguments: readonly string[]): Promise<string> {
  const child = spawn(program, programArguments, { stdio: ["ignore", "pipe", "pipe"], env: baseEnvironment() });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const status = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  if (status !== 0) {
    throw new Error(
      `${[program, ...programArguments].join(" ")} failed (exit status ${status ?? "unknown"}):\n${errors}${output}`,
    );
  }
  return output;
}

// --- Waiting ---------------------------------------------------------------------------------------------------------

async function untilUsable(cluster: Cluster, cni: "bridge" | "none", processes: NamespaceProcess[]): Promise<void> {
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeconfig.text);
  const api = config.makeApiClient(CoreV1Api);
  const limit = Date.now() + startLimitMilliseconds;
  const withoutPodCIDR = new Set(cluster.nodes.map(({ name }) => name));
  let missing = "the API server's answer";
  while (Date.now() < limit) {
    for (const { title, ended } of processes) {
      const end = ended();
      if (end !== undefined)
        throw new Error(`${title} of the cluster ${cluster.name} ended (${end}):\n${logsOf(cluster, title)}`);
    }
    try {
      const { items } = await api.listNode();
      for (const node of cluster.nodes.filter(({ name }) => withoutPodCIDR.has(name))) {
        if (!items.some((item) => item.metadata?.name === node.name)) continue;
        await api.patchNode(
          { name: node.name, body: { spec: { podCIDR: node.podCIDR, podCIDRs: [node.podCIDR] } } },
          setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
        );
        withoutPodCIDR.delete(node.name);
      }
      const notReady = cluster.nodes.filter(({ name }) => !isUsable(items, name, cni)).map(({ name }) => name);
      await api.readNamespacedServiceAccount({ name: "default", namespace: "default" });
      if (notReady.length === 0 && withoutPodCIDR.size === 0) return;
      missing = [...new Set([...notReady, ...withoutPodCIDR])].join(", ");
    } catch (error) {
      missing = error instanceof Error ? (error.message.split("\n")[0] ?? missing) : missing;
    }
    await delay(pollMilliseconds);
  }
  const logs = processes.map(({ title }) => logsOf(cluster, title)).join("\n");
  throw new Error(
    `The cluster ${cluster.name} is not usable after ${startLimitMilliseconds / 1000} s; missing: ${missing}\n${logs}`,
  );
}

function isUsable(nodes: V1Node[], name: string, cni: "bridge" | "none"): boolean {
  const node = nodes.find((item) => item.metadata?.name === name);
  if (!node) return false;
  return (
    cni === "none" || (node.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True")
  );
}

/** The last lines of what a node or the control plane wrote. */
function logsOf(cluster: Cluster, title: string): string {
  const folder = path.join(cluster.folder, ...(title === "control" ? ["log"] : [title, "log"]));
  const files = [
    path.join(cluster.folder, `${title}.log`),
    ...(existsSync(folder) ? readdirSync(folder) : [])
      .filter((name) => name.endsWith(".log"))
      .map((name) => path.join(folder, name)),
  ];
  return files
    .map(
      (file) =>
        `--- ${path.relative(cluster.folder, file)}\n${readFileSync(file, "utf8").trimEnd().split("\n").slice(-8).join("\n")}`,
    )
    .join("\n");
}
