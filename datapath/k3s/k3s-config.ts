import { stringify } from "yaml";
import type { Cluster } from "../config/cluster.ts";
import type { Datapath } from "../config/datapath.ts";
import type { K3sConfig, K3sSetting } from "../config/k3s.ts";

/** What a machine is in the cluster. The first server makes the cluster, all others join it there. */
export type K3sRole = "first-server" | "server" | "agent";

export interface K3sNode {
  /** The node's name in the cluster. */
  readonly name: string;
  /** IPv4 address by which the nodes reach each other. */
  readonly address: string;
  /** Address or name by which it is reached from elsewhere. */
  readonly reachedBy: string;
  readonly role: K3sRole;
}

/** Config of K3s, as far as its file follows from it. */
export type K3sFileConfig = Pick<K3sConfig, "servers" | "disable" | "tlsSans" | "apiAddress" | "settings">;

/** Everything that a node's config file follows from. */
export interface K3sConfigInput {
  readonly datapath: Datapath;
  readonly cluster: Cluster;
  readonly k3s: K3sFileConfig;
  /** The address of the first server. */
  readonly firstServerAddress: string;
}

/** Port of the API and of the supervisor, which is the same (K3s v1.26.6 pkg/cli/cmds/server.go: https-listen-port). */
export const k3sApiPort = 6443;

/** Where the token's file lies on every node. */
const k3sTokenFile = "/etc/rancher/k3s/token";

/** Kept from a node until Cilium's agent, which takes it away, runs there (1.13.4 Documentation, Taint Effects). */
const agentNotReadyTaint = "node.cilium.io/agent-not-ready=true:NoExecute";

/** Prefix length of a node's pod CIDR where the controller manager is told nothing (kube-controller-manager 1.26). */
const defaultNodeMaskSize = 24;

/** Who decides a setting, in the words of the stack's config. */
export type SettingOwner = "machines" | "cluster" | "datapath" | "k3s" | "k3s.settings";

export type K3sSettings = Readonly<Record<string, K3sSetting>>;

/** Names and addresses under which a server's API is reached. */
function apiNames(node: K3sNode, { tlsSans, apiAddress }: K3sFileConfig): string[] {
  const asked = apiAddress === undefined ? [] : [apiAddress.replace(/:.*/, "")];
  return [...new Set([node.address, node.reachedBy, node.name, ...tlsSans, ...asked])];
}

/** What each part of the config says of a node's file. */
export function k3sSettingsByOwner(node: K3sNode, input: K3sConfigInput): Readonly<Record<SettingOwner, K3sSettings>> {
  const { datapath, cluster, k3s, firstServerAddress } = input;
  const isServer = node.role !== "agent";
  const { clusterPoolIPv4PodCIDR, clusterPoolIPv4MaskSize } = datapath.ipam;
  return {
    machines: {
      "node-name": node.name,
      "node-ip": node.address,
      ...(node.role === "first-server" ? {} : { server: `https://${firstServerAddress}:${k3sApiPort}` }),
      ...(isServer ? { "tls-san": apiNames(node, k3s) } : {}),
    },
    cluster: isServer
      ? {
          "service-cidr": cluster.serviceCIDR,
          "cluster-dns": cluster.clusterDNS,
          "cluster-domain": cluster.clusterDomain,
        }
      : {},
    datapath: {
      ...(isServer
        ? {
            "flannel-backend": "none",
            "disable-network-policy": true,
            "cluster-cidr": clusterPoolIPv4PodCIDR,
            ...(datapath.kubeProxyReplacement.mode === "strict" ? { "disable-kube-proxy": true } : {}),
            ...(clusterPoolIPv4MaskSize === defaultNodeMaskSize
              ? {}
              : { "kube-controller-manager-arg": [`node-cidr-mask-size=${clusterPoolIPv4MaskSize}`] }),
          }
        : {}),
      "node-taint": [agentNotReadyTaint],
    },
    k3s: {
      "token-file": k3sTokenFile,
      ...(isServer ? { disable: [...new Set(k3s.disable)].sort(), "write-kubeconfig-mode": "0600" } : {}),
      ...(node.role === "first-server" && k3s.servers > 1 ? { "cluster-init": true } : {}),
    },
    "k3s.settings": isServer ? k3s.settings.server : k3s.settings.agent,
  };
}

/**
 * The settings of one node's /etc/rancher/k3s/config.yaml, in alphabetical order.
 * @throws an error where two parts of the config set the same key; the rules refuse such a config before
 */
