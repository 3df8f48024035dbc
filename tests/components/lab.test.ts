import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { DatapathLab } from "../../components/lab.ts";
import type { LabConfigInput } from "../../datapath/config/index.ts";

const asked = z.object({
  name: z.string(),
  type: z.string(),
  parent: z.string(),
  dependenciesList: z.array(z.string()),
  deletedwith: z.string(),
});
type Asked = z.infer<typeof asked> & { readonly stdin: string };

/** Registers a lab with nothing standing, as a preview or an update does: every resource that is asked for, by name. */
async function previewed(config: LabConfigInput, { preview = true } = {}): Promise<Map<string, Asked>> {
  const stdins = new Map<string, string>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ name, inputs }) => {
        const state = z.record(z.string(), z.unknown()).parse(inputs);
        stdins.set(name, String(pulumi.runtime.unwrapRpcSecret(state["stdin"])));
        return { id: "", state };
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
  const seen = new Map<string, z.infer<typeof asked>>();
  Reflect.set(monitor, "registerResource", (request: { toObject(): unknown }, done: unknown) => {
    const told = asked.parse(request.toObject());
    seen.set(told.name, told);
    Reflect.apply(register, monitor, [request, done]);
  });
  // The SDK's mocks know hooks, but not their registration.
  Reflect.set(monitor, "registerResourceHook", (_: unknown, done: (error: null, reply: object) => void) =>
    done(null, {}),
  );
  new DatapathLab("dev", config);
  await pulumi.runtime.disconnect();
  return new Map(Array.from(seen, ([name, told]) => [name, { ...told, stdin: stdins.get(name) ?? "" }]));
}

const hosts = {
  kind: "hosts" as const,
  hosts: ["one", "two"].map((name, index) => ({ name, address: `192.0.2.${index + 1}`, hostKey: "ssh-ed25519 AAAA" })),
};

describe("a lab whose config can't be used", () => {
  it("is refused with every error at once, and without a stack trace", async () => {
    const config = {
      machines: { kind: "namespaces" as const, count: 65 },
      datapath: { mode: "vxlan" as const, mtuBytes: 7 },
    };
    await assert.rejects(previewed(config), (error: Error) => {
      assert.match(error.message, /^2 errors in the lab's config; nothing was created\./);
      for (const key of ["machines.count", "datapath.mtuBytes"])
        assert.ok(error.message.includes(`datapath-lab:${key}`), key);
      assert.equal(error.stack, "");
      return true;
    });
  });
});

describe("a lab on machines, in a preview", function () {
  this.timeout("1m");

  it("is known from the first machine to Cilium's release before anything stands", async () => {
    const seen = await previewed({ machines: hosts, datapath: { mode: "native" } });
    for (const name of [
      ...["preflight-check", "k3s-token", "one-install", "two-k3s", "kubeconfig", "k3s-api"],
      ...["cilium-rollout", "workload-namespace", "verification-run"],
    ]) {
      assert.ok(seen.has(name), name);
    }
    assert.equal(seen.get("cilium-release")?.type, "kubernetes:helm.sh/v3:Release");
  });

  it("takes nothing off a cluster whose machines go as a whole, and all of it off given machines", async () => {
    const made = await previewed({ machines: { kind: "libvirt" as const, image: { path: import.meta.filename } } });
    assert.match(made.get("cilium-release")?.deletedwith ?? "", /::node-1$/);
    assert.match(made.get("cilium-rollout")?.deletedwith ?? "", /::node-1$/);
    const given = await previewed({ machines: hosts });
    assert.equal(given.get("cilium-release")?.deletedwith, "");
  });

  it("has a router of its own between pods where nobody else on libvirt would know them", async () => {
    const machines = { kind: "libvirt" as const, image: { path: import.meta.filename } };
    const byHand = await previewed({ machines, datapath: { mode: "native", routes: "router" } });
    for (const name of ["router", "router-boot", "node-3-routes", "pod-cidrs", "router-routes"]) {
      assert.ok(byHand.has(name), name);
    }
    const routes = { kind: "bgp" as const, speaker: "cilium" as const, peer: { address: "192.168.123.254" } };
    const byBgp = await previewed({ machines, datapath: { mode: "native", routes } });
    assert.ok(byBgp.has("router-bird") && byBgp.has("bgp-peering-policy") && !byBgp.has("pod-cidrs"));
    // kube-router has the nodes route among themselves.
    const withPeer = { kind: "bgp" as const, speaker: "kube-router" as const, peer: { address: "192.168.123.254" } };
    const beside = await previewed({ machines, datapath: { mode: "native", routes: withPeer } });
    assert.ok(beside.has("router-bird"));
    const direct = await previewed({ machines, datapath: { mode: "native" } });
    assert.ok(!direct.has("router-boot"));
    // The proof must not find an earlier lab's way to the router.
    for (const [seen, sends] of [
      [byHand, true],
      [byBgp, true],
      [beside, false],
      [direct, false],
    ] as const) {
      const { stdin } = seen.get("node-1-routes") ?? assert.fail();
      assert.equal(stdin.includes("LAB_ROUTES='10.42.0.0/16 192.168.123.254'"), sends);
      assert.match(stdin, sends ? /systemctl --quiet enable/ : /up_1\(\) \{[^}]*take_away <"\$batch"/);
      assert.ok(seen.get("verification")?.dependenciesList.some((urn) => urn.endsWith("::node-1-routes")));
    }
  });

  it("refuses an update where libvirt can't be asked what stands: it would make everything anew", async () => {
    const machines = { kind: "libvirt" as const, uri: "qemu:///no-such-driver", image: { path: import.meta.filename } };
    await assert.rejects(
      previewed({ machines }, { preview: false }),
      /^Error: libvirt can't be asked what stands: .*\n.*\nNothing was changed\.$/,
    );
    assert.ok((await previewed({ machines })).has("node-1"), "a preview goes on, with a warning");
  });

  it("on a cluster that stands already is its access and Cilium alone", async () => {
    const seen = await previewed({
      machines: { kind: "none", kubeconfig: import.meta.filename },
      cilium: { manage: false },
    });
    assert.ok(seen.has("cilium-rollout"));
    assert.ok(!seen.has("cilium-release"), "manage: false leaves the release alone");
    assert.ok(!seen.has("k3s"));
  });
});
