import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { AppsV1Api, CoreV1Api, KubernetesObjectApi, type KubeConfig, type V1Secret } from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { PodImage } from "../../datapath/cilium/agent-image.ts";
import { foreignAddresses, type PodAddresses } from "../../datapath/cilium/pod-addresses.ts";
import { clientConfig, type ClusterAddress } from "../client-config.ts";
import { apiFailure, orNothing } from "../api-answers.ts";
import { adoptable } from "./adoption.ts";
import { cleanNodes } from "./cleaning.ts";
import { startPinging } from "./replies.ts";

const namespace = "kube-system";
const release = "cilium";

/** How long a release may be seen pending before its Helm is taken for dead. */
const interruptedAfterSeconds = 20;

/** How long the API may take to let go of an object whose pods run on. */
const releasedWithinSeconds = 60;

interface Revision {
  readonly secret: V1Secret;
  readonly name: string;
  readonly number: number;
  readonly status: string;
}

/** What Helm's install and upgrade have in common. */
export interface PrepareArgs extends ClusterAddress {
  /** Who gives pods their addresses from now on. */
  readonly addresses: PodAddresses;
  /** Takes what was done, a line each. */
  readonly log: (line: string) => void;
}

export interface InstallArgs extends PrepareArgs {
  readonly adopt: boolean;
  /** What an earlier Cilium left on the nodes is removed first, by pods in this image; left alone where absent. */
  readonly clean?: { readonly image: PodImage; readonly limitSeconds: number };
}

/**
 * Makes the way free for Helm's install: one that was interrupted or failed is taken back; objects that are there already are
 * Helm's own, by their annotations, and are taken up. A Cilium that something else installed is taken over where `adopt` is set; with
 * `clean` it is ended.
 * @throws Error that names a Cilium that something else installed, and the way out
 */
export async function prepareInstall({ adopt, clean, addresses, log, ...address }: InstallArgs): Promise<void> {
  const config = clientConfig(address);
  const core = config.makeApiClient(CoreV1Api);
  // Nothing of somebody else's is touched before it is ours to touch.
  if (!adopt) await refuseForeign(config);
  await settled(core);
  if (!adopt) await refuseForeign(config);
  if (clean === undefined) await refuseOtherAddresses(core, addresses);
  // Helm installs nothing under a name that it knows. What the release made has its marks, and is taken up by the new one.
  const known = await revisions(core);
  for (const { name } of known) await core.deleteNamespacedSecret({ namespace, name });
  const [newest] = known;
  if (newest !== undefined) {
    log(`The release cilium, revision ${newest.number} ${newest.status}, is begun anew; what it made is taken up.`);
  }
  const found = await daemonSet(config);
  if (found !== undefined && !isHelms(found.metadata)) {
    for (const line of await adoptable(config, { release, namespace })) log(line);
  }
  await letGo(config, clean === undefined ? "Orphan" : "Background");
  if (clean === undefined) return;
  const nodes = await cleanNodes(config, clean);
  if (nodes.length > 0) log(`What the Cilium before left is removed from ${nodes.join(", ")}.`);
}

/**
 * Makes the way free for Helm's upgrade, as for its install, and has two of the lab's pods watch how it goes.
 * @throws Error where the change would take pods' addresses from somebody else, with the way out
 */
export async function prepareUpgrade({
  log,
  limitSeconds,
  addresses,
  ...address
}: PrepareArgs & { readonly limitSeconds: number }): Promise<void> {
  const config = clientConfig(address);
  const core = config.makeApiClient(CoreV1Api);
  await refuseOtherAddresses(core, addresses);
  const interrupted = await settled(core);
  // Before anything is taken back: the configuration says which mode the change is from.
  try {
    log(await startPinging(config, limitSeconds));
  } catch (error) {
    // What can't be measured can still be done.
    log(`The outage of this change is not measured: ${apiFailure(error)}`);
  }
  if (interrupted !== undefined) await takeBack(config, interrupted, log);
}

const waysOut =
  "Set cilium.adopt: true to have the release take it over, or cilium.manage: false to leave it and only verify it.";

async function refuseForeign(config: KubeConfig): Promise<void> {
  const deployed = (await revisions(config.makeApiClient(CoreV1Api))).find(({ status }) => status === "deployed");
  if (deployed !== undefined) {
    throw new Error(
      `kube-system has a Helm release cilium, revision ${deployed.number}, that this stack knows nothing of.\n${waysOut}`,
    );
  }
  const found = await daemonSet(config);
  if (found === undefined || isHelms(found.metadata)) return;
  const image = found.spec?.template.spec?.containers.find(({ name }) => name === "cilium-agent")?.image;
  throw new Error(
    `kube-system has a Cilium that no Helm release owns: DaemonSet cilium${image === undefined ? "" : `, image ${image}`}.\n${waysOut}`,
  );
}

async function refuseOtherAddresses(core: CoreV1Api, wanted: PodAddresses): Promise<void> {
  const { items } = await core.listNamespacedConfigMap({ namespace, fieldSelector: "metadata.name=cilium-config" });
  const refused = foreignAddresses(items[0]?.data, wanted);
  if (refused !== undefined) throw new Error(refused);
}

