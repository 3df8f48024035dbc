import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CoreV1Api } from "@kubernetes/client-node";
import { removeCluster, startCluster } from "./harness/cluster.ts";
import { clientConfig, testPod, until } from "./harness/pods.ts";

const log = (line: string): void => void process.stderr.write(`      ${line}\n`);

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

// That it works is what the other tests of this folder stand on; here is what none of them would see.
describe("A test cluster", function () {
  this.timeout(180_000);
  const name = "harness-test";

  before(() => removeCluster(name));
  after(() => removeCluster(name));

  it("leaves nothing when it is stopped, of its pods either", async () => {
    const cluster = await startCluster({ name, nodes: 1, log });
    const core = clientConfig(cluster).makeApiClient(CoreV1Api);
    await core.createNamespacedPod({ namespace: "default", body: testPod("some", "node1", "sleep infinity") });
    const inPods = await until("a process in a pod", 60, () => {
      const found = podProcesses(name);
      return Promise.resolve(found.length > 0 ? found : undefined);
    });
    assert.ok(tracesOf(name).length > 10, "the traces are looked for where there are some");
    await cluster.stop();
    assert.deepEqual(tracesOf(name), []);
    assert.deepEqual(
      inPods.filter((id) => existsSync(`/proc/${id}`)),
      [],
    );
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