export function k3sSettings(node: K3sNode, input: K3sConfigInput): K3sSettings {
  const owners = new Map<string, string>();
  const settings: [string, K3sSetting][] = [];
  for (const [owner, part] of Object.entries(k3sSettingsByOwner(node, input))) {
    for (const [key, value] of Object.entries(part)) {
      const other = owners.get(key);
      if (other !== undefined) throw new Error(`K3s's ${key} is set by ${other} and by ${owner}: it has one owner.`);
      owners.set(key, owner);
      settings.push([key, value]);
    }
  }
  return Object.fromEntries(settings.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Settings that an agent takes from its server, once, when it starts (K3s v1.26.6 pkg/agent/config/config.go; pkg/daemons/agent). */
const inherited = [
  "cluster-cidr",
  "service-cidr",
  "cluster-dns",
  "cluster-domain",
  "disable-kube-proxy",
  "flannel-backend",
];

/** What an agent runs with though its own file does not say so: a change of it is a reason to start again. */
export function inheritedSettings(node: K3sNode, input: K3sConfigInput): K3sSettings {
  if (node.role !== "agent") return {};
  const server = k3sSettings({ ...node, role: "first-server" }, input);
  return Object.fromEntries(Object.entries(server).filter(([key]) => inherited.includes(key)));
}

/**
 * The text of a node's config file. Every string is quoted: K3s reads YAML 1.1, in which on, 0600 and 1:30 are none.
 */
export function k3sConfigText(settings: K3sSettings): string {
  return stringify(settings, {
    version: "1.1",
    lineWidth: 0,
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
    aliasDuplicateObjects: false,
  });
}

/** The parts that machines play: the first ones are servers, all others agents. */
export function k3sNodes(
  machines: readonly Pick<K3sNode, "name" | "address" | "reachedBy">[],
  servers: number,
): K3sNode[] {
  return machines.map(({ name, address, reachedBy }, index) => ({
    name,
    address,
    reachedBy,
    role: index === 0 ? "first-server" : index < servers ? "server" : "agent",
  }));
}

/** Settings that parts of the stack's config decide, each with the key that does. `k3s.settings` can't set them again. */
export const settingOwners: Readonly<Record<string, string>> = {
  "node-name": "machines",
  "node-ip": "machines",
  "advertise-address": "machines",
  server: "machines",
  "tls-san": "k3s.tlsSans",
  "service-cidr": "cluster.serviceCIDR",
  "cluster-dns": "cluster.clusterDNS",
  "cluster-domain": "cluster.clusterDomain",
  "cluster-cidr": "datapath.ipam.clusterPoolIPv4PodCIDR",
  "kube-controller-manager-arg": "datapath.ipam.clusterPoolIPv4MaskSize",
  "disable-kube-proxy": "datapath.kubeProxyReplacement",
  "flannel-backend": "datapath",
  "disable-network-policy": "datapath",
  "node-taint": "datapath",
  disable: "k3s.disable",
  "cluster-init": "k3s.servers",
  "token-file": "k3s",
  "write-kubeconfig-mode": "k3s",
  // Never set, and never to be: secrets in the clear, and what the scripts on the machines rely on.
  token: "k3s",
  "agent-token": "k3s",
  "agent-token-file": "k3s",
  "write-kubeconfig": "k3s",
  "data-dir": "k3s",
  "https-listen-port": "k3s",
  "cluster-reset": "k3s",
  log: "k3s",
};

/** Flags that an agent knows; it ends on any other (K3s v1.26 pkg/cli/cmds/agent.go). */
export const agentSettings: readonly string[] = [
  ...["airgap-extra-registry", "alsologtostderr", "container-runtime-endpoint", "debug", "docker"],
  ...["flannel-cni-conf", "flannel-conf", "flannel-iface", "image-credential-provider-bin-dir"],
  ...["image-credential-provider-config", "kube-proxy-arg", "kubelet-arg", "lb-server-port", "node-external-ip"],
  ...["node-label", "pause-image", "prefer-bundled-bin", "private-registry", "protect-kernel-defaults"],
  ...["resolv-conf", "selinux", "snapshotter", "v", "vmodule"],
];

/** Flags that a server knows beside those of agents; it leaves out any other, with a line in its log (K3s v1.26.6 pkg/cli/cmds/server.go). */
const serverOnlySettings: readonly string[] = [
  ...["advertise-port", "bind-address", "cluster-reset-restore-path", "datastore-cafile", "datastore-certfile"],
  ...["datastore-endpoint", "datastore-keyfile", "default-local-storage-path", "disable-agent", "disable-apiserver"],
  ...["disable-cloud-controller", "disable-controller-manager", "disable-etcd", "disable-helm-controller"],
  ...["disable-scheduler", "egress-selector-mode", "enable-pprof", "etcd-arg", "etcd-disable-snapshots"],
  ...["etcd-expose-metrics", "etcd-s3", "etcd-s3-access-key", "etcd-s3-bucket", "etcd-s3-endpoint"],
  ...["etcd-s3-endpoint-ca", "etcd-s3-folder", "etcd-s3-insecure", "etcd-s3-region", "etcd-s3-secret-key"],
  ...["etcd-s3-skip-ssl-verify", "etcd-s3-timeout", "etcd-snapshot-compress", "etcd-snapshot-dir"],
  ...["etcd-snapshot-name", "etcd-snapshot-retention", "etcd-snapshot-schedule-cron", "flannel-external-ip"],
  ...["flannel-ipv6-masq", "kube-apiserver-arg", "kube-cloud-controller-manager-arg", "kube-scheduler-arg"],
  ...["multi-cluster-cidr", "rootless", "secrets-encryption", "service-node-port-range", "servicelb-namespace"],
  ...["system-default-registry"],
];

/** Flags that a server knows, but for those that have an owner. */
export const serverSettings: readonly string[] = [...agentSettings, ...serverOnlySettings];