async function daemonSet(config: KubeConfig) {
  const apps = config.makeApiClient(AppsV1Api);
  return (await apps.listNamespacedDaemonSet({ namespace, fieldSelector: "metadata.name=cilium" })).items[0];
}

/** What of Cilium's chart has a configuration or runs with one. */
const configured = [
  { apiVersion: "v1", kind: "ConfigMap", name: "cilium-config" },
  { apiVersion: "apps/v1", kind: "DaemonSet", name: "cilium" },
  { apiVersion: "apps/v1", kind: "Deployment", name: "cilium-operator" },
];

/**
 * Has the next Helm make configuration and workloads from nothing: of what it finds it only changes what its own records know, so keys that
 * somebody else wrote would stay (helm.sh/helm/v3 pkg/kube/client.go, three-way patch). With `Orphan` pods run on, and those to come take their place.
 */
async function letGo(config: KubeConfig, propagation: "Orphan" | "Background"): Promise<void> {
  const api = KubernetesObjectApi.makeApiClient(config);
  for (const { apiVersion, kind, name } of configured) {
    const header = { apiVersion, kind, metadata: { name, namespace } };
    await orNothing(api.delete(header, undefined, undefined, undefined, undefined, propagation));
    const limit = Date.now() + releasedWithinSeconds * 1000;
    while ((await orNothing(api.read(header))) !== undefined) {
      if (Date.now() > limit)
        throw new Error(`${kind} ${name} is not gone ${releasedWithinSeconds} s after its deletion.`);
      await delay(250);
    }
  }
}

function isHelms(metadata: { annotations?: Record<string, string> } | undefined): boolean {
  return metadata?.annotations?.["meta.helm.sh/release-name"] === release;
}

/** Helm keeps each revision in a secret, and its state in a label (helm.sh/helm/v3 pkg/storage/driver/secrets.go). */
async function revisions(core: CoreV1Api): Promise<Revision[]> {
  const { items } = await core.listNamespacedSecret({ namespace, labelSelector: `owner=helm,name=${release}` });
  return items.map(revision).sort((one, other) => other.number - one.number);
}

function revision(secret: V1Secret): Revision {
  const labels = secret.metadata?.labels ?? {};
  return {
    secret,
    name: secret.metadata?.name ?? "",
    number: Number(labels["version"] ?? 0),
    status: labels["status"] ?? "",
  };
}

/** A revision whose Helm ended in the middle. */
interface Interrupted {
  readonly newest: Revision;
  readonly before: Revision | undefined;
}

/**
 * Waits until no Helm is at work any more, or its time is over.
 * @returns the revision that is still pending, and the one before it; nothing where the release is settled
 */
async function settled(core: CoreV1Api): Promise<Interrupted | undefined> {
  const limit = Date.now() + interruptedAfterSeconds * 1000;
  for (;;) {
    const [newest, before] = await revisions(core);
    // "another operation (install/upgrade/rollback) is in progress" is all that Helm says to one that is pending.
    if (newest === undefined || !newest.status.startsWith("pending-")) return undefined;
    if (Date.now() >= limit) return { newest, before };
    // It may be somebody's Helm at work.
    await delay(500);
  }
}

const header = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  // As Helm, which puts there what names no namespace; objects without namespaces take no notice.
  metadata: z.object({ name: z.string(), namespace: z.string().default(namespace) }),
});
type Header = z.infer<typeof header>;

/** Objects of a revision (helm.sh/helm/v3 pkg/storage/driver/util.go: JSON, gzip, base64). */
function objectsOf({ secret }: Revision): Header[] {
  const record = gunzipSync(Buffer.from(Buffer.from(secret.data?.["release"] ?? "", "base64").toString(), "base64"));
  const { manifest } = z.object({ manifest: z.string() }).parse(JSON.parse(record.toString()));
  return parseAllDocuments(manifest).flatMap((document) => header.safeParse(document.toJS()).data ?? []);
}

/** Takes away what only the interrupted revision had: Helm, which goes on from the one before, knows nothing of it. */
async function takeBack(
  config: KubeConfig,
  { newest, before }: Interrupted,
  log: (line: string) => void,
): Promise<void> {
  if (before !== undefined) {
    const titled = ({ kind, metadata }: Header): string => `${kind} ${metadata.namespace} ${metadata.name}`;
    const standing = new Set(objectsOf(before).map(titled));
    const api = KubernetesObjectApi.makeApiClient(config);
    for (const object of objectsOf(newest).filter((one) => !standing.has(titled(one)))) {
      await orNothing(api.delete(object));
    }
    await letGo(config, "Orphan");
  }
  await config.makeApiClient(CoreV1Api).deleteNamespacedSecret({ namespace, name: newest.name });
  const back = before === undefined ? "as if it had not begun" : `back at revision ${before.number}`;
  log(
    `Revision ${newest.number} of the release cilium was ${newest.status} without end: its Helm was interrupted. It is ${back}.`,
  );
}
