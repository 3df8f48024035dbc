import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { ensurePackages } from "../../offline/packages.ts";
import {
  imageTools,
  libvirtTools,
  NetworkedStack,
  startLibvirt,
  testCloudImage,
  type PrivateLibvirt,
  type UpResult,
} from "./harness.ts";

const log = (line: string): void => void process.stderr.write(`      ${line}\n`);
const standIn = readFileSync(path.join(import.meta.dirname, "k3s", "k3s"), "utf8");
const mirrorPort = 8099;
/** Of the libvirt network: what the machines reach this side by. */
const mirrorAddress = "192.168.123.1";

const connections = z.array(
  z.object({
    name: z.string(),
    address: z.string(),
    connection: z.object({ user: z.string(), privateKey: z.string(), hostKey: z.string() }),
  }),
);
type Connected = z.infer<typeof connections>[number];
type Section = Readonly<Record<string, unknown>>;

const older = "v1.26.6+k3s1";
const newer = "v1.26.9+k3s1";
const broken = "v1.26.10+k3s1";

async function failureOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : String(error);
}

describe("K3s on virtual machines, with a stand-in for its binary", function () {
  this.timeout("15m");
  // Each scenario goes on with the cluster of the one before.
  this.bail(true);
  let libvirt: PrivateLibvirt;
  let stack: NetworkedStack;
  let machines: readonly Connected[] = [];
  let mirror: ChildProcess;
  const origin = `http://${mirrorAddress}:${mirrorPort}`;

  /** Runs a script as root on a machine by ssh. */
  async function on(name: string, script: string): Promise<string> {
    const machine = machines.find((each) => each.name === name);
    assert.ok(machine);
    const { user } = machine.connection;
    const known = path.join(libvirt.folder, `${name}.known`);
    const options = ["BatchMode=yes", "StrictHostKeyChecking=yes", `UserKnownHostsFile=${known}`, "ConnectTimeout=60"];
    const words = [...options.flatMap((option) => ["-o", option]), "-i", path.join(libvirt.folder, `${name}.key`)];
    const encoded = Buffer.from(script).toString("base64");
    const command = `echo ${encoded} | base64 -d | sudo sh`;
    return (await libvirt.run("ssh", ...words, `${user}@${machine.address}`, command)).trim();
  }
  const onAll = (script: string): Promise<string[]> => Promise.all(machines.map(({ name }) => on(name, script)));

  function release(folder: string, version: string, { corrupt = false } = {}): void {
    const at = path.join(libvirt.folder, "mirror", folder, version);
    mkdirSync(at, { recursive: true });
    const text = standIn.replace('VERSION = "v0.0.0"', `VERSION = "${version}"`);
    const sha256 = createHash("sha256").update(text).digest("hex");
    writeFileSync(path.join(at, "k3s"), corrupt ? `${text}# one line too many\n` : text);
    const others = `${"0".repeat(64)}  k3s-airgap-images-amd64.tar\n${"1".repeat(64)}  k3s-arm64\n`;
    writeFileSync(path.join(at, "sha256sum-amd64.txt"), `${others}${sha256}  k3s\n`);
  }

  interface Rest {
    readonly datapath?: Section;
    readonly nodes?: number;
    readonly waitUntilReady?: boolean;
  }

  function configure(k3s: Section, { datapath = {}, nodes = 3, ...rest }: Rest = {}): void {
    const hosts = machines.slice(0, nodes).map(({ name, address, connection }) => ({
      name,
      address,
      user: connection.user,
      privateKeyFile: path.join(libvirt.folder, `${name}.key`),
      hostKey: connection.hostKey,
    }));
    stack.configure({
      machines: { kind: "hosts", hosts, minimumMemoryMebibytes: 100, minimumDiskGibibytes: 1 },
      datapath: { mode: "native", ...datapath },
      k3s: { source: { kind: "releases", urls: [`${origin}/good`] }, startLimitSeconds: 400, ...k3s },
      ...rest,
    });
  }

  const strict = { datapath: { kubeProxyReplacement: "strict" } };

  async function up(): Promise<UpResult> {
    const began = Date.now();
    const result = await stack.up();
    log(`up: ${((Date.now() - began) / 1000).toFixed(0)} s`);
    return result;
  }

  /** What the stand-in's server saw since the last look: starts of nodes with their release, and what kubectl did. */
  async function actions(): Promise<string[]> {
    const file = "/var/lib/rancher/k3s/server/actions";
    const lines = await on("node-1", `if [ -e ${file} ]; then cat ${file}; : >${file}; fi`);
    return lines.split("\n").filter((line) => line !== "");
  }

  before(async function () {
    this.timeout("25m");
    await ensurePackages([...libvirtTools, ...imageTools], log);
    const image = await testCloudImage(log);
    libvirt = await startLibvirt();
    const made = await NetworkedStack.create(
      libvirt,
      path.join(import.meta.dirname, "program"),
      "lab-vm-test",
      "machines",
    );
    made.configure({
      machines: {
        ...{ kind: "libvirt", uri: libvirt.uri, folder: path.join(libvirt.folder, "images"), image: { path: image } },
        ...{ vcpus: 1, memoryMebibytes: 512, diskGibibytes: 4, accelerator: "qemu", packages: [], aptMirror: null },
      },
    });
    const { outputs } = await made.up();
    machines = connections.parse(outputs["machines"]);
    for (const { name, address, connection } of machines) {
      writeFileSync(path.join(libvirt.folder, `${name}.key`), connection.privateKey, { mode: 0o600 });
      writeFileSync(path.join(libvirt.folder, `${name}.known`), `${address} ${connection.hostKey}\n`);
    }
    // The lab that made the machines has its mark on them, and none of it is left when it is another's.
    await onAll("rm -f /etc/datapath-lab");
    release("corrupt", older, { corrupt: true });
    for (const version of [older, newer, broken]) release("good", version);
    const [first, ...words] = [...libvirt.inNetwork, process.execPath, "--import", "tsx"];
    const program = path.join(import.meta.dirname, "k3s", "mirror.ts");
    mirror = spawn(first, [...words, program, path.join(libvirt.folder, "mirror"), `${mirrorPort}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve, reject) => {
      mirror.stdout?.once("data", resolve);
      mirror.once("exit", () => reject(new Error("the mirror ended")));
    });
    stack = await NetworkedStack.create(
      libvirt,
      path.join(import.meta.dirname, "k3s-program"),
      "lab-k3s-test",
      "cluster",
    );
  });
  after(async () => {
    mirror.kill();
    await libvirt.stop();
  });

  it("is not installed anywhere from a mirror whose binary is not the release's", async () => {
    configure({ source: { kind: "releases", urls: [`${origin}/corrupt`] } });
    const message = await failureOf(up());
    assert.match(message, /node-\d: No URL gave K3s v1\.26\.6\+k3s1 \(k3s\.source\); nothing was installed\./);
    assert.match(message, /corrupt\/v1\.26\.6\+k3s1\/k3s: sha256 [0-9a-f]{64}, and the release says [0-9a-f]{64}/);
    const found =
      "ls /etc/rancher /usr/local/bin/k3s /usr/local/lib/k3s/*/k3s 2>/dev/null; systemctl cat k3s k3s-agent 2>/dev/null";
    assert.deepEqual(await onAll(`${found}; true`), ["", "", ""]);
  });

  it("makes the machines one cluster, from the first mirror that has the release", async () => {
    configure({ source: { kind: "releases", urls: [`${origin}/nothing`, `${origin}/good`] } });
    const { outputs, printed } = await up();
    const [first, ...agents] = await actions();
    assert.deepEqual(
      [first, ...agents.sort()],
      ["node-1", "node-2", "node-3"].map((name) => `start ${name} ${older}`),
    );
    assert.match(printed, /node-1: K3s v1\.26\.6\+k3s1 is here, sha256 [0-9a-f]{64}/);
    assert.match(printed, /node-2: K3s v1\.26\.6\+k3s1 runs as agent/);
    const { clusters, "current-context": context } = z
      .object({
        "current-context": z.string(),
        clusters: z.array(z.object({ name: z.string(), cluster: z.unknown() })),
      })
      .parse(parse(z.string().parse(outputs["kubeconfig"])));
    const server = `https://${machines[0]?.address ?? ""}:6443`;
    assert.equal(context, "lab-k3s-test-cluster");
    assert.deepEqual(clusters, [
      { name: "lab-k3s-test-cluster", cluster: { server, "certificate-authority-data": "Y2E=" } },
    ]);
    const files = "/etc/rancher/k3s/config.yaml /etc/rancher/k3s/token";
    assert.deepEqual(
      await onAll(
        `stat -c %a:%U ${files}; for unit in k3s k3s-agent; do systemctl is-enabled $unit 2>/dev/null; done; true`,
      ),
      machines.map(() => "600:root\n600:root\nenabled"),
    );
    assert.match(await on("node-2", "cat /etc/rancher/k3s/config.yaml"), /server: "https:\/\/192\.168\.123\.11:6443"/);
  });

  it("is left as it is by a second update", async () => {
    assert.deepEqual(Object.keys(await stack.preview()), ["same"]);
  });

  it("has nodes that are registered and not Ready, told apart", async () => {
    configure(
      { nodeLimitSeconds: 20, source: { kind: "releases", urls: [`${origin}/nothing`, `${origin}/good`] } },
      { waitUntilReady: true },
    );
    const message = await failureOf(up());
    assert.match(message, /Not all nodes are Ready after 20 s \(k3s\.nodeLimitSeconds\):/);
    assert.match(message, /node-2 is not Ready: cni plugin not initialized/);
    assert.deepEqual(await actions(), [], "something was started again");
  });

  it("shows its token in no process, journal, environment or plain state", async () => {
    const token = await on("node-1", "cat /etc/rancher/k3s/token");
    assert.match(token, /^[A-Za-z0-9]{48}$/);
    const places = [
      "ps axwwe -o args",
      "journalctl --no-pager",
      "systemctl show k3s k3s-agent",
      "cat /etc/systemd/system/k3s*.service",
      "cat /proc/[0-9]*/environ | tr '\\0' '\\n'",
      "cat /etc/rancher/k3s/config.yaml",
    ];
    const read = `{ ${places.join("; ")}; } 2>/dev/null >/run/seen; wc -l </run/seen; grep -c "$(cat /etc/rancher/k3s/token)" /run/seen; rm /run/seen`;
    for (const told of await onAll(read)) {
      const [lines, hits] = told.split("\n").map(Number);
      assert.ok((lines ?? 0) > 100, told);
      assert.equal(hits, 0);
    }
    const state = path.join(libvirt.folder, "state", ".pulumi", "stacks", "lab-k3s-test", "cluster.json");
    assert.ok(!readFileSync(state, "utf8").includes(token));
  });

  it("starts again what a change of settings concerns", async () => {
    configure({}, strict);
    await up();
    // Agents ask the server once, as they start, whether to run kube-proxy.
    const [first, ...agents] = await actions();
    assert.deepEqual(
      [first, ...agents.sort()],
      ["node-1", "node-2", "node-3"].map((name) => `start ${name} ${older}`),
    );
  });

  it("goes back to the settings of before where it does not come up with new ones, and says why", async () => {
    const read = "cat /etc/rancher/k3s/config.yaml";
    const before = await on("node-1", read);
    configure({ settings: { server: { "kubelet-arg": ["wrong=1"] } } }, strict);
    const message = await failureOf(up());
    assert.match(message, /node-1: K3s did not come up: the service k3s ends as soon as it starts\./);
    assert.match(message, /\| level=fatal msg="kubelet: unknown flag: --wrong=1"/);
    assert.match(
      message,
      /The settings of before are in place again, and K3s runs with them\. With config\.yaml it did not/,
    );
    assert.equal(await on("node-1", read), before);
    assert.equal(await on("node-1", "systemctl is-active k3s"), "active");
    // The server's settings do not concern agents.
    assert.deepEqual(await actions(), [`start node-1 ${older}`]);
  });

  it("goes to another release node by node, the server first", async () => {
    configure({ version: newer }, strict);
    await up();
    assert.deepEqual(
      await actions(),
      ["node-1", "node-2", "node-3"].map((name) => `start ${name} ${newer}`),
    );
  });

  it("stops at the first node that does not run with another release, and puts the old one back there", async () => {
    await on("node-2", `echo 'fail ${broken}' >/run/k3s-stand-in`);
    configure({ version: broken }, strict);
    const message = await failureOf(up());
    assert.match(
      message,
      /node-2: K3s v1\.26\.10\+k3s1 does not start: the service k3s-agent ends as soon as it starts/,
    );
    assert.match(message, /\| level=fatal msg="told to fail"/);
    assert.match(message, /node-2: K3s v1\.26\.9\+k3s1 is back in its place and runs\./);
    assert.deepEqual(await actions(), [`start node-1 ${broken}`, `start node-2 ${newer}`]);
    await on("node-2", "rm /run/k3s-stand-in");
    await up();
    assert.deepEqual(
      await actions(),
      ["node-2", "node-3"].map((name) => `start ${name} ${broken}`),
    );
  });

  it("is not given an older release", async () => {
    configure({ version: older }, strict);
    assert.match(
      await failureOf(up()),
      /node-\d: K3s v1\.26\.10\+k3s1 is installed, and v1\.26\.6\+k3s1 is older: its data can't be read by an older one\. Set k3s\.version to v1\.26\.10\+k3s1 or newer/,
    );
    assert.deepEqual(await actions(), []);
  });

  const afterwards = { version: broken };
  /** What Cilium has on a node: links, a rule, chains. */
  const likeCilium = `set -e
    ip link add cilium_net type veth peer name cilium_host
    ip link add cilium_vxlan type vxlan external
    ip rule add pref 9 lookup 2004
    iptables -N CILIUM_FORWARD
    iptables -A FORWARD -j CILIUM_FORWARD
    iptables -A FORWARD -s 192.0.2.99 -j DROP`;
  /** What must be there of neither K3s nor Cilium, and what of the machine's own. */
  const traces = `ls -d /etc/rancher /var/lib/rancher/k3s /usr/local/bin/k3s /usr/local/bin/kubectl /usr/local/lib/k3s /var/lib/datapath-lab 2>/dev/null
    systemctl list-unit-files --no-legend 'k3s*'
    ip -o link | grep -E 'cilium|flannel|cni0'
    ip rule | grep 2004
    iptables-save | grep -E 'CILIUM|FLANNEL'
    iptables-save | grep -c 192.0.2.99
    true`;

  it("leaves a node that is taken out: drained, deleted, and the machine keeps its network", async () => {
    await on("node-3", likeCilium);
    configure(afterwards, { ...strict, nodes: 2 });
    await up();
    const seen = await actions();
    assert.match(seen[0] ?? "", /^drain node-3 --ignore-daemonsets/);
    assert.deepEqual(seen.slice(1), ["delete node node-3", "delete secret node-3.node-password.k3s"]);
    assert.equal(await on("node-3", traces), "1");
    assert.match(await on("node-3", "ping -c 1 -W 10 192.168.123.11"), /1 received/);
  });

  it("is not brought to a machine with leftovers of another CNI, unless they are to be removed", async () => {
    await on(
      "node-3",
      "ip link add flannel.1 type dummy; iptables -N FLANNEL-FWD; mkdir -p /etc/cni/net.d; echo {} >/etc/cni/net.d/10-flannel.conflist",
    );
    configure(afterwards, strict);
    const message = await failureOf(up());
    for (const found of [/node-3: .*left things behind/, /\/etc\/cni\/net\.d/, /link flannel\.1/, /iptables chains/]) {
      assert.match(message, found);
    }
    assert.match(message, /k3s\.clean/);
    configure({ ...afterwards, clean: true }, strict);
    const { printed } = await up();
    assert.match(printed, /node-3: Removing what another K3s or CNI left behind/);
    assert.equal(await on("node-3", "ls /etc/cni/net.d 2>/dev/null; ip -o link | grep -c flannel; true"), "0");
    assert.ok((await actions()).includes(`start node-3 ${broken}`));
  });

  it("is gone from all machines after destroy, and their network stays", async () => {
    await on("node-1", likeCilium);
    await stack.destroy();
    assert.deepEqual(await onAll(traces), ["1", "0", "1"]);
    for (const { address } of machines) assert.match(await on("node-1", `ping -c 1 -W 10 ${address}`), /1 received/);
  });
});
