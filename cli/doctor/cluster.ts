import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { AuthorizationV1Api, CoreV1Api, KubeConfig, VersionApi, type V1Node } from "@kubernetes/client-node";
import type { Cilium } from "../../datapath/config/cilium.ts";
import type { ExistingClusterMachines } from "../../datapath/config/existing-cluster.ts";
import type { LabConfig } from "../../datapath/config/index.ts";
import { checkKernel } from "../../datapath/machines/kernel.ts";
import { labNamespace } from "../../verification/cluster/workload.ts";
import { kubeconfigFile } from "../../verification/kubeconfig.ts";
import { root } from "../workspace.ts";
import { missing, ok, warning, type Depth, type NeedCheck } from "./check.ts";
import { urlCheck } from "./reach.ts";

const limitSeconds = 5;

/** What a release of Cilium needs beside its cluster. */
export async function chartChecks({ chart, manage }: Cilium, depth: Depth): Promise<NeedCheck[]> {
  if (!manage) return [];
  const name = "Cilium's chart";
  if (chart.archive === undefined) {
    const index = `${chart.repository.replace(/\/$/, "")}/index.yaml`;
    return urlCheck(name, index, "Give the chart as a file: cilium.chart.archive.", depth);
  }
  return [
    existsSync(path.join(root, chart.archive))
      ? ok(name, chart.archive)
      : missing(name, `there is no ${chart.archive}`, "Write cilium.chart.archive relative to Pulumi.yaml."),
  ];
}

/** An existing cluster: its kubeconfig, its API server, its nodes' kernels, and the rights of who asks. */
export async function existingClusterChecks(machines: ExistingClusterMachines, lab: LabConfig): Promise<NeedCheck[]> {
  const file = kubeconfigFile(machines.kubeconfig);
  const config = new KubeConfig();
  try {
    config.loadFromString(readFileSync(file, "utf8"));
    if (machines.context !== undefined) config.setCurrentContext(machines.context);
    if (config.getCurrentCluster() === null)
      throw new Error(`it has no cluster for the context ${config.getCurrentContext()}`);
  } catch (error) {
    return [
      missing(
        "kubeconfig",
        `${file}: ${messageOf(error)}`,
        "Write its path as machines.kubeconfig, and a context of it as machines.context.",
      ),
    ];
  }
  const server = config.getCurrentCluster()?.server ?? "";
  const api = await within(config.makeApiClient(VersionApi).getCode()).catch((error: unknown) => messageOf(error));
  if (typeof api === "string") {
    return [
      ok("kubeconfig", file),
      missing("Kubernetes API", `${server}: ${api}`, "Check that the cluster runs and that this machine reaches it."),
    ];
  }
  return [
    ok("kubeconfig", file),
    ok("Kubernetes API", `${server}, ${api.gitVersion}`),
    ...(await nodesChecks(config, lab)),
    await rightsCheck(config, lab.cilium.manage),
  ];
}

async function nodesChecks(config: KubeConfig, lab: LabConfig): Promise<NeedCheck[]> {
  try {
    const { items } = await within(config.makeApiClient(CoreV1Api).listNode());
    const count =
      items.length >= 2
        ? ok("nodes", `${items.length}`)
        : missing("nodes", `${items.length}`, "A datapath between nodes needs two of them.");
    return [count, ...kernelChecks(items, lab)];
  } catch (error) {
    return [missing("nodes", messageOf(error), "Use a kubeconfig that may list nodes.")];
  }
}

/** The nodes' kernels against what the datapath needs. An agent that the lab leaves alone has found its own way: a warning then. */
function kernelChecks(nodes: readonly V1Node[], lab: LabConfig): NeedCheck[] {
  const kernels = nodes.map(({ metadata, status }) => ({
    node: metadata?.name ?? "",
    release: status?.nodeInfo?.kernelVersion ?? "",
  }));
  const found = kernels.flatMap(({ node, release }) => checkKernel(lab, release, node));
  if (found.length === 0) {
    return kernels.length === 0 ? [] : [ok("kernels", [...new Set(kernels.map(({ release }) => release))].join(", "))];
  }
  return found.map(({ severity, message, wayOut }) =>
    (severity === "error" && lab.cilium.manage ? missing : warning)("kernels", message, wayOut),
  );
}

/** A release is made in kube-system; without one only the pods that prove and measure are made, in a namespace of the lab's. */
async function rightsCheck(config: KubeConfig, manage: boolean): Promise<NeedCheck> {
  const namespace = manage ? "kube-system" : labNamespace;
  const name = `rights in ${namespace}`;
  const wayOut = "Use a kubeconfig of a cluster's administrator.";
  const resourceAttributes = { group: "apps", resource: "daemonsets", verb: "create", namespace };
  try {
    const review = await within(
      config
        .makeApiClient(AuthorizationV1Api)
        .createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } }),
    );
    return review.status?.allowed === true
      ? ok(name, "may create DaemonSets")
      : missing(name, "may not create DaemonSets", wayOut);
  } catch (error) {
    return missing(name, messageOf(error), wayOut);
  }
}

async function within<Answer>(answer: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitSeconds} s`)), limitSeconds * 1000);
  });
  try {
    return await Promise.race([answer, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
}
