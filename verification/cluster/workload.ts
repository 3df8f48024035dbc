import type { Images } from "../../datapath/config/images.ts";
import { labPodLabel } from "../rollout/spec.ts";

/** Namespace of the pods that stand in a stack's cluster. */
export const labNamespace = "datapath-lab";

/** What a pod is for: `probe` looks at its node's network, the others are two pods of a node on the pod network. */
export const podRoles = ["probe", "workload", "neighbour"] as const;
export type PodRole = (typeof podRoles)[number];

/** Label that says which of them a pod is; the DaemonSets have the same names. */
export const roleLabel = "app.kubernetes.io/component";

interface Container {
  name: string;
  image: string;
  imagePullPolicy: string;
  command: string[];
  securityContext: { allowPrivilegeEscalation: boolean; capabilities: { add: string[]; drop: string[] } };
}

/** A DaemonSet, as the API and Pulumi's Kubernetes provider take it. */
export interface RenderedDaemonSet {
  metadata: { name: PodRole; namespace: string; labels: Record<string, string> };
  spec: {
    selector: { matchLabels: Record<string, string> };
    updateStrategy: { type: string; rollingUpdate: { maxUnavailable: string } };
    template: {
      metadata: { labels: Record<string, string> };
      spec: {
        hostNetwork: boolean;
        automountServiceAccountToken: boolean;
        enableServiceLinks: boolean;
        terminationGracePeriodSeconds: number;
        nodeSelector: Record<string, string>;
        tolerations: { key?: string; operator: string }[];
        containers: Container[];
      };
    };
  };
}

/** Everything that is made in a cluster to prove and measure its datapath. */
export interface RenderedWorkload {
  namespace: { metadata: { name: string; labels: Record<string, string> } };
  daemonSets: RenderedDaemonSet[];
}

/** Waits for ever as process 1, reaps what is left to it, and ends at once when told to. */
const idle = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done";

/** tcpdump sets its user, if only to the one it has. */
const probeCapabilities = ["NET_ADMIN", "NET_RAW", "SETUID", "SETGID"];

/** Taints of nodes that run agents and pods like every other, but for ordinary ones. */
const controlPlaneTaints = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/**
 * A namespace and its DaemonSets: `probe` on the host network, and two pods a node on the pod network. The latter carry
 * `datapath-lab/workload`, by which a roll-out knows the pods that it makes anew.
 * @param owner who removes it: a stack, or one call of `verify`
 */
export function renderWorkload(
  images: Images,
  { namespace, owner }: { namespace: string; owner: string },
): RenderedWorkload {
  const common = {
    "app.kubernetes.io/name": "datapath-lab",
    "app.kubernetes.io/managed-by": owner,
  };
  return {
    namespace: {
      metadata: {
        name: namespace,
        labels: {
          ...common,
          // The probe's host network and capabilities are above the baseline (Pod Security Admission).
          "pod-security.kubernetes.io/enforce": "privileged",
        },
      },
    },
    daemonSets: podRoles.map((role) => daemonSet(role, images, namespace, common)),
  };
}

function daemonSet(
  role: PodRole,
  images: Images,
  namespace: string,
  common: Readonly<Record<string, string>>,
): RenderedDaemonSet {
  const isProbe = role === "probe";
  const selector = { "app.kubernetes.io/name": "datapath-lab", [roleLabel]: role };
  const labels = { ...common, ...selector, ...(isProbe ? {} : { [labPodLabel]: role }) };
  return {
    metadata: { name: role, namespace, labels },
    spec: {
      selector: { matchLabels: selector },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "100%" } },
      template: {
        metadata: { labels },
        spec: {
          hostNetwork: isProbe,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 1,
          nodeSelector: { "kubernetes.io/os": "linux" },
          // The probe needs no pod network: it may look at a node whose agent is not ready (node.cilium.io/agent-not-ready),
          // where any other pod would wait for one.
          tolerations: isProbe
            ? [{ operator: "Exists" }]
            : controlPlaneTaints.map((key) => ({ key, operator: "Exists" })),
          containers: [
            {
              name: role,
              image: isProbe ? images.probe : images.workload,
              // On a machine without a registry the image is there from an archive.
              imagePullPolicy: "IfNotPresent",
              command: ["sh", "-c", idle],
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: { add: isProbe ? probeCapabilities : ["NET_RAW"], drop: ["ALL"] },
              },
            },
          ],
        },
      },
    },
  };
}
