import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, AppsV1Api, KubeConfig, type V1Secret } from "@kubernetes/client-node";
import { adoptable } from "./adoption.ts";

const namespace = "kube-system";
const release = "cilium";

/** How long a release may be seen pending before its Helm is taken for dead. */
const interruptedAfterSeconds = 20;

interface Revision {
  readonly secret: string;
  readonly number: number;
  readonly status: string;
}

/**
 * Makes the way free for Helm: an install, upgrade or rollback that was interrupted is taken back, so that Helm starts over from the
 * revision before; objects that are there already are Helm's own, by their annotations, and are taken up. A Cilium that something
 * else installed is taken over where `adopt` is set.
 * @returns what was done, one line each
 * @throws Error that names a Cilium that something else installed, and the way out
 */
export async function preparedRelease(args: {
  readonly kubeconfig: string;
  readonly context?: string | undefined;
  readonly adopt: boolean;
}): Promise<string[]> {
  const config = new KubeConfig();
  config.loadFromString(args.kubeconfig);
  if (args.context !== undefined) config.setCurrentContext(args.context);
  const core = config.makeApiClient(CoreV1Api);
  const done = await interruptionsTakenBack(core);
  if ((await revisions(core)).length > 0) return done;
  const apps = config.makeApiClient(AppsV1Api);
  const { items } = await apps.listNamespacedDaemonSet({ namespace, fieldSelector: "metadata.name=cilium" });
  const found = items[0];
  if (found === undefined || isHelms(found.metadata)) return done;
  if (!args.adopt) {
    const image = found.spec?.template.spec?.containers.find(({ name }) => name === "cilium-agent")?.image;
    throw new Error(
      `kube-system has a Cilium that no Helm release owns: DaemonSet cilium${image === undefined ? "" : `, image ${image}`}.\n` +
        "Set cilium.adopt: true to have the release take it over, or cilium.manage: false to leave it and only verify it.",
    );
  }
  return [...done, ...(await adoptable(config, { release, namespace }))];
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

async function interruptionsTakenBack(core: CoreV1Api): Promise<string[]> {
  const limit = Date.now() + interruptedAfterSeconds * 1000;
  for (;;) {
    const [newest, before] = await revisions(core);
    if (newest === undefined) return [];
    // Without a revision that was ever deployed Helm neither installs ("cannot re-use a name") nor upgrades.
    const isPending = newest.status.startsWith("pending-");
    if (!isPending) return [];
    if (Date.now() >= limit) {
      await core.deleteNamespacedSecret({ namespace, name: newest.secret });
      const back = before === undefined ? "as if it had not begun" : `back at revision ${before.number}`;
      return [
        `Revision ${newest.number} of the release cilium was ${newest.status} without end: its Helm was interrupted. It is ${back}.`,
      ];
    }
    // It may be somebody's Helm at work.
    await delay(500);
  }
}
