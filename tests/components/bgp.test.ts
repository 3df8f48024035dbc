import assert from "node:assert/strict";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { BgpRoutes } from "../../components/bgp.ts";
import { bgpDefinitions } from "../../datapath/bgp/kubernetes.ts";
import { datapath as datapathSchema } from "../../datapath/config/datapath.ts";

const properties = z.record(z.string(), z.unknown());

/** Registers the routes of a datapath, and returns what was registered, by name. */
async function registered(routes: unknown, more: object = {}): Promise<Map<string, Record<string, unknown>>> {
  const seen = new Map<string, Record<string, unknown>>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ name, type, provider, inputs }) => {
        const state = properties.parse(inputs);
        seen.set(name, { type, provider, ...state });
        return { id: name, state };
      },
      call: () => ({}),
    },
    "datapath-lab",
    "cluster",
    true,
  );
  const provider = new kubernetes.Provider("api", { kubeconfig: "apiVersion: v1" });
  const datapath = datapathSchema.parse({ mode: "native", routes, ...more });
  new BgpRoutes("bgp", { datapath }, { providers: { kubernetes: provider } });
  await pulumi.runtime.disconnect();
  seen.delete("api");
  seen.delete("bgp");
  return seen;
}

/** The one container of the DaemonSet. */
const pod = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        hostNetwork: z.literal(true),
        containers: z.tuple([z.object({ image: z.string(), args: z.array(z.string()), env: z.array(properties) })]),
      }),
    }),
  }),
});

const peer = { address: "192.0.2.1", asn: 64_513 };

describe("Routes by BGP on a cluster, under mocks", () => {
  it("are kube-router on every node: router only, no overlay, each with each", async () => {
    const seen = await registered("bgp");
    assert.deepEqual([...seen.keys()].sort(), ["bgp-account", "bgp-binding", "bgp-kube-router", "bgp-role"]);
    const [container] = pod.parse(seen.get("bgp-kube-router")).spec.template.spec.containers;
    for (const flag of [
      "--run-router=true",
      "--run-firewall=false",
      "--run-service-proxy=false",
      "--enable-overlay=false",
      "--enable-cni=false",
      "--cluster-asn=64512",
    ]) {
      assert.ok(container.args.includes(flag), flag);
    }
    assert.ok(!container.args.some((flag) => flag.startsWith("--peer-router")));
    assert.match(container.image, /kube-router:v\d/);
    assert.match(String(seen.get("bgp-kube-router")?.["provider"]), /::api::/);
  });

  it("take kube-router from another registry where the config says so", async () => {
    const image = "registry.example/kube-router@sha256:0f";
    const seen = await registered({ kind: "bgp", image });
    assert.equal(pod.parse(seen.get("bgp-kube-router")).spec.template.spec.containers[0].image, image);
  });

  it("peer with a router where one is named, and reach the API without kube-proxy by its own address", async () => {
    const kubeProxyReplacement = { mode: "strict", k8sServiceHost: "192.0.2.10", k8sServicePort: 6443 };
    const seen = await registered({ kind: "bgp", peer }, { kubeProxyReplacement });
    const [container] = pod.parse(seen.get("bgp-kube-router")).spec.template.spec.containers;
    assert.deepEqual(container.args.slice(-2), ["--peer-router-ips=192.0.2.1", "--peer-router-asns=64513"]);
    assert.deepEqual(container.env.slice(1), [
      { name: "KUBERNETES_SERVICE_HOST", value: "192.0.2.10" },
      { name: "KUBERNETES_SERVICE_PORT", value: "6443" },
    ]);
  });

  it("are one peering policy where Cilium speaks, and the roll-out waits for its definition", async () => {
    const routes = { kind: "bgp", speaker: "cilium", localASN: 64_600, peer };
    const seen = await registered(routes);
    assert.deepEqual([...seen.keys()], ["bgp-peering-policy"]);
    const policy = seen.get("bgp-peering-policy");
    assert.equal(policy?.["type"], "kubernetes:cilium.io/v2alpha1:CiliumBGPPeeringPolicy");
    assert.deepEqual(policy["spec"], {
      nodeSelector: { matchLabels: { "kubernetes.io/os": "linux" } },
      virtualRouters: [
        { localASN: 64_600, exportPodCIDR: true, neighbors: [{ peerAddress: "192.0.2.1/32", peerASN: 64_513 }] },
      ],
    });
    assert.deepEqual(bgpDefinitions(datapathSchema.parse({ mode: "native", routes })), [
      "ciliumbgppeeringpolicies.cilium.io",
    ]);
  });

  it("are nothing where somebody else carries them", async () => {
    assert.equal((await registered("direct")).size, 0);
    assert.deepEqual(bgpDefinitions(datapathSchema.parse({ mode: "vxlan" })), []);
  });
});
