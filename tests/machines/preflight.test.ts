import assert from "node:assert/strict";
import { labConfig } from "../../datapath/config/index.ts";
import { judgeMachines, parseFacts, type Floors, type MachineFacts } from "../../datapath/machines/preflight.ts";

const good = [
  "clock\t1700000000.123",
  "user\t0",
  "mark\t",
  "kernel\t6.2.0-39-generic",
  "architecture\tx86_64",
  "os\tUbuntu 23.04",
  "systemd\tyes",
  "memoryAvailableKibibytes\t3145728",
  "diskFreeKibibytes\t10485760",
  "cgroup\tcgroup2fs",
  "bpfFileSystem\tbpf_fs",
  "nic\teth0",
  "nicMtuBytes\t1500",
  "nicDriver\tvirtio_net",
  "offload\ttcp-segmentation-offload=on",
  "offload\tgeneric-receive-offload=off",
  "listens\ttcp/22",
];
const config = labConfig.parse({ datapath: { mode: "vxlan" } });
const lab = "datapath-lab/dev";

function facts(changes: Readonly<Record<string, string>> = {}, more: readonly string[] = [], skew = 0): MachineFacts {
  const lines = good.map((line) => {
    const [key = ""] = line.split("\t");
    return key in changes ? `${key}\t${changes[key] ?? ""}` : line;
  });
  return parseFacts("node-1", [...lines, ...more].join("\n"), skew);
}

function messages(found: MachineFacts | readonly MachineFacts[], floors: Floors = {}, asked = config): string[] {
  return judgeMachines([found].flat(), asked, floors, lab).map(({ message }) => message);
}

