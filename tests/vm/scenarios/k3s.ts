import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import type { NetworkedStack } from "../harness.ts";
import { SshServer } from "../../engine/ssh-server.ts";
import { failureOf, project, type Section, type VmLab } from "../vm-lab.ts";

const folder = path.resolve(import.meta.dirname, "..", "k3s");
const standIn = readFileSync(path.join(folder, "k3s"), "utf8");
const mirrorPort = 8099;
/** Of the libvirt network: what the machines reach this side by. */
const mirrorAddress = "192.168.123.1";

export const older = "v1.26.6+k3s1";
const newer = "v1.26.9+k3s1";
const broken = "v1.26.10+k3s1";

/** The stand-in as a release, in a folder of the mirror's. */
function release(lab: VmLab, mirror: string, version: string, { corrupt = false } = {}): void {
  const at = releaseFolder(lab, mirror, version);
  mkdirSync(at, { recursive: true });
  const text = standIn.replace('VERSION = "v0.0.0"', `VERSION = "${version}"`);
  const sha256 = createHash("sha256").update(text).digest("hex");
  writeFileSync(path.join(at, "k3s"), corrupt ? `${text}# one line too many\n` : text);
  const others = `${"0".repeat(64)}  k3s-airgap-images-amd64.tar\n${"1".repeat(64)}  k3s-arm64\n`;
  writeFileSync(path.join(at, "sha256sum-amd64.txt"), `${others}${sha256}  k3s\n`);
}

export function releaseFolder(lab: VmLab, mirror: string, version: string): string {
  return path.join(lab.file("mirror"), mirror, version);
}

/** What the stand-in's server saw since the last look: starts of nodes with their release, and what kubectl did. */
export async function actions(lab: VmLab): Promise<string[]> {
  const file = "/var/lib/rancher/k3s/server/actions";
  const lines = await lab.on("node-1", `if [ -e ${file} ]; then cat ${file}; : >${file}; fi`);
  return lines.split("\n").filter((line) => line !== "");
}

