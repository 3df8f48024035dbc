import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, AppsV1Api, type KubeConfig, type V1Secret } from "@kubernetes/client-node";
import type { PodImage } from "../../datapath/cilium/agent-image.ts";
import { clientConfig, type ClusterAddress } from "../client-config.ts";
import { adoptable } from "./adoption.ts";
import { cleanNodes } from "./cleaning.ts";
import { startPinging } from "./replies.ts";

const namespace = "kube-system";
const release = "cilium";

/** How long a release may be seen pending before its Helm is taken for dead. */
const interruptedAfterSeconds = 20;

interface Revision {
  readonly secret: string;
  readonly number: number;
  readonly status: string;
}

export interface InstallArgs extends ClusterAddress {
  readonly adopt: boolean;
  /** What an earlier Cilium left on the nodes is removed first, by pods in this image; left alone where absent. */
  readonly clean?: { readonly image: PodImage; readonly limitSeconds: number };
  /** Takes what was done, a line each. */
  readonly log: (line: string) => void;
}

/**
 * Makes the way free for Helm's install: one that was interrupted or failed is taken back; objects that are there already are
 * Helm's own, by their annotations, and are taken up. A Cilium that something else installed is taken over where `adopt` is set.
 * @throws Error that names a Cilium that something else installed, and the way out
 */
export async function prepareInstall({ adopt, clean, log, ...address }: InstallArgs): Promise<void> {
  const config = clientConfig(address);
  const core = config.makeApiClient(CoreV1Api);
  await takeBackInterruption(core, log);
  const known = await revisions(core);
  const deployed = known.find(({ status }) => status === "deployed");
  if (deployed !== undefined && !adopt) {
    throw new Error(
      `kube-system has a Helm release cilium, revision ${deployed.number}, that this stack knows nothing of.\n${waysOut}`,
    );
  }
  // Helm installs nothing under a name that it knows. What the release made has its marks, and is taken up by the new one.
  for (const { secret } of known) await core.deleteNamespacedSecret({ namespace, name: secret });
  const [newest] = known;
  if (newest !== undefined) {
    log(`The release cilium, revision ${newest.number} ${newest.status}, is begun anew; what it made is taken up.`);
  }
  await takeOver(config, adopt, log);
  if (clean === undefined) return;
  const nodes = await cleanNodes(config, clean);
  if (nodes.length > 0) log(`What the Cilium before left is removed from ${nodes.join(", ")}.`);
}

/** Makes the way free for Helm's upgrade, as for its install, and has two of the lab's pods watch how it goes. */
export async function prepareUpgrade({
  log,
  limitSeconds,
  ...address
}: ClusterAddress & { readonly limitSeconds: number; readonly log: (line: string) => void }): Promise<void> {
  const config = clientConfig(address);
  await takeBackInterruption(config.makeApiClient(CoreV1Api), log);
  try {
    log(await startPinging(config, limitSeconds));
  } catch (error) {
    // What can't be measured can still be done.
    log(`The outage of this change is not measured: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const waysOut =
  "Set cilium.adopt: true to have the release take it over, or cilium.manage: false to leave it and only verify it.";

async function takeOver(config: KubeConfig, adopt: boolean, log: (line: string) => void): Promise<void> {
  const apps = config.makeApiClient(AppsV1Api);
  const { items } = await apps.listNamespacedDaemonSet({ namespace, fieldSelector: "metadata.name=cilium" });
  const found = items[0];
  if (found === undefined || isHelms(found.metadata)) return;
  if (!adopt) {
    const image = found.spec?.template.spec?.containers.find(({ name }) => name === "cilium-agent")?.image;
    throw new Error(
      `kube-system has a Cilium that no Helm release owns: DaemonSet cilium${image === undefined ? "" : `, image ${image}`}.\n${waysOut}`,
    );
  }
  for (const line of await adoptable(config, { release, namespace })) log(line);
}

function isHelms(metadata: { annotations?: Record<string, string> } | undefined): boolean {
  return metadata?.annotations?.["meta.helm.sh/release-name"] === release;
}

/** Helm keeps each revision in a secret, and its state in a label (helm.sh/helm/v3 pkg/storage/driver/secrets.go). */
async function revisions(core: CoreV1Api): Promise<Revision[]> {
  const { items } = await core.listNamespacedSecret({ namespace, labelSelector: `owner=helm,name=${release}` });
  return items.map(revision).sort((one, other) => other.number - one.number);
}

function revision({ metadata }: V1Secret): Revision {
  const labels = metadata?.labels ?? {};
  return {
    secret: metadata?.name ?? "",
    number: Number(labels["version"] ?? 0),
    status: labels["status"] ?? "",
  };
}

async function takeBackInterruption(core: CoreV1Api, log: (line: string) => void): Promise<void> {
  const limit = Date.now() + interruptedAfterSeconds * 1000;
  for (;;) {
    const [newest, before] = await revisions(core);
    // "another operation (install/upgrade/rollback) is in progress" is all that Helm says to one that is pending.
    if (newest === undefined || !newest.status.startsWith("pending-")) return;
    if (Date.now() >= limit) {
      await core.deleteNamespacedSecret({ namespace, name: newest.secret });
      const back = before === undefined ? "as if it had not begun" : `back at revision ${before.number}`;
      log(
        `Revision ${newest.number} of the release cilium was ${newest.status} without end: its Helm was interrupted. It is ${back}.`,
      );
      return;
    }
    // It may be somebody's Helm at work.
    await delay(500);
  }
}
