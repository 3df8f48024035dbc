import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { text } from "node:stream/consumers";
import { describeNeeds, needsOf, type NeedCheck } from "../../cli/doctor/index.ts";
import { tryKvm } from "../../cli/doctor/libvirt.ts";
import { libvirtProblem } from "../../datapath/libvirt/reach.ts";
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
  return new Map((await needsOf(parseLabConfig(config).config, "all")).map((check) => [check.name, check]));
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

  it("asks for no more rights than the lab will use, and looks at the nodes' kernels", async () => {
    const asked: string[] = [];
    const answer = (url: string, body: string): object => {
      if (url.startsWith("/version")) return { major: "1", minor: "26", gitVersion: "v1.26.6" };
      if (url.startsWith("/api/v1/nodes")) {
        const node = (name: string, kernelVersion: string) => ({
          metadata: { name },
          status: { nodeInfo: { kernelVersion } },
        });
        return { items: [node("one", "6.2.0"), node("two", "4.9.0")] };
      }
      asked.push(/"namespace":"([^"]+)"/.exec(body)?.[1] ?? "");
      return { status: { allowed: true } };
    };
    const server = createHttpServer((request, response) => {
      void text(request).then((body) => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(answer(request.url ?? "", body)));
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    try {
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const kubeconfig = path.join(folder, "answering");
      const cluster = { server: `http://127.0.0.1:${address.port}`, "insecure-skip-tls-verify": true };
      const context = { name: "c", context: { cluster: "c", user: "u" } };
      const users = [{ name: "u", user: { token: "t" } }];
      const clusters = [{ name: "c", cluster }];
      await writeFile(kubeconfig, JSON.stringify({ clusters, users, contexts: [context], "current-context": "c" }));
      const machines = { kind: "none", kubeconfig };
      const left = await needs({ machines, cilium: { manage: false } });
      assert.equal(left.get("rights in datapath-lab")?.state, "ok");
      assert.equal(left.get("kernels")?.state, "warning");
      assert.match(left.get("kernels")?.found ?? "", /\btwo\b/);
      const chart = { archive: "tests/cluster/agent/chart" };
      const { config } = parseLabConfig({
        machines,
        datapath: {
          mode: "vxlan",
          kubeProxyReplacement: "strict",
          masquerade: { implementation: "bpf" },
          hostRouting: "bpf",
        },
        cilium: { chart },
      });
      const managed = (await needsOf(config, "all")).map(({ name, state }) => `${name}: ${state}`);
      assert.ok(managed.includes("rights in kube-system: ok"), managed.join("\n"));
      assert.ok(managed.includes("kernels: error"), managed.join("\n"));
      assert.deepEqual(asked, ["datapath-lab", "kube-system"]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("says why libvirt does not answer, which addresses are taken, and that an image is not there", async () => {
    const checks = await needs({
      machines: {
        kind: "libvirt",
        uri: "qemu:///no-such-driver",
        network: "127.0.0.0/24",
        accelerator: "qemu",
        image: { path: path.join(folder, "no-image") },
      },
      cilium: { manage: false },
      k3s: { source: { kind: "files", binary: path.join(folder, "no-k3s") } },
    });
    assert.equal(checks.get("libvirt")?.state, "error");
    assert.equal(checks.get("addresses")?.found, "127.0.0.0/24 is in use: lo has 127.0.0.1");
    assert.match(checks.get("image")?.found ?? "", /no-image can't be read$/);
    assert.match(checks.get("K3s")?.found ?? "", /^there is no .*no-k3s$/);
    assert.equal(checks.get("KVM")?.state, "warning");
  });

  it("takes a bridge that the config names for the lab's own", async () => {
    const machines = { kind: "libvirt", uri: "qemu:///no-such-driver", network: "127.0.0.0/24", accelerator: "qemu" };
    const image = { path: path.join(folder, "no-image") };
    const checks = await needs({ machines: { ...machines, bridge: "lo", image }, cilium: { manage: false } });
    assert.equal(checks.get("addresses")?.found, "127.0.0.0/24 is free");
  });

  it("makes seeds with whichever program for ISO images is there", async () => {
    for (const tool of ["ssh-keygen", "curl", "xorrisofs"]) {
      await writeFile(path.join(folder, tool), "#!/bin/sh\n", { mode: 0o755 });
    }
    const config = { kind: "libvirt", uri: "qemu:///no-such-driver", image: { path: folder } };
    const program = `
      import { libvirtChecks } from ${JSON.stringify(path.resolve("cli/doctor/libvirt.ts"))};
      import { labConfig } from ${JSON.stringify(path.resolve("datapath/config/lab.ts"))};
      const { machines, datapath } = labConfig.parse({ machines: ${JSON.stringify(config)} });
      console.log(JSON.stringify(await libvirtChecks(machines, datapath, "errors")));`;
    const file = path.join(folder, "program.mts");
    await writeFile(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], {
      env: { ...process.env, PATH: folder },
    });
    assert.match(stdout, /"name":"tools","state":"ok","found":"ssh-keygen, xorrisofs, curl"/);
  });

  for (const [said, status, state, found] of [
    ["", 0, "ok", "a trial guest ran"],
    [
      "Could not access KVM kernel module: Permission denied",
      1,
      "warning",
      "can't tell: this user may not open /dev/kvm",
    ],
    [
      "failed to initialize kvm: Operation not supported",
      1,
      "error",
      "failed to initialize kvm: Operation not supported",
    ],
  ] as const) {
    it(`knows of KVM that ${found}`, async () => {
      const qemu = path.join(folder, "qemu-system-x86_64");
      await writeFile(qemu, `#!/bin/sh\necho '${said}' >&2\nexit ${status}\n`, { mode: 0o755 });
      const searched = process.env["PATH"];
      process.env["PATH"] = `${folder}${path.delimiter}${searched ?? ""}`;
      try {
        const check = await tryKvm({ accelerator: "kvm", cpuMode: "auto" }, qemu);
        assert.deepEqual([check.state, check.found], [state, found]);
      } finally {
        process.env["PATH"] = searched;
      }
    });
  }

  it("leaves out what only costs time where errors alone are asked for", async () => {
    const { config } = parseLabConfig({ machines: { kind: "libvirt", uri: "qemu:///no-such-driver" } });
    const names = (await needsOf(config, "errors")).map(({ name }) => name);
    assert.ok(names.includes("libvirt"));
    for (const slow of ["KVM", "image", "K3s's release", "Cilium's chart"]) assert.ok(!names.includes(slow), slow);
  });

  for (const [said, wayOut] of [
    [undefined, /install libvirt-clients/],
    [
      "error: failed to connect to the hypervisor\nerror: authentication unavailable: no polkit agent",
      /usermod -aG libvirt/,
    ],
    [
      "error: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
      /systemctl start/,
    ],
    ["error: Cannot recv data: Host key verification failed.: Connection reset by peer", /ssh reaches it/],
    ["error: no connection driver available for no:///thing", /Check machines.uri/],
  ] as const) {
    it(`knows a way out of: ${said ?? "no virsh"}`, () => {
      assert.match(libvirtProblem("qemu:///system", said).wayOut, wayOut);
    });
  }

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
