import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { ensureHelm } from "../../../offline/kubernetes/helm.ts";
import { InlineStack, parentOf } from "../../engine/inline-stack.ts";
import { removeCluster, startCluster, type Cluster, type ClusterOptions } from "./cluster.ts";
import { clientConfig, until } from "./pods.ts";

/** A cluster, and a stack of the real engine that acts on it. */
export interface ClusterStack {
  readonly cluster: Cluster;
  readonly config: KubeConfig;
  readonly core: CoreV1Api;
  readonly stack: InlineStack;
  /** The Helm CLI. */
  readonly helm: string;
  /** Removes the cluster with everything on it, and the stack's files. */
  readonly remove: () => Promise<void>;
}

/** For mocha's before: the first run on a machine builds Kubernetes, Helm and the CLI. */
export const buildLimit = "30m";

export const log = (line: string): void => void process.stderr.write(`      ${line}\n`);

/** Starts a cluster, and makes an empty stack. */
export async function clusterStack(options: Omit<ClusterOptions, "log">): Promise<ClusterStack> {
  const helm = await ensureHelm(log);
  const stack = await InlineStack.create();
  const cluster = await startCluster({ ...options, log });
  const config = clientConfig(cluster);
  const remove = async (): Promise<void> => {
    await removeCluster(options.name);
    stack.remove();
  };
  return { cluster, config, core: config.makeApiClient(CoreV1Api), stack, helm, remove };
}

/** A cluster without a CNI; the stack's folder has the stand-in agent's chart and what the lab's commands name. */
export async function ciliumStack(name: string): Promise<ClusterStack> {
  const made = await clusterStack({ name, cni: "none" });
  const root = path.resolve(import.meta.dirname, "..", "..", "..");
  cpSync(path.join(import.meta.dirname, "..", "agent", "chart"), made.stack.file("chart"), { recursive: true });
  // Commands name their programs from the program's working directory, which is the stack's folder here.
  for (const folder of ["verification", "node_modules"]) symlinkSync(path.join(root, folder), made.stack.file(folder));
  return made;
}

/** The message with which something fails. */
export async function failureOf(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : String(error);
}

/** Waits until a revision of a release is in a state, as Helm's own records have it. */
export async function releaseState(core: CoreV1Api, state: string): Promise<void> {
  await until(`the release ${state}`, 20, async () => {
    const { items } = await core.listNamespacedSecret({ namespace: "kube-system", labelSelector: `status=${state}` });
    return items.length > 0 || undefined;
  });
}

/** Runs Helm by hand in kube-system until the release is in that state in the cluster, and kills it then. */
export async function interruptedHelm(
  { helm, cluster, core }: Pick<ClusterStack, "helm" | "cluster" | "core">,
  helmArguments: readonly string[],
  state: string,
): Promise<void> {
  const child = spawn(
    helm,
    [...helmArguments, "--wait", "--kubeconfig", cluster.kubeconfig.path, "--namespace", "kube-system"],
    { stdio: "ignore" },
  );
  const ended = new Promise((resolve) => child.once("close", resolve));
  await releaseState(core, state);
  child.kill("SIGKILL");
  await ended;
}

/** Kills the engine that this process runs, with its providers and what they run, as a machine that loses its power does. */
export function killEngine(): void {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const below = (parents: ReadonlySet<number>): number[] =>
    all.filter((id) => {
      try {
        return parents.has(parentOf(id));
      } catch {
        return false;
      }
    });
  const isEngine = (id: number): boolean => {
    try {
      return /pulumi\0.*up\0/s.test(readFileSync(`/proc/${id}/cmdline`, "utf8"));
    } catch {
      return false;
    }
  };
  const engines = below(new Set([process.pid])).filter(isEngine);
  assert.equal(engines.length, 1, "one engine runs");
  const found = [...engines];
  for (let level = engines; level.length > 0; level = below(new Set(level)), found.push(...level));
  // All stop before the first ends, so that none sees another's end and acts on it; some may just have ended by themselves.
  for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
    for (const id of found) {
      try {
        process.kill(id, signal);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
  }
}
