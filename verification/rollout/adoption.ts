import { KubernetesObjectApi, PatchStrategy, type KubeConfig } from "@kubernetes/client-node";

/** Kinds of which Cilium's chart, and its CLI by the same templates, makes objects (1.13.4 templates). */
const kinds: readonly { apiVersion: string; kind: string; namespaced: boolean }[] = [
  { apiVersion: "v1", kind: "ServiceAccount", namespaced: true },
  { apiVersion: "v1", kind: "ConfigMap", namespaced: true },
  { apiVersion: "v1", kind: "Secret", namespaced: true },
  { apiVersion: "v1", kind: "Service", namespaced: true },
  { apiVersion: "apps/v1", kind: "DaemonSet", namespaced: true },
  { apiVersion: "apps/v1", kind: "Deployment", namespaced: true },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", namespaced: true },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", namespaced: true },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", namespaced: false },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", namespaced: false },
];

/** How the names of all of them begin. */
const names = /^(cilium|hubble)(-|$)/;

/**
 * Marks the objects of a Cilium that something else installed as a release's own, so that Helm takes them up in place and agents
 * run on until they are rolled out (Helm since 3.2: annotations and label below). An object that the chart does not have is
 * left as it is: the marks alone do nothing.
 * @returns one line for each object
 */
export async function adoptable(
  config: KubeConfig,
  { release, namespace }: { release: string; namespace: string },
): Promise<string[]> {
  const api = KubernetesObjectApi.makeApiClient(config);
  const lines: string[] = [];
  for (const { apiVersion, kind, namespaced } of kinds) {
    const { items } = await api.list(apiVersion, kind, namespaced ? namespace : undefined);
    for (const name of items.flatMap(({ metadata }) => metadata?.name ?? []).filter((found) => names.test(found))) {
      const body = {
        apiVersion,
        kind,
        metadata: {
          name,
          ...(namespaced ? { namespace } : {}),
          labels: { "app.kubernetes.io/managed-by": "Helm" },
          annotations: { "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace },
        },
      };
      await api.patch(body, undefined, undefined, undefined, undefined, PatchStrategy.MergePatch);
      lines.push(`${kind} ${name} can be the release's now`);
    }
  }
  return lines;
}
