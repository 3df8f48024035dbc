import * as command from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import type { Cluster } from "../datapath/config/cluster.ts";
import type { Datapath } from "../datapath/config/datapath.ts";
import type { K3sConfig } from "../datapath/config/k3s.ts";
import { inheritedSettings, k3sConfigText, k3sNodes, k3sSettings, type K3sNode } from "../datapath/k3s/k3s-config.ts";
import { labKubeconfig } from "../datapath/k3s/k3s-kubeconfig.ts";
import { checksumOf, expandHome } from "./local-file.ts";
import { refusal } from "./refusal.ts";
import type { Machine } from "./machines/machine.ts";
import { remoteJob, type RemoteWork } from "./remote-job.ts";

export interface K3sArgs {
  /** The first is the first server. */
  readonly machines: readonly Machine[];
  /** What K3s leaves to Cilium follows from it. */
  readonly datapath: Datapath;
  readonly cluster: Cluster;
  readonly k3s: K3sConfig;
  /** Whether the machines go with the lab: nothing is taken off them then. */
  readonly ownsMachines: boolean;
}

const tokenLength = 48;

/** A machine with the part that it plays. */
interface Member {
  readonly machine: Machine;
  readonly node: K3sNode;
}

/**
 * The machines as one K3s cluster without a CNI: nodes are registered and not Ready until somebody brings one, whose affair it is to
 * wait for that (components/cilium.ts). Servers start one
 * after another, agents side by side; another release goes from node to node.
 */
export class K3s extends pulumi.ComponentResource {
  /** Text, secret: cluster and context are PROJECT-STACK. */
  public readonly kubeconfig: pulumi.Output<string>;
  public readonly context: string;
  /** Of the cluster; stands at preview too, when there is no cluster yet. */
  public readonly provider: kubernetes.Provider;
  /** Changes when a machine was made anew. */
  public readonly makings: string;
  /** Stands when every node is registered. */
  public readonly ready: pulumi.Resource;