/** K3s on machines that are given: they stay, and their network with them. The binary is a stand-in. */
export function k3sIsBrought(lab: VmLab): void {
  let stack: NetworkedStack;
  let mirror: ChildProcess;
  /** Through which the last machine is reached; an emulated one would take long. */
  let gate: SshServer;
  let gateKey: string;
  const origin = `http://${mirrorAddress}:${mirrorPort}`;

  interface Rest {
    readonly datapath?: Section;
    readonly nodes?: number;
  }

  function configure(k3s: Section, { nodes = 3, ...rest }: Rest = {}): void {
    const jump = {
      address: "127.0.0.1",
      port: gate.port,
      user: gate.user,
      privateKeyFile: gateKey,
      hostKey: gate.hostKey,
    };
    const hosts = lab.machines
      .slice(0, nodes)
      .map((machine) => ({ ...lab.given(machine), ...(machine.name === "node-3" ? { jump } : {}) }));
    stack.configure({
      machines: { kind: "hosts", hosts, minimumMemoryMebibytes: 100, minimumDiskGibibytes: 1 },
      k3s: { clean: true, source: { kind: "releases", urls: [`${origin}/good`] }, startLimitSeconds: 400, ...k3s },
      ...rest,
    });
  }

  const strict = { datapath: { kubeProxyReplacement: "strict" } };
  const starts = (version: string): string[] => lab.machines.map(({ name }) => `start ${name} ${version}`);

  before(async () => {
    // The lab that made the machines has its mark on them, and none of it is left when it is another's.
    await lab.onAll("rm -f /etc/datapath-lab");
    release(lab, "corrupt", older, { corrupt: true });
    for (const version of [older, newer, broken]) release(lab, "good", version);
    const [first, ...words] = [...lab.libvirt.inNetwork, process.execPath, "--import", "tsx"];
    mirror = spawn(first, [...words, path.join(folder, "mirror.ts"), lab.file("mirror"), `${mirrorPort}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve, reject) => {
      mirror.stdout?.once("data", resolve);
      mirror.once("exit", () => reject(new Error("the mirror ended")));
    });
    gate = await SshServer.start(lab.libvirt.inNetwork);
    gateKey = lab.file("gate.key");
    writeFileSync(gateKey, gate.privateKey, { mode: 0o600 });
    stack = await lab.openStack("cluster");
  });
  after(async () => {
    mirror.kill();
    gate.stop();
    // They are the lab's again that made them.
    await lab.onAll(`printf %s ${project}/one >/etc/datapath-lab`);
  });

  it("is not brought to a machine with leftovers of another CNI", async () => {
    await lab.on(
      "node-3",
      "ip link add flannel.1 type dummy; iptables -N FLANNEL-FWD; mkdir -p /etc/cni/net.d; echo {} >/etc/cni/net.d/10-flannel.conflist",
    );
    configure({ clean: false });
    const message = await failureOf(lab.up(stack));
    for (const found of [/node-3: .*left things behind/, /\/etc\/cni\/net\.d/, /link flannel\.1/, /iptables chains/]) {
      assert.match(message, found);
    }
    assert.match(message, /k3s\.clean/);
  });

  it("removes them where it is told to, and is installed nowhere from a mirror whose binary is not the release's", async () => {
    configure({ source: { kind: "releases", urls: [`${origin}/corrupt`] } });
    const message = await failureOf(lab.up(stack));
    assert.match(message, /node-3: Removing what another K3s or CNI left behind/);
    assert.match(message, /node-\d: No URL gave K3s v1\.26\.6\+k3s1 \(k3s\.source\); nothing was installed\./);
    assert.match(message, /corrupt\/v1\.26\.6\+k3s1\/k3s: sha256 [0-9a-f]{64}, and the release says [0-9a-f]{64}/);
    const found =
      "ls /etc/rancher /etc/cni/net.d /usr/local/bin/k3s /usr/local/lib/k3s/*/k3s 2>/dev/null; systemctl cat k3s k3s-agent 2>/dev/null; ip -o link | grep -c flannel";
    assert.deepEqual(await lab.onAll(`${found}; true`), ["0", "0", "0"]);
  });

  it("makes the machines one cluster, from the first mirror that has the release", async () => {
    configure({ source: { kind: "releases", urls: [`${origin}/nothing`, `${origin}/good`] } });
    const { outputs, printed } = await lab.up(stack);
    const [first, ...agents] = await actions(lab);
    assert.deepEqual([first, ...agents.sort()], starts(older));
    assert.match(printed, /node-1: K3s v1\.26\.6\+k3s1 is here, sha256 [0-9a-f]{64}/);
    assert.match(printed, /node-2: K3s v1\.26\.6\+k3s1 runs as agent/);
    const { clusters, "current-context": context } = z
      .object({
        "current-context": z.string(),
        clusters: z.array(z.object({ name: z.string(), cluster: z.unknown() })),
      })
      .parse(parse(z.string().parse(outputs["kubeconfig"])));
    const server = `https://${lab.machines[0]?.address ?? ""}:6443`;
    assert.equal(context, "lab-vm-test-cluster");
    assert.deepEqual(clusters, [
      { name: "lab-vm-test-cluster", cluster: { server, "certificate-authority-data": "Y2E=" } },
    ]);
    const files = "/etc/rancher/k3s/config.yaml /etc/rancher/k3s/token";
    assert.deepEqual(
      await lab.onAll(
        `stat -c %a:%U ${files}; for unit in k3s k3s-agent; do systemctl is-enabled $unit 2>/dev/null; done; true`,
      ),
      lab.machines.map(() => "600:root\n600:root\nenabled"),
    );
    assert.match(
      await lab.on("node-2", "cat /etc/rancher/k3s/config.yaml"),
      /server: "https:\/\/192\.168\.123\.11:6443"/,
    );
  });

  it("is left as it is by a second update", async () => {
    assert.deepEqual(Object.keys(await stack.preview()), ["same"]);
  });

  it("shows its token in no process, journal, environment or plain state", async () => {
    const token = await lab.on("node-1", "cat /etc/rancher/k3s/token");
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
    for (const told of await lab.onAll(read)) {
      const [lines, hits] = told.split("\n").map(Number);
      assert.ok((lines ?? 0) > 100, told);
      assert.equal(hits, 0);
    }
    const state = lab.file(`state/.pulumi/stacks/${project}/cluster.json`);
    assert.ok(!readFileSync(state, "utf8").includes(token));
  });

  it("starts again what a change of settings concerns", async () => {
    configure({}, strict);
    await lab.up(stack);
    // Agents ask the server once, as they start, whether to run kube-proxy.
    const [first, ...agents] = await actions(lab);
    assert.deepEqual([first, ...agents.sort()], starts(older));
  });

  it("goes back to the settings of before where it does not come up with new ones, and says why", async () => {
    const read = "cat /etc/rancher/k3s/config.yaml";
    const before = await lab.on("node-1", read);
    configure({ settings: { server: { "kubelet-arg": ["wrong=1"] } } }, strict);
    const message = await failureOf(lab.up(stack));
    assert.match(message, /node-1: K3s did not come up: the service k3s ends as soon as it starts\./);
    assert.match(message, /\| level=fatal msg="kubelet: unknown flag: --wrong=1"/);
    assert.match(
      message,
      /The settings of before are in place again, and K3s runs with them\. With config\.yaml it did not/,
    );
    assert.equal(await lab.on("node-1", read), before);
    assert.equal(await lab.on("node-1", "systemctl is-active k3s"), "active");
    // The server's settings do not concern agents.
    assert.deepEqual(await actions(lab), [`start node-1 ${older}`]);
  });

  it("goes to another release node by node, the server first", async () => {
    configure({ version: newer }, strict);
    await lab.up(stack);
    assert.deepEqual(await actions(lab), starts(newer));
  });

  it("stops at the first node that does not run with another release, and puts the old one back there", async () => {
    await lab.on("node-2", `echo 'fail ${broken}' >/run/k3s-stand-in`);
    configure({ version: broken }, strict);
    const message = await failureOf(lab.up(stack));
    assert.match(
      message,
      /node-2: K3s v1\.26\.10\+k3s1 does not start: the service k3s-agent ends as soon as it starts/,
    );
    assert.match(message, /\| level=fatal msg="told to fail"/);
    assert.match(message, /node-2: K3s v1\.26\.9\+k3s1 is back in its place and runs\./);
    assert.deepEqual(await actions(lab), [`start node-1 ${broken}`, `start node-2 ${newer}`]);
    await lab.on("node-2", "rm /run/k3s-stand-in");
  });

  it("is not given an older release", async () => {
    configure({ version: older }, strict);
    assert.match(
      await failureOf(lab.up(stack)),
      /node-\d: K3s v1\.26\.10\+k3s1 is installed, and v1\.26\.6\+k3s1 is older: its data can't be read by an older one\. Set k3s\.version to v1\.26\.10\+k3s1 or newer/,
    );
    assert.deepEqual(await actions(lab), []);
  });

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

  it("goes on where the upgrade stopped, and leaves a node that is taken out: drained, deleted, its network as it was", async () => {
    await lab.on("node-3", likeCilium);
    configure({ version: broken }, { ...strict, nodes: 2 });
    await lab.up(stack);
    const seen = await actions(lab);
    assert.equal(seen[0], `start node-2 ${broken}`);
    assert.match(seen[1] ?? "", /^drain node-3 --ignore-daemonsets/);
    assert.deepEqual(seen.slice(2), ["delete node node-3", "delete secret node-3.node-password.k3s"]);
    assert.equal(await lab.on("node-3", traces), "1");
    assert.match(await lab.on("node-3", "ping -c 1 -W 10 192.168.123.11"), /1 received/);
  });

  it("is gone from all machines after destroy, and their network stays", async () => {
    await lab.on("node-1", likeCilium);
    await stack.destroy();
    // Rules that are not Kubernetes' stay, on both that had one.
    assert.deepEqual(await lab.onAll(traces), ["1", "0", "1"]);
    for (const { address } of lab.machines)
      assert.match(await lab.on("node-1", `ping -c 1 -W 10 ${address}`), /1 received/);
  });
}
