import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { DatapathLab } from "../../components/lab.ts";
import type { LabConfigInput } from "../../datapath/config/index.ts";
import { verificationSpec } from "../../verification/spec.ts";

interface Registered {
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

const properties = z.record(z.string(), z.unknown());

/** Registers a lab as a preview does, with nothing standing, and gives what was registered by name. */
async function previewed(config: LabConfigInput): Promise<Map<string, Registered>> {
  const seen = new Map<string, Registered>();
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        const inputs = properties.parse(args.inputs);
        seen.set(args.name, { type: args.type, inputs });
        return { id: "", state: inputs };
      },
      call: ({ token }) => assert.fail(`nothing is asked at preview: ${token}`),
    },
    "datapath-lab",
    "test-mocks",
    true,
  );
  const lab = new DatapathLab("test-mocks", config);
  assert.equal(lab.plan.length, lab.nodes.length);
  await pulumi.runtime.disconnect();
  return seen;
}

describe("the embedded lab under mocks, in a preview", () => {
  it("is a check, a network, and a node and its datapath each, then one verification", async () => {
    const seen = await previewed({ machines: { kind: "namespaces", count: 2 } });
    assert.deepEqual([...seen.keys()].sort(), [
      "embedded",
      "machine-check",
      "machines",
      "network",
      "node-1",
      "node-1-datapath",
      "node-1-datapath-apply",
      "node-2",
      "node-2-datapath",
      "node-2-datapath-apply",
      "test-mocks",
      "verification",
      "verification-run",
    ]);
    assert.equal(seen.get("node-1-datapath")?.type, "datapath-lab:datapath:Node");
  });

  it("knows everything before the first machine exists", async () => {
    for (const [name, { inputs }] of await previewed({ datapath: { mode: "native", routes: "router" } })) {
      assert.doesNotMatch(JSON.stringify(inputs), /__pulumiUnknown/, name);
    }
  });

  it("names namespaces by project, stack and node, and runs its scripts as root with what they need in the environment", async () => {
    const { inputs } = (await previewed({})).get("node-2") ?? assert.fail();
    assert.equal(inputs["create"], "exec ./scripts/as-root ./scripts/namespaces/node-up");
    assert.equal(inputs["delete"], "exec ./scripts/as-root ./scripts/namespaces/node-down");
    const environment = inputs["environment"] as Record<string, string>;
    assert.equal(environment["LAB_NODE_NAMESPACE"], "datapath-lab:test-mocks:node-2");
    assert.equal(environment["LAB_NODE_ADDRESS"], "172.30.0.6/24");
    assert.equal(environment["LAB_PODS"], "datapath-lab:test-mocks:node-2:pod lxc_pod 10.42.1.10\n");
    assert.equal(inputs["addPreviousOutputInEnv"], false);
  });

  it("puts the plan into the inputs of each node's datapath, as structure", async () => {
    const { inputs } = (await previewed({ datapath: { mode: "vxlan" } })).get("node-1-datapath") ?? assert.fail();
    assert.deepEqual(inputs["links"], { cilium_geneve: "absent", cilium_vxlan: "vxlan, UDP 8472, up" });
    assert.equal(
      (inputs["routes"] as Record<string, string>)["10.42.1.0/24"],
      "via 10.42.1.1 dev cilium_vxlan mtu 1450 to 172.30.0.6",
    );
  });

  it("gives the verification program what it can read", async () => {
    const { inputs } = (await previewed({ datapath: { mode: "native" } })).get("verification-run") ?? assert.fail();
    const spec = verificationSpec.parse(JSON.parse(inputs["stdin"] as string));
    assert.equal(spec.nodes.length, 3);
    assert.equal(spec.plan[0]?.wire.pods, "bare");
  });

  it("has a BGP daemon on each node where routes are by BGP, and waits for what they learn before it verifies", async () => {
    const seen = await previewed({ datapath: { mode: "native", routes: "bgp" } });
    const environment = seen.get("node-1-datapath-apply")?.inputs["environment"] as Record<string, string>;
    assert.match(environment["LAB_BGP"] ?? "", /route 10\.42\.0\.0\/24 blackhole;/);
    assert.equal(seen.get("network")?.inputs["stdin"], "");
    assert.equal(
      seen.get("bgp-learned")?.inputs["stdin"],
      [1, 2, 3].map((node) => `datapath-lab:test-mocks:node-${node} 10.42.${node - 1}.0/24\n`).join(""),
    );
    assert.equal(
      seen.get("node-1-datapath")?.inputs["bgp"],
      "AS 64512 announces 10.42.0.0/24 to node-2 (AS 64512), node-3 (AS 64512)",
    );
  });

  it("has one in the router as well where Cilium would only announce, and waits for that router alone", async () => {
    const routes = { kind: "bgp", speaker: "cilium", peer: { address: "172.30.0.1", asn: 64_513 } };
    const seen = await previewed({ datapath: { mode: "native", routes } });
    assert.match(String(seen.get("network")?.inputs["stdin"]), /local as 64513;/);
    assert.equal(seen.get("bgp-learned")?.inputs["stdin"], "datapath-lab:test-mocks:network -\n");
  });
});