describe("The preflight", () => {
  it("reads the NIC's driver and offloads", () => {
    assert.deepEqual(facts().nic, {
      link: "eth0",
      driver: "virtio_net",
      mtuBytes: 1500,
      offloads: { "tcp-segmentation-offload": true, "generic-receive-offload": false },
    });
  });

  it("finds nothing on a machine that has everything", () => {
    assert.deepEqual(messages(facts(), { memoryMebibytes: 900, diskGibibytes: 5, clockSkewSeconds: 5 }), []);
  });

  it("wants root", () => {
    assert.deepEqual(messages(facts({ user: "1000" })), [
      "node-1: the user is not root and has no sudo without a password.",
    ]);
  });

  it("wants memory, disk and the right time where a floor is set", () => {
    const poor = facts({ memoryAvailableKibibytes: "524288", diskFreeKibibytes: "1048576" }, [], -90);
    assert.deepEqual(messages(poor), []);
    assert.deepEqual(messages(poor, { memoryMebibytes: 900, diskGibibytes: 5, clockSkewSeconds: 5 }), [
      "node-1: 512 MiB of memory are available, 900 MiB are needed.",
      "node-1: /var/lib has 1.0 GiB free, 5 GiB are needed.",
      "node-1: its clock is 90.0 s behind this machine's: certificates would not be valid yet, or not any more.",
    ]);
  });

  it("wants cgroups and a BPF file system", () => {
    const bare = parseFacts("node-1", good.filter((line) => !/^(cgroup|bpf)/.test(line)).join("\n"), 0);
    assert.deepEqual(messages(bare), [
      "node-1: /sys/fs/cgroup is no cgroup file system (nothing).",
      "node-1: its kernel has no BPF file system.",
    ]);
  });

  it("holds the kernel against what the datapath needs", () => {
    const [first = ""] = messages(facts({ kernel: "4.4.0-210-generic" }));
    assert.match(first, /node-1/);
    assert.match(first, /4\.4|4\.9/);
  });

  it("names ports that are taken, the tunnel's own among them", () => {
    const taken = facts({}, ["listens\ttcp/10250", "listens\tudp/8472"]);
    assert.deepEqual(messages(taken), [
      "node-1: something listens on tcp/10250 already, which kubelet needs.",
      "node-1: something listens on udp/8472 already, which the vxlan tunnel needs.",
    ]);
    const native = labConfig.parse({ datapath: { mode: "native" } });
    assert.deepEqual(messages(facts({}, ["listens\tudp/8472"]), {}, native), []);
  });

  it("names ports of what only some labs have, where they have it", () => {
    const used = ["tcp/2379", "tcp/2380", "tcp/179", "udp/51871"].map((port) => `listens\t${port}`);
    assert.deepEqual(messages(facts({}, used)), []);
    const asked = labConfig.parse({ datapath: { mode: "native", routes: "bgp", encryption: "wireguard" } });
    const found = (servers: readonly string[]): string[] =>
      judgeMachines([facts({}, used)], asked, {}, lab, servers).map(
        ({ message }) => / on (\S+) already, which (.*) needs/.exec(message)?.slice(1).join(" ") ?? message,
      );
    const others = ["tcp/179 kube-router", "udp/51871 WireGuard"];
    assert.deepEqual(found(["node-1"]), others);
    assert.deepEqual(found(["node-2", "node-3", "node-4"]), others);
    const etcd = ["tcp/2379 etcd's clients", "tcp/2380 etcd's peers"];
    assert.deepEqual(found(["node-1", "node-2", "node-3"]), [...etcd, ...others]);
  });

  it("names what another K3s or CNI left behind, but not what this lab brought itself", () => {
    const used = ["leftover\t/var/lib/rancher/k3s", "leftover\tlink flannel.1", "listens\ttcp/6443"];
    assert.deepEqual(messages(facts({}, used)), [
      "node-1: something listens on tcp/6443 already, which the Kubernetes API needs.",
      "node-1: another K3s or CNI left things behind: /var/lib/rancher/k3s, link flannel.1.",
    ]);
    assert.deepEqual(messages(facts({ mark: lab }, used)), []);
    assert.equal(messages(facts({ mark: "datapath-lab/other" }, used)).length, 2);
  });

  it("lets what is left be where it is going to be removed, but not what is no leftover", () => {
    const cleaned = labConfig.parse({ k3s: { clean: true } });
    const used = ["leftover\t/var/lib/rancher/k3s", "listens\ttcp/6443"];
    assert.deepEqual(messages(facts({}, used), {}, cleaned), []);
    assert.deepEqual(messages(facts({}, ["listens\ttcp/6443"]), {}, cleaned), [
      "node-1: something listens on tcp/6443 already, which the Kubernetes API needs.",
    ]);
  });

  it("wants all machines on one L2 network for direct routes, and only for them", () => {
    const direct = labConfig.parse({ datapath: { mode: "native", routes: { kind: "direct" } } });
    const behind = facts({}, ["peer\t10.0.0.2 eth0 ", "peer\t10.1.0.3 eth0 10.0.0.1"]);
    assert.deepEqual(
      judgeMachines([behind], direct, {}, lab).map(({ id, severity, message, wayOut }) => ({
        id,
        severity,
        message,
        wayOut,
      })),
      [
        {
          id: "machine-direct-route",
          severity: "error",
          message:
            "node-1: it reaches 10.1.0.3 by way of 10.0.0.1: direct routes need all nodes on one L2 network, else pods are cut off.",
          wayOut:
            "Set datapath.routes to router or bgp, or datapath.mode to vxlan; or set nodeAddress to addresses of a subnet that all share.",
        },
      ],
    );
    const router = labConfig.parse({ datapath: { mode: "native", routes: { kind: "router" } } });
    assert.deepEqual(messages(behind, {}, router), []);
    assert.deepEqual(messages(behind), []);
    assert.deepEqual(messages(facts({}, ["peer\t10.0.0.2 eth0 "]), {}, direct), []);
  });

  it("wants a route to every other machine, whatever the datapath", () => {
    assert.deepEqual(messages(facts({}, ["peer\t10.0.0.2  "])), [
      "node-1: its kernel has no route to 10.0.0.2, another machine of this lab.",
    ]);
  });

  it("says everything about all machines at once", () => {
    const other = { ...facts({ user: "1000", architecture: "riscv64" }), name: "node-2" };
    assert.deepEqual(messages([facts({ user: "1000" }), other]), [
      "node-1: the user is not root and has no sudo without a password.",
      "node-2: the user is not root and has no sudo without a password.",
      "node-2: K3s and Cilium have no images for riscv64.",
    ]);
  });
});
