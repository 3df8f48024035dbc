import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as z from "zod";
import { Cilium } from "../../components/cilium.ts";
import { releaseValues } from "../../datapath/cilium/helm-values.ts";
import { ExistingCluster } from "../../components/existing-cluster.ts";
import { cilium as ciliumConfig } from "../../datapath/config/cilium.ts";
import { datapath as datapathConfig } from "../../datapath/config/datapath.ts";

const native = datapathConfig.parse({ mode: "native" });
const vxlan = datapathConfig.parse({ mode: "vxlan" });

const plainObject = z.record(z.string(), z.unknown());

interface Registered {
  readonly type: string;
  readonly provider: string | undefined;
  readonly inputs: Record<string, unknown>;
  /** Names of its parent, of what it waits for, and of what it is replaced with. */
  readonly asked: z.infer<typeof request>;
}

const named = z.string().transform((urn) => urn.slice(urn.lastIndexOf(":") + 1));
const request = z.object({
  parent: named,
  dependenciesList: z.array(named),
  replaceWithList: z.array(named),
});

/** What an output that only an update will have is in a preview. */
function unknown(): pulumi.Output<string> {
  return new command.local.Command("yet-to-come", { create: "true" }).stdout;
}

/** Registers everything as a preview does, with no cluster standing, and returns what was registered. */
async function previewed(
  section: Record<string, unknown>,
  kubeconfig: () => pulumi.Input<string> = () => "apiVersion: v1",
): Promise<Map<string, Registered>> {
  const seen = new Map<string, Omit<Registered, "asked">>();
  const requests = new Map<string, z.infer<typeof request>>();
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        const inputs = plainObject.parse(args.inputs);
        seen.set(args.name, { type: args.type, provider: args.provider, inputs });
        return { id: "", state: inputs };
      },
      call: () => ({}),
    },
    "datapath-lab",
    "cluster",
    true,
  );
  const monitor: unknown = pulumi.runtime.getMonitor();
  assert.ok(typeof monitor === "object" && monitor !== null);
  const register: unknown = Reflect.get(monitor, "registerResource");
  assert.ok(typeof register === "function");
  Object.assign(monitor, {
    registerResource: (told: { toObject(): unknown }, done: unknown) => {
      const options = told.toObject();
      requests.set(z.object({ name: z.string() }).parse(options).name, request.parse(options));
      Reflect.apply(register, monitor, [told, done]);
    },
    // The SDK's mocks know hooks, but not their registration.
    registerResourceHook: (_request: unknown, done: (error: null, reply: object) => void) => done(null, {}),
  });
  const cluster = new ExistingCluster("cluster", { machines: { kind: "none" }, kubeconfig: kubeconfig() });
  new Cilium(
    "cilium",
    { datapath: native, cilium: ciliumConfig.parse(section), nodeCount: 3, kubeconfig: cluster.kubeconfig },
    { providers: { kubernetes: cluster.provider } },
  );
  await pulumi.runtime.disconnect();
  return new Map(
    Array.from(seen, ([name, found]) => [name, { ...found, asked: requests.get(name) ?? assert.fail(name) }]),
  );
}

