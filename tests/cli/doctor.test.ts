import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describeNeeds, needsOf, type NeedCheck } from "../../cli/doctor/index.ts";
import { parseLabConfig } from "../../datapath/config/index.ts";

/** A port on loopback on which nobody listens: one that was free a moment ago. */
async function closedPort(): Promise<number> {
  const { server, port } = await listening();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, port: address.port };
}

async function needs(config: unknown): Promise<Map<string, NeedCheck>> {
  return new Map((await needsOf(parseLabConfig(config))).map((check) => [check.name, check]));
}

describe("doctor", function () {
  this.timeout("30s");
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-doctor-"))));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("says where the engine comes from", async () => {
    const checks = await needs({});
    assert.match(checks.get("Pulumi CLI")?.found ?? "", /installed|downloaded|built|not there yet/);
    assert.ok(checks.has("Pulumi plugins"));
  });

  it("tries links of the tunnel's kind, and none for native routing", async () => {
    assert.ok((await needs({ datapath: { mode: "vxlan" } })).has("vxlan in the kernel"));
    const native = await needs({ datapath: { mode: "native" } });
    assert.deepEqual(
      [...native.keys()].filter((name) => name.endsWith("in the kernel")),
      [],
    );
  });

  it("tells hosts that answer from those that don't, and names the key file that is missing", async () => {
    const { server, port } = await listening();
    const closed = await closedPort();
    const privateKeyFile = path.join(folder, "no-key");
    try {
      const checks = await needs({
        machines: {
          kind: "hosts",
          hosts: [
            { name: "up", address: "127.0.0.1", port, privateKeyFile },
            { name: "down", address: "127.0.0.1", nodeAddress: "127.0.0.2", port: closed, privateKeyFile },
          ],
        },
        cilium: { chart: { archive: "no-such-chart.tgz" } },
      });
      assert.equal(checks.get("SSH of up")?.state, "ok");
      assert.deepEqual(checks.get("SSH of down"), {
        name: "SSH of down",
        state: "error",
        found: `127.0.0.1:${closed}: connect ECONNREFUSED 127.0.0.1:${closed}`,
        wayOut: "Check address and port under machines.hosts, and that the machine runs.",
      });
      assert.equal(checks.get("private key")?.found, `there is no ${privateKeyFile}`);
      assert.match(checks.get("host keys")?.found ?? "", /not pinned: up, down/);
      assert.equal(checks.get("Cilium's chart")?.found, "there is no no-such-chart.tgz");
      assert.ok(!checks.has("SSH agent"), "nobody asks the agent where each host has a key file");
    } finally {
      server.close();
    }
  });

  it("names the kubeconfig that can't be read, the context that is not in it, and the API that does not answer", async () => {
    const file = path.join(folder, "kubeconfig");
    const cluster = { machines: { kind: "none", kubeconfig: file }, cilium: { manage: false } };
    assert.match((await needs(cluster)).get("kubeconfig")?.found ?? "", /kubeconfig: ENOENT/);
    const port = await closedPort();
    await writeFile(
      file,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "c", cluster: { server: `https://127.0.0.1:${port}` } }],
        users: [{ name: "u", user: {} }],
        contexts: [{ name: "one", context: { cluster: "c", user: "u" } }],
        "current-context": "one",
      }),
    );
    const api = (await needs(cluster)).get("Kubernetes API");
    assert.equal(api?.state, "error");
    assert.match(api.found, new RegExp(`^https://127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`));
    const other = await needs({ ...cluster, machines: { ...cluster.machines, context: "two" } });
    assert.match(other.get("kubeconfig")?.found ?? "", /it has no cluster for the context two/);
  });

  it("prints a line each, with the way out below it", () => {
    assert.equal(
      describeNeeds([
        { name: "root", state: "ok", found: "this is root" },
        { name: "tools", state: "error", found: "missing: ip", wayOut: "sudo apt-get install iproute2" },
      ]),
      "ok    root   this is root\nFAIL  tools  missing: ip\n             sudo apt-get install iproute2\n",
    );
  });
});
