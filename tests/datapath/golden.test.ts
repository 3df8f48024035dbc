import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { datapath as datapathSchema } from "../../datapath/config/datapath.ts";
import { namespaceMachines } from "../../datapath/config/machines.ts";
import { helmValues } from "../../datapath/cilium/helm-values.ts";
import { labNodes } from "../../datapath/plan/nodes.ts";
import { describeNodePlan, planFor, type NodePlan } from "../../datapath/plan/plan.ts";
import { nodesBeforeCilium } from "../../datapath/plan/preview-plan.ts";

const folder = path.resolve(import.meta.dirname, "../fixtures/datapath");

/** A datapath as it was written, and everything that follows from it, looked at by a person. */
const golden = z.strictObject({
  written: z.record(z.string(), z.json()),
  helmValues: z.record(z.string(), z.json()),
  /** Three nodes, the plan applied straight to the kernel. */
  embedded: z.array(z.record(z.string(), z.json())),
  /** Two nodes of a cluster, whose pod CIDRs Cilium chooses. */
  cluster: z.array(z.record(z.string(), z.json())),
});

function inWords(plan: readonly NodePlan[]): unknown {
  return plan.map((node) => ({
    node: node.node,
    ...describeNodePlan(node),
    podRouteMtuBytes: node.podRouteMtuBytes ?? null,
  }));
}

const machines = namespaceMachines.parse({ kind: "namespaces" });
const clusterNodes = nodesBeforeCilium([
  { name: "node-1", address: "192.0.2.11" },
  { name: "node-2", address: "192.0.2.12" },
]);

describe("What follows from a datapath", () => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));

  it("is on record for every mode and every way of routing", () => {
    const modes = names.map((name) => name.replace(".json", ""));
    for (const mode of [
      "vxlan",
      "geneve",
      "native-direct",
      "native-router",
      "native-bgp-cilium",
      "native-bgp-kube-router",
      "native-gke",
      "native-eni",
      "native-azure",
    ]) {
      assert.ok(modes.includes(mode), `${mode} has no fixture`);
    }
  });

  for (const name of names) {
    it(`is as recorded in ${name}`, () => {
      const expected = golden.parse(JSON.parse(readFileSync(path.join(folder, name), "utf8")));
      const datapath = datapathSchema.parse(expected.written);
      assert.deepEqual(helmValues(datapath), expected.helmValues);
      const underlayMtuBytes = datapath.mtuBytes ?? 1500;
      const embedded = planFor(datapath, labNodes(machines, datapath, ""), { carrier: "kernel", underlayMtuBytes });
      assert.deepEqual(inWords(embedded), expected.embedded);
      const cluster = planFor(datapath, clusterNodes, { carrier: "cilium", underlayMtuBytes });
      assert.deepEqual(inWords(cluster), expected.cluster);
    });
  }
});
