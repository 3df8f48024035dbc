import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { z } from "zod";
import { K3s } from "../../components/k3s.ts";
import type { Machine } from "../../components/machines/machine.ts";
import { labConfig } from "../../datapath/config/index.ts";

const plainObject = z.record(z.string(), z.unknown());
const token = "T0kenThatNobodyMaySee";
const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{ name: default, cluster: { server: "https://127.0.0.1:6443", certificate-authority-data: Y2E= } }]
users: [{ name: default, user: { client-key-data: a2V5 } }]
contexts: [{ name: default, context: { cluster: default, user: default } }]
current-context: default
`;

interface Seen {
  readonly type: string;
  readonly inputs: Record<string, unknown>;
}

/** What the engine is told of a resource beside its inputs. */
const request = z.object({ name: z.string(), dependenciesList: z.array(z.string()), deletedwith: z.string() });

interface Lab {
  readonly seen: ReadonlyMap<string, Seen>;
  /** Names of the resources that one waits for, and all that those wait for. */
  readonly before: (name: string) => ReadonlySet<string>;
  readonly deletedWith: (name: string) => string | undefined;
  readonly kubeconfig: string | undefined;
}

const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

/** The text that a command has on its standard input, and whether it is a secret. */
function standardInput(resource: Seen | undefined): { text: string; isSecret: boolean } {
  const stdin = resource?.inputs["stdin"];
  return { text: z.string().parse(pulumi.runtime.unwrapRpcSecret(stdin)), isSecret: pulumi.runtime.isRpcSecret(stdin) };
}

/** Registers a lab of three machines as an update does, or as a preview before anything stands. */
async function made(
  section: Record<string, unknown>,
  { preview = false, ownsMachines = true, datapath = { mode: "native" } } = {},
): Promise<Lab> {
  const seen = new Map<string, Seen>();
  const requests = new Map<string, z.infer<typeof request>>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ name, type, inputs: given }) => {
        const inputs = plainObject.parse(given);
        seen.set(name, { type, inputs });
        if (preview) return { id: "", state: inputs };
        const made =
          name === "kubeconfig" ? { stdout: kubeconfig } : type.startsWith("random") ? { result: token } : {};
        return { id: name, state: { ...inputs, ...made } };
      },
      call: () => ({}),
    },
    "datapath-lab",
    "dev",
    preview,
  );
  const monitor: unknown = pulumi.runtime.getMonitor();
  assert.ok(typeof monitor === "object" && monitor !== null);
  const register: unknown = Reflect.get(monitor, "registerResource");
  assert.ok(typeof register === "function");
  Reflect.set(monitor, "registerResource", (asked: { toObject(): unknown }, done: unknown) => {
    const told = request.safeParse(asked.toObject());
    if (told.success) requests.set(told.data.name, told.data);
    Reflect.apply(register, monitor, [asked, done]);
  });
  const machines = [1, 2, 3].map((number): Machine => {
    const ready = new command.local.Command(`machine-${number}`, { create: "true" });
    return {
      name: `node-${number}`,
      address: `192.0.2.1${number}`,
      reachedBy: `198.51.100.${number}`,
      connection: { host: `198.51.100.${number}`, user: "lab" },
      made: ready,
      ready,
      incarnation: `making-${number}`,
    };
  });
  const config = labConfig.parse({ datapath, k3s: section });
  const lab = new K3s("k3s", { ...config, machines, ownsMachines });
  await pulumi.runtime.disconnect();
  const text = preview
    ? undefined
    : await new Promise<string>((resolve) => {
        lab.kubeconfig.apply(resolve);
      });
  const before = (name: string): Set<string> => {
    const direct = (requests.get(name)?.dependenciesList ?? []).map(nameOf);
    return new Set(direct.flatMap((each) => [each, ...before(each)]));
  };
  return {
    seen,
    before,
    deletedWith: (name) => {
      const urn = requests.get(name)?.deletedwith ?? "";
      return urn === "" ? undefined : nameOf(urn);
    },
    kubeconfig: text,
  };
}

const nodes = ["node-1", "node-2", "node-3"];

describe("K3s under mocks", function () {
  this.timeout("1m");

  it("consists of what each machine goes through, one resource each", async () => {
    const { seen } = await made({});
    assert.deepEqual(
      [...seen.keys()].filter((name) => !name.startsWith("machine-")).sort(),
      [
        ...["k3s", "k3s-token", "k3s-api", "kubeconfig", "known-nodes"],
        ...nodes.flatMap((node) => ["install", "upgrade", "k3s", "member"].map((part) => `${node}-${part}`)),
      ].sort(),
    );
    for (const [name, { type }] of seen) {
      const known = ["command:remote:Command", "command:local:Command", "random:index/randomPassword:RandomPassword"];
      known.push("pulumi:providers:kubernetes", "datapath-lab:index:K3s");
      assert.ok(known.includes(type), `${name} is a ${type}`);
    }
  });

  it("starts the server first and agents side by side, once every machine has the binary", async () => {
    const { before } = await made({});
    for (const node of nodes) assert.ok(before("node-1-upgrade").has(`${node}-install`), node);
    assert.ok(before("node-1-k3s").has("node-1-upgrade"));
    for (const agent of ["node-2", "node-3"]) assert.ok(before(`${agent}-k3s`).has("node-1-k3s"), agent);
    assert.ok(!before("node-3-k3s").has("node-2-k3s") && !before("node-2-k3s").has("node-3-k3s"));
  });

  it("upgrades one node after another, the server first", async () => {
    const { before } = await made({});
    assert.ok(before("node-2-upgrade").has("node-1-k3s"));
    assert.ok(before("node-3-upgrade").has("node-2-upgrade"));
  });

  it("starts three servers one after another", async () => {
    const { before, seen } = await made({ servers: 3 });
    assert.ok(before("node-3-upgrade").has("node-2-k3s") && before("node-2-upgrade").has("node-1-k3s"));
    assert.match(standardInput(seen.get("node-1-k3s")).text, /cluster-init: true/);
    assert.match(standardInput(seen.get("node-3-k3s")).text, /server: "https:\/\/192\.0\.2\.11:6443"/);
  });

  it("has every node registered before anything can use the cluster", async () => {
    const { before } = await made({});
    for (const node of nodes) {
      assert.ok(before("kubeconfig").has(`${node}-member`), node);
      for (const other of nodes) assert.ok(before(`${node}-member`).has(`${other}-k3s`));
    }
    assert.ok(before("k3s-api").has("kubeconfig"));
  });

  it("puts the token into no command, no variable of the environment and no plain state", async () => {
    const { seen } = await made({});
    for (const [name, { type, inputs }] of seen) {
      if (type.startsWith("random") || type.startsWith("machine")) continue;
      const open = Object.entries(inputs).filter(([, value]) => !pulumi.runtime.isRpcSecret(value));
      assert.ok(!JSON.stringify(open).includes(token), name);
      assert.equal(inputs["environment"], undefined, name);
    }
    for (const node of nodes) {
      const { text, isSecret } = standardInput(seen.get(`${node}-k3s`));
      assert.ok(isSecret && text.includes(`LAB_TOKEN='${token}'`), node);
    }
  });

  it("gives the kubeconfig the server's address and names of its own", async () => {
    const { kubeconfig: text } = await made({});
    const { clusters, contexts, users, ...rest } = plainObject.parse(parse(text ?? ""));
    assert.deepEqual(clusters, [
      {
        name: "datapath-lab-dev",
        cluster: { server: "https://198.51.100.1:6443", "certificate-authority-data": "Y2E=" },
      },
    ]);
    assert.deepEqual(contexts, [
      { name: "datapath-lab-dev", context: { cluster: "datapath-lab-dev", user: "datapath-lab-dev" } },
    ]);
    assert.deepEqual(users, [{ name: "datapath-lab-dev", user: { "client-key-data": "a2V5" } }]);
    assert.equal(rest["current-context"], "datapath-lab-dev");
  });

  it("leads to the API where it is said to be, under a name that is in its certificate", async () => {
    for (const [apiAddress, server] of [
      ["127.0.0.1", "https://127.0.0.1:6443"],
      ["api.example:16443", "https://api.example:16443"],
    ] as const) {
      const { kubeconfig: text, seen } = await made({ apiAddress });
      const { clusters } = z
        .object({ clusters: z.tuple([z.object({ cluster: z.object({ server: z.string() }) })]) })
        .parse(parse(text ?? ""));
      assert.equal(clusters[0].cluster.server, server);
      assert.match(standardInput(seen.get("node-1-k3s")).text, new RegExp(`  - "${apiAddress.replace(/:.*/, "")}"\n`));
    }
  });

  it("has a provider at preview, when no cluster stands, whose cluster is known", async () => {
    const { seen } = await made({}, { preview: true });
    const inputs = seen.get("k3s-api")?.inputs;
    assert.equal(inputs?.["clusterIdentifier"], "datapath-lab/dev/making-1");
    assert.match(JSON.stringify(inputs["kubeconfig"]), /__pulumiUnknown/);
  });

  it("shows every setting of the cluster at preview, except the token", async () => {
    const { seen } = await made({}, { preview: true });
    for (const node of nodes) {
      for (const part of ["install", "upgrade", "member"]) {
        assert.doesNotMatch(JSON.stringify(seen.get(`${node}-${part}`)), /__pulumiUnknown/);
      }
    }
  });

  it("is taken off machines that stay, and not off the lab's own", async () => {
    const own = await made({});
    const given = await made({}, { ownsMachines: false });
    assert.equal(own.seen.get("node-2-install")?.inputs["delete"], undefined);
    assert.match(String(given.seen.get("node-2-install")?.inputs["delete"]), /sh -s down/);
    assert.match(standardInput(given.seen.get("node-2-install")).text, /\ndown\(\) \{/);
  });

  it("drains a node that is taken out, and none when the whole cluster goes", async () => {
    const { seen, deletedWith, before } = await made({});
    const member = seen.get("node-3-member");
    assert.match(String(member?.inputs["delete"]), /sh -s down/);
    assert.equal(
      z.object({ host: z.string() }).parse(pulumi.runtime.unwrapRpcSecret(member?.inputs["connection"])).host,
      "198.51.100.1",
    );
    assert.equal(deletedWith("node-3-member"), "node-1-k3s");
    // So that it goes before K3s does there, and before the machine.
    assert.ok(before("node-3-member").has("node-3-install") && before("node-3-member").has("machine-3"));
  });

  it("is done anew on a machine that was made anew", async () => {
    const { seen } = await made({});
    for (const part of ["install", "upgrade", "k3s", "member"]) {
      assert.match(standardInput(seen.get(`node-2-${part}`)).text, /making-2/, part);
    }
    assert.match(standardInput(seen.get("node-2-k3s")).text, /LAB_CLUSTER='making-1'/);
  });

  describe("from files", () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-k3s-"));
      writeFileSync(path.join(folder, "k3s"), "a binary");
      writeFileSync(path.join(folder, "images.tar.zst"), "images");
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));
    const sha256 = createHash("sha256").update("a binary").digest("hex");

    it("copies them to every machine, and asks for what was found here", async () => {
      const source = { kind: "files", binary: path.join(folder, "k3s"), images: path.join(folder, "images.tar.zst") };
      const { seen, before } = await made({ source });
      assert.deepEqual(
        ["binary", "images"].map((kind) => seen.get(`node-2-${kind}`)?.inputs["remotePath"]),
        ["datapath-lab-k3s-binary", "datapath-lab-k3s-images.tar.zst"],
      );
      assert.ok(before("node-2-install").has("node-2-binary"));
      assert.ok(standardInput(seen.get("node-2-install")).text.includes(`LAB_SHA256='${sha256}'`));
      const images = `LAB_IMAGES_SHA256='${createHash("sha256").update("images").digest("hex")}'`;
      for (const part of ["install", "k3s"]) assert.ok(standardInput(seen.get(`node-2-${part}`)).text.includes(images));
    });

    it("refuses one that is not the pinned one, or not there, before anything is made", async () => {
      const binary = path.join(folder, "k3s");
      await assert.rejects(made({ source: { kind: "files", binary, sha256: "0".repeat(64) } }), {
        message: `k3s.source.binary: ${binary} has sha256 ${sha256}, and k3s.source.sha256 asks for ${"0".repeat(64)}.`,
      });
      await assert.rejects(
        made({ source: { kind: "files", binary: "/nowhere/k3s" } }),
        /k3s\.source\.binary: \/nowhere\/k3s can't be read: ENOENT/,
      );
    });
  });
});