describe("Cilium under mocks, in a preview", () => {
  it("is the release cilium in kube-system from Cilium's repository at 1.13.4, on the cluster's provider", async () => {
    const release = (await previewed({})).get("cilium-release");
    assert.equal(release?.type, "kubernetes:helm.sh/v3:Release");
    const { values, ...inputs } = release.inputs;
    assert.ok(values);
    assert.deepEqual(inputs, {
      // The SDK's own mark.
      compat: "true",
      name: "cilium",
      namespace: "kube-system",
      chart: "cilium",
      version: "1.13.4",
      repositoryOpts: { repo: "https://helm.cilium.io" },
      skipAwait: true,
      timeout: 600,
    });
    assert.match(String(release.provider), /pulumi:providers:kubernetes::cluster-api::/);
  });

  it("refuses a chart of another version, packed or not", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-chart-"));
    try {
      mkdirSync(path.join(folder, "cilium"));
      writeFileSync(path.join(folder, "cilium", "Chart.yaml"), "name: cilium\nversion: 1.14.0\n");
      execFileSync("tar", ["-czf", path.join(folder, "cilium.tgz"), "-C", folder, "cilium"]);
      for (const name of ["cilium", "cilium.tgz"]) {
        const archive = path.relative(process.cwd(), path.join(folder, name));
        await assert.rejects(previewed({ chart: { archive } }), ({ message }: Error) =>
          /^cilium\.chart\.archive: .* is the chart cilium 1\.14\.0; .* those of cilium 1\.13\.4\.\nTake that one/.test(
            message,
          ),
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("takes the chart from an archive, without a repository", async () => {
    const release = (await previewed({ chart: { archive: "charts/cilium-1.13.4.tgz" } })).get("cilium-release");
    assert.equal(release?.inputs["chart"], "charts/cilium-1.13.4.tgz");
    assert.equal(release.inputs["repositoryOpts"], undefined);
    assert.equal(release.inputs["version"], undefined);
  });

  it("has every value known though the kubeconfig is not: values are those of the config alone", async () => {
    const release = (await previewed({}, unknown)).get("cilium-release");
    assert.deepEqual(release?.inputs["values"], releaseValues(native, { rollOut: "together" }, 3));
    assert.ok(!JSON.stringify(release.inputs).includes("__pulumiUnknown"));
  });

  it("has pods of every kind made anew after the release was replaced, and the lab's alone after an upgrade", async () => {
    const spec = async (strategy: string): Promise<unknown> => {
      const stdin = (await previewed({ strategy })).get("cilium-rollout")?.inputs["stdin"];
      return JSON.parse(z.string().parse(pulumi.runtime.unwrapRpcSecret(stdin)));
    };
    const own = {
      ...{ kubeconfig: "apiVersion: v1", limitSeconds: 600, definitions: [] },
      ...{ leftRoutes: ["kube-router"], restartAgents: "together" },
    };
    assert.deepEqual(await spec("upgrade"), { ...own, restartPods: "lab", replaced: false });
    assert.deepEqual(await spec("replace"), { ...own, restartPods: "all", replaced: true });
  });

  it("waits after the release, and again with every release in the place of another: each is its first revision", async () => {
    const asked = async (strategy: string): Promise<unknown> => {
      const seen = await previewed({ strategy });
      assert.equal(seen.get("cilium-release")?.asked.parent, "cilium");
      return seen.get("cilium-rollout")?.asked;
    };
    const own = { parent: "cilium", dependenciesList: ["cilium-release"] };
    assert.deepEqual(await asked("upgrade"), { ...own, replaceWithList: [] });
    assert.deepEqual(await asked("replace"), { ...own, replaceWithList: ["cilium-release"] });
  });

  it("leaves the release alone with manage: false, and still waits", async () => {
    const seen = await previewed({ manage: false });
    assert.equal(seen.get("cilium-release"), undefined);
    assert.equal(seen.get("cilium-rollout")?.type, "command:local:Command");
  });
});

describe("The values of the release", () => {
  it("restart agents whenever the config changes: all together, or one after another when told so", () => {
    assert.deepEqual(
      (["together", "node-by-node"] as const).map((rollOut) => {
        const { rollOutCiliumPods, updateStrategy } = releaseValues(vxlan, { rollOut });
        return { rollOutCiliumPods, updateStrategy };
      }),
      ["100%", 1].map((maxUnavailable) => ({
        rollOutCiliumPods: true,
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable } },
      })),
    );
  });

  it("have no more operators than nodes", () => {
    const replicas = (nodes?: number): unknown => releaseValues(vxlan, { rollOut: "together" }, nodes)["operator"];
    assert.deepEqual([replicas(1), replicas(3), replicas()], [{ replicas: 1 }, { replicas: 2 }, { replicas: 2 }]);
  });
});
