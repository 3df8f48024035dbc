import { KubernetesObjectApi, PatchStrategy, type KubeConfig, type KubernetesObject } from "@kubernetes/client-node";

/** What Cilium's chart, and its CLI by the same templates, call their objects (1.13.4 templates). */
const objects: readonly { apiVersion: string; kind: string; names: readonly string[]; namespaced: boolean }[] = [
  { apiVersion: "v1", kind: "ServiceAccount", names: ["cilium", "cilium-operator"], namespaced: true },
  { apiVersion: "v1", kind: "ConfigMap", names: ["cilium-config"], namespaced: true },
  { apiVersion: "v1", kind: "Secret", names: ["cilium-ca", "hubble-server-certs"], namespaced: true },
  { apiVersion: "v1", kind: "Service", names: ["hubble-peer"], namespaced: true },
  { apiVersion: "apps/v1", kind: "DaemonSet", names: ["cilium"], namespaced: true },
  { apiVersion: "apps/v1", kind: "Deployment", names: ["cilium-operator"], namespaced: true },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", names: ["cilium-config-agent"], namespaced: true },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", names: ["cilium-config-agent"], namespaced: true },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    names: ["cilium", "cilium-operator"],
    namespaced: false,
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    names: ["cilium", "cilium-operator"],
    namespaced: false,
  },
];

/**
 * Marks the objects of a Cilium that something else installed as a release's own, so that Helm takes them up in place and agents
 * run on until they are rolled out (Helm since 3.2: annotations and label below).
 * @returns one line for each object
 */
export async function adoptable(
  config: KubeConfig,
  { release, namespace }: { release: string; namespace: string },
): Promise<string[]> {
  const api = KubernetesObjectApi.makeApiClient(config);
  const wanted = objects.flatMap(({ apiVersion, kind, names, namespaced }) =>
    names.map((name) => ({ apiVersion, kind, metadata: { name, ...(namespaced ? { namespace } : {}) } })),
  );
  const lines: string[] = [];
  for (const object of wanted) {
    const body: KubernetesObject = {
      ...object,
      metadata: {
        ...object.metadata,
        labels: { "app.kubernetes.io/managed-by": "Helm" },
        annotations: { "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace },
      },
    };
    try {
      await api.patch(body, undefined, undefined, undefined, undefined, PatchStrategy.MergePatch);
      lines.push(`${object.kind} ${object.metadata.name} is the release's now`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return lines;
}

function isNotFound(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === 404;
}
