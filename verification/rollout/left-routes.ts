import { AppsV1Api, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { kubeRouterLabels } from "../../datapath/bgp/kubernetes.ts";
import { routesLeftOn, type RouteOwner } from "../../datapath/cilium/left-routes.ts";
import { apiNodes } from "../cluster/discover.ts";
import { labNamespace, roleLabel } from "../cluster/workload.ts";
import { execInPod } from "../exec-in-pod.ts";

const namespace = "kube-system";
const labelSelector = Object.entries(kubeRouterLabels)
  .map((pair) => pair.join("="))
  .join(",");

/**
 * Ends the lab's own kube-router, which would write its routes again. The engine deletes its DaemonSet as well, but after everything else.
 * @returns names of its pods that still run
 */
export async function endKubeRouter(config: KubeConfig): Promise<string[]> {
  const apps = config.makeApiClient(AppsV1Api);
  const { items } = await apps.listNamespacedDaemonSet({ namespace, labelSelector });
  for (const name of items.flatMap(({ metadata }) => metadata?.name ?? [])) {
    await apps.deleteNamespacedDaemonSet({ namespace, name });
  }
  const pods = await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace, labelSelector });
  return pods.items.flatMap(({ metadata }) => metadata?.name ?? []);
}

/**
 * Takes away routes to other nodes' pods that a datapath before left, by the lab's probes, where they stand.
 * @returns one line for each route
 */
export async function removeLeftRoutes(config: KubeConfig, owners: readonly RouteOwner[]): Promise<string[]> {
  if (owners.length === 0) return [];
  const { items } = await config
    .makeApiClient(CoreV1Api)
    .listNamespacedPod({ namespace: labNamespace, labelSelector: `${roleLabel}=probe` });
  const probes = items.flatMap(({ metadata, spec, status }) => {
    const [name, node] = [metadata?.name, spec?.nodeName];
    return name === undefined || node === undefined || status?.phase !== "Running" ? [] : [{ name, node }];
  });
  const peers = await apiNodes(config, new Set(probes.map(({ node }) => node)));
  const removed = await Promise.all(
    probes.map(async ({ name, node }) => {
      const routes = routesLeftOn({ name: node }, peers, owners);
      const printed = await execInPod(
        config,
        { namespace: labNamespace, name, container: "probe" },
        ["sh", "-c", script, "left-routes", ...routes],
        { signal: AbortSignal.timeout(20_000) },
      );
      return printed
        .split("\n")
        .filter((line) => line !== "")
        .map((route) => `${node}: its route ${route} was of the datapath before and is taken away`);
    }),
  );
  return removed.flat();
}

/** Each argument is a route. One that is not there is what is wanted. */
const script = 'for route in "$@"; do if ip route delete $route 2>/dev/null; then echo "$route"; fi; done';
