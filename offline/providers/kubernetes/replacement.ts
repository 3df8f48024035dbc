/** Paths by kinds, whose changes the API server refuses for an object that is there (pulumi-kubernetes, forceNew). */
const immutable: Record<string, readonly string[]> = {
  "apps/DaemonSet": ["spec.selector"],
  "apps/Deployment": ["spec.selector"],
  "apps/StatefulSet": [
    ...["spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName"],
    "spec.volumeClaimTemplates",
  ],
  "batch/Job": ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
  "policy/PodDisruptionBudget": ["spec"],
  "rbac.authorization.k8s.io/ClusterRoleBinding": ["roleRef"],
  "rbac.authorization.k8s.io/RoleBinding": ["roleRef"],
  "storage.k8s.io/StorageClass": ["parameters", "provisioner"],
  "/PersistentVolumeClaim": ["spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"],
  // All but images, tolerations and the deadline can't change in a running pod.
  "/Pod": ["spec"],
  "/ResourceQuota": ["spec.scopes"],
  "/Secret": ["type"],
  "/Service": ["spec.clusterIP"],
};

const mutableInPods = ["spec.activeDeadlineSeconds", "spec.tolerations"];

export interface ReplacementOptions {
  configMapsMutable: boolean;
  secretsMutable: boolean;
}

/** Whether a change at a path of an object of that kind takes another object. */
export function takesReplacement(
  { apiVersion, kind, isImmutable }: { apiVersion: string; kind: string; isImmutable: boolean },
  changedPath: string,
  options: ReplacementOptions,
): boolean {
  const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
  const leads = (path: string): boolean =>
    changedPath === path || [".", "["].some((separator) => changedPath.startsWith(path + separator));
  // Not `apiVersion`: the same object under another version of its group stays the same object.
  const paths = ["kind", "metadata.name", "metadata.namespace", ...(immutable[`${group}/${kind}`] ?? [])];
  if (group === "" && kind === "ConfigMap" && (!options.configMapsMutable || isImmutable))
    paths.push("data", "binaryData");
  if (group === "" && kind === "Secret" && (!options.secretsMutable || isImmutable)) paths.push("data", "stringData");
  if (kind === "Pod" && mutableInPods.some(leads)) return false;
  if (changedPath === "metadata") return true;
  return paths.some(leads);
}