  constructor(name: string, args: K3sArgs, opts?: pulumi.ComponentResourceOptions) {
    const { machines, k3s } = args;
    const nodes = k3sNodes(machines, k3s.servers);
    super(
      "datapath-lab:index:K3s",
      name,
      { version: k3s.version, nodes: Object.fromEntries(nodes.map((node) => [node.name, node.role])) },
      opts,
    );
    const members = nodes.map((node, index) => ({ node, machine: elementAt(machines, index) }));
    const [first, ...others] = members;
    if (first === undefined) throw new Error("a cluster needs a machine");
    this.context = `${pulumi.getProject()}-${pulumi.getStack()}`;
    this.makings = machines.map(({ incarnation }) => incarnation).join(" ");

    const token = new RandomPassword(`${name}-token`, { length: tokenLength, special: false }, { parent: this });
    const input = { ...args, firstServerAddress: first.node.address };
    const files = k3s.source.kind === "files" ? this.#localFiles(k3s.source) : [];
    const imagesSha256 = files.find(({ kind }) => kind === "images")?.sha256 ?? "";
    const brought = this.#bringBinaries(args, files);
    /** Gives a node the release that is asked for, where another one runs. */
    const upgrade = ({ node, machine }: Member, after: readonly pulumi.Resource[]): pulumi.Resource =>
      this.#run(`${node.name}-upgrade`, machine, {
        jobs: { up: ["k3s/upgrade"] },
        variables: { LAB_ROLE: node.role, LAB_VERSION: k3s.version, LAB_LIMIT_SECONDS: `${k3s.startLimitSeconds}` },
        limitSeconds: 4 * k3s.startLimitSeconds,
        dependsOn: after,
      });
    const configure = ({ node, machine }: Member, after: readonly pulumi.Resource[]): pulumi.Resource =>
      this.#run(`${node.name}-k3s`, machine, {
        jobs: { up: ["k3s/configure"] },
        variables: {
          LAB_ROLE: node.role,
          LAB_VERSION: k3s.version,
          LAB_CONFIG: k3sConfigText(k3sSettings(node, input)),
          LAB_INHERITED: k3sConfigText(inheritedSettings(node, input)),
          LAB_CLUSTER: first.machine.incarnation,
          LAB_IMAGES_SHA256: imagesSha256,
          LAB_LIMIT_SECONDS: `${k3s.startLimitSeconds}`,
          LAB_TOKEN: pulumi.secret(token.result),
        },
        limitSeconds: 4 * k3s.startLimitSeconds,
        dependsOn: after,
      });

    // No node changes before all of them have what they change to.
    const server = configure(first, [upgrade(first, brought)]);
    const forgotten = this.#run("known-nodes", first.machine, {
      jobs: { up: ["k3s/forget-nodes"] },
      variables: {
        LAB_NODES: members.map(({ node, machine }) => `${node.name} ${machine.incarnation}`).join("\n"),
        LAB_LIMIT_SECONDS: `${k3s.startLimitSeconds}`,
      },
      limitSeconds: k3s.startLimitSeconds + 60 * members.length,
      dependsOn: [server],
    });
    const configured = new Map<Member, pulumi.Resource>([[first, server]]);
    let last: readonly pulumi.Resource[] = [forgotten];
    for (const member of others.filter(({ node }) => node.role === "server")) {
      const made = configure(member, [upgrade(member, last)]);
      configured.set(member, made);
      last = [made];
    }
    const agents = others.filter(({ node }) => node.role === "agent");
    for (const member of agents) last = [upgrade(member, last)];
    for (const member of agents) configured.set(member, configure(member, last));

    const registered = members.map(({ node, machine }) =>
      this.#run(`${node.name}-member`, first.machine, {
        jobs: { up: ["k3s/wait-for-nodes"], down: ["k3s/remove-node"] },
        variables: {
          LAB_NODES: node.name,
          LAB_GONE: node.name,
          LAB_MAKING: machine.incarnation,
          LAB_LIMIT_SECONDS: `${k3s.nodeLimitSeconds}`,
          LAB_DRAIN_LIMIT_SECONDS: `${k3s.drainLimitSeconds}`,
        },
        limitSeconds: Math.max(k3s.nodeLimitSeconds, k3s.drainLimitSeconds),
        dependsOn: [...configured.values(), ...(machine.made === undefined ? [] : [machine.made])],
        // Where the whole cluster goes, no node has to leave it.
        deletedWith: server,
      }),
    );
    const kubeconfig = this.#run("kubeconfig", first.machine, {
      jobs: { up: ["k3s/print-kubeconfig"] },
      variables: { LAB_CLUSTER: first.machine.incarnation },
      limitSeconds: 60,
      dependsOn: registered,
      printsSecret: true,
    });
    this.ready = kubeconfig;
    this.kubeconfig = pulumi
      .secret(kubeconfig.stdout)
      .apply((text) => labKubeconfig(text, k3s.apiAddress ?? first.node.reachedBy, this.context));
    this.provider = new kubernetes.Provider(
      `${name}-api`,
      {
        kubeconfig: this.kubeconfig,
        // Another address or another certificate is no other cluster; a first server made anew has an empty one.
        clusterIdentifier: [pulumi.getProject(), pulumi.getStack(), first.machine.made && first.machine.incarnation]
          .filter((part) => part !== undefined)
          .join("/"),
        // What an update made that was killed before it could note it.
        upsertExistingObjects: true,
      },
      { parent: this },
    );
    this.registerOutputs({});
  }

  /** Looks what is on each machine already, and brings K3s there; nothing runs of it yet. */
  #bringBinaries({ machines, datapath, k3s, ownsMachines }: K3sArgs, files: readonly CopiedFile[]): pulumi.Resource[] {
    const { source, version } = k3s;
    return machines.map((machine) => {
      const copies = files.map(
        ({ kind, path, name }) =>
          new command.remote.CopyToRemote(
            `${machine.name}-${kind}`,
            {
              connection: machine.connection,
              source: new pulumi.asset.FileAsset(path),
              remotePath: name,
              triggers: [machine.incarnation],
            },
            { parent: this, dependsOn: machine.ready },
          ),
      );
      const nameOf = (kind: CopiedFile["kind"]): string => files.find((file) => file.kind === kind)?.name ?? "";
      return this.#run(`${machine.name}-install`, machine, {
        jobs: {
          up: ["k3s/check-leftovers", "k3s/bring-binary"],
          ...(ownsMachines ? {} : { down: ["k3s/uninstall"] }),
        },
        variables: {
          LAB_ID: `${pulumi.getProject()}/${pulumi.getStack()}`,
          LAB_CLEAN: `${k3s.clean}`,
          LAB_POD_CIDRS: [
            datapath.ipam.clusterPoolIPv4PodCIDR,
            ...(datapath.ipv6.enabled ? [datapath.ipam.clusterPoolIPv6PodCIDR] : []),
          ].join(" "),
          LAB_VERSION: version,
          LAB_SHA256: source.sha256 ?? files.find(({ kind }) => kind === "binary")?.sha256 ?? "",
          LAB_URLS: source.kind === "releases" ? source.urls.join("\n") : "",
          LAB_FILE: nameOf("binary"),
          LAB_IMAGES: nameOf("images"),
          LAB_IMAGES_SHA256: files.find(({ kind }) => kind === "images")?.sha256 ?? "",
          LAB_LIMIT_SECONDS: `${k3s.downloadLimitSeconds}`,
        },
        limitSeconds: k3s.downloadLimitSeconds,
        dependsOn: [machine.ready, ...copies],
      });
    });
  }

  /** What is copied to every machine. Throws a refusal where a file can't be read, or is not the one that was pinned. */
  #localFiles({ binary, images, sha256 }: Extract<K3sConfig["source"], { kind: "files" }>): CopiedFile[] {
    const found = checksumOf(binary, "k3s.source.binary");
    if (sha256 !== undefined && sha256 !== found) {
      throw refusal(
        new Error(`k3s.source.binary: ${binary} has sha256 ${found}, and k3s.source.sha256 asks for ${sha256}.`),
      );
    }
    const copied: CopiedFile[] = [
      { kind: "binary", path: expandHome(binary), name: "datapath-lab-k3s-binary", sha256: found },
    ];
    if (images !== undefined) {
      const ending = /\.tar(\.gz|\.zst)?$/.exec(images)?.[0] ?? "";
      copied.push({
        kind: "images",
        path: expandHome(images),
        name: `datapath-lab-k3s-images${ending}`,
        sha256: checksumOf(images, "k3s.source.images"),
      });
    }
    return copied;
  }

  #run(name: string, machine: Machine, work: RemoteWork): command.remote.Command {
    return remoteJob(name, machine, work, this);
  }
}

/** A file of the machine that runs Pulumi, and its name in the login user's home folder on the others. */
interface CopiedFile {
  readonly kind: "binary" | "images";
  readonly path: string;
  readonly name: string;
  readonly sha256: string;
}

function elementAt<Value>(values: readonly Value[], index: number): Value {
  const value = values[index];
  if (value === undefined) throw new RangeError(`there is no element ${index}`);
  return value;
}
