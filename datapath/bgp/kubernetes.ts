import type { Datapath } from "../config/datapath.ts";

/** kube-router of the time of Cilium 1.13.4, which speaks to Kubernetes 1.26. */
const defaultImage = "docker.io/cloudnativelabs/kube-router:v1.5.4";

const name = "kube-router";
const namespace = "kube-system";
const labels = { "k8s-app": name };
/** What tells the lab's own kube-router, DaemonSet and pods, from somebody else's. */
export const kubeRouterLabels = { ...labels, "app.kubernetes.io/managed-by": "datapath-lab" };

type BgpDatapath = Extract<Datapath, { mode: "native" }> & {
  readonly routes: Extract<Extract<Datapath, { mode: "native" }>["routes"], { kind: "bgp" }>;
};

/** The datapath with its BGP routes, or nothing where its routes are not by BGP. */
export function bgpDatapath(datapath: Datapath): BgpDatapath | undefined {
  if (datapath.mode !== "native") return undefined;
  const { routes } = datapath;
  return routes.kind === "bgp" ? { ...datapath, routes } : undefined;
}

/**
 * Flags of a kube-router that carries routes and nothing else: policies, services and pods' addresses are Cilium's
 * (Cilium 1.13 documentation, "Using kube-router to run BGP"; kube-router's user guide).
 */
function kubeRouterFlags({ routes: { localASN, peer } }: BgpDatapath): string[] {
  return [
    "--run-router=true",
    "--run-firewall=false",
    "--run-service-proxy=false",
    "--enable-cni=false",
    // An overlay would carry pods inside IPIP, which is not what was asked for.
    "--enable-overlay=false",
    "--enable-pod-egress=false",
    "--enable-ibgp=true",
    "--nodes-full-mesh=true",
    "--advertise-pod-cidr=true",
    "--bgp-graceful-restart=true",
    `--cluster-asn=${localASN}`,
    ...(peer === undefined ? [] : [`--peer-router-ips=${peer.address}`, `--peer-router-asns=${peer.asn}`]),
  ];
}

/** kube-router as Kubernetes objects, in the order in which they are made. */
export function kubeRouter(datapath: BgpDatapath) {
  const { routes } = datapath;
  const image = (routes.speaker === "kube-router" ? routes.image : undefined) ?? defaultImage;
  const read = ["get", "list", "watch"];
  return {
    serviceAccount: { metadata: { name, namespace } },
    clusterRole: {
      metadata: { name },
      rules: [
        { apiGroups: [""], resources: ["namespaces", "pods", "services", "nodes", "endpoints"], verbs: read },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
        { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: read },
      ],
    },
    clusterRoleBinding: {
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
    daemonSet: {
      metadata: { name, namespace, labels: kubeRouterLabels },
      spec: {
        selector: { matchLabels: labels },
        // Every node loses its routes while its daemon is gone: one after another.
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
        template: {
          metadata: { labels: kubeRouterLabels },
          spec: {
            priorityClassName: "system-node-critical",
            serviceAccountName: name,
            hostNetwork: true,
            tolerations: [{ operator: "Exists" }],
            containers: [
              {
                name,
                image,
                args: kubeRouterFlags(datapath),
                env: [
                  { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
                  ...apiServer(datapath),
                ],
                livenessProbe: {
                  httpGet: { path: "/healthz", port: 20_244 },
                  initialDelaySeconds: 10,
                  periodSeconds: 3,
                },
                resources: { requests: { cpu: "50m", memory: "100Mi" } },
                securityContext: { privileged: true },
              },
            ],
          },
        },
      },
    },
  };
}

/** Without kube-proxy a pod on the host network reaches the API by the address that Cilium's agents are told as well. */
function apiServer({ kubeProxyReplacement }: BgpDatapath): { readonly name: string; readonly value: string }[] {
  if (!("k8sServiceHost" in kubeProxyReplacement)) return [];
  const { k8sServiceHost, k8sServicePort } = kubeProxyReplacement;
  return [
    { name: "KUBERNETES_SERVICE_HOST", value: k8sServiceHost },
    { name: "KUBERNETES_SERVICE_PORT", value: `${k8sServicePort}` },
  ];
}

/** What has to be established before a peering policy can be made; the operator registers it (Cilium 1.13.4). */
const peeringPolicyDefinition = "ciliumbgppeeringpolicies.cilium.io";

/**
 * The peering policy of Cilium's BGP control plane: every node announces its pod CIDR to the router. Nothing is returned where
 * another speaker, or nobody, carries the routes.
 */
export function peeringPolicy({ routes }: BgpDatapath) {
  if (routes.speaker !== "cilium") return undefined;
  return {
    apiVersion: "cilium.io/v2alpha1",
    kind: "CiliumBGPPeeringPolicy",
    metadata: { name: "datapath-lab" },
    spec: {
      nodeSelector: { matchLabels: { "kubernetes.io/os": "linux" } },
      virtualRouters: [
        {
          localASN: routes.localASN,
          exportPodCIDR: true,
          // The control plane takes a peer's address as a prefix.
          neighbors: [{ peerAddress: `${routes.peer.address}/32`, peerASN: routes.peer.asn }],
        },
      ],
    },
  };
}

/** CustomResourceDefinitions that a datapath's routes need: what the wait after Cilium's release is to wait for. */
export function bgpDefinitions(datapath: Datapath): string[] {
  return bgpDatapath(datapath)?.routes.speaker === "cilium" ? [peeringPolicyDefinition] : [];
}
