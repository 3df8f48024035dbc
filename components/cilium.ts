import { createHash } from "node:crypto";
import * as command from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { agentImage } from "../datapath/cilium/agent-image.ts";
import type { Cilium as CiliumConfig } from "../datapath/config/cilium.ts";
import type { Datapath } from "../datapath/config/datapath.ts";
import { releaseValues } from "../datapath/cilium/helm-values.ts";
import { leftRoutes } from "../datapath/cilium/left-routes.ts";
import { podAddresses } from "../datapath/cilium/pod-addresses.ts";
import { datapathTitle } from "../datapath/plan/plan.ts";
import { rolloutResult, type RolloutResult, type RolloutSpec } from "../verification/rollout/spec.ts";
import type { ClusterAddress } from "../verification/client-config.ts";
import { refuseOtherChart } from "./chart-archive.ts";
import { nodeAsPerson } from "./scripts.ts";

export interface CiliumArgs {
  readonly datapath: Datapath;
  readonly cilium: CiliumConfig;
  /** How many nodes the cluster has: there are no more operators than that. Not known of a cluster that stands already. */
  readonly nodeCount?: number;
  /** Text, for the waiting program; it stays secret. */
  readonly kubeconfig: pulumi.Input<string>;
  readonly context?: string | undefined;
  /** Names of CustomResourceDefinitions that something after Cilium needs. */
  readonly definitions?: readonly string[];
  /** Which machines the nodes are: one made anew has no agent yet. Not known of a cluster that stands already. */
  readonly makings?: string | undefined;
}

/**
 * Cilium as a Helm release of a cluster, and the wait until each agent runs with its configuration. With `manage: false` the wait
 * alone.
 */
export class Cilium extends pulumi.ComponentResource {
  public readonly release: kubernetes.helm.v3.Release | undefined;
  /** Which agents run, and which pods were made anew. */
  public readonly rollout: pulumi.Output<RolloutResult>;

  constructor(name: string, args: CiliumArgs, opts?: pulumi.ComponentResourceOptions) {
    const { datapath, cilium, nodeCount, definitions = [] } = args;
    super("datapath-lab:index:Cilium", name, { datapath, cilium }, opts);
    const values = releaseValues(datapath, cilium, nodeCount);
    const replace = cilium.strategy === "replace";
    if (cilium.manage) {
      const { repository, version, archive } = cilium.chart;
      if (archive !== undefined) refuseOtherChart(archive);
      const kubeconfig = pulumi.output(args.kubeconfig);
      const { adopt, releaseTimeoutSeconds, rolloutTimeoutSeconds } = cilium;
      const cluster = async (): Promise<ClusterAddress & { log: (line: string) => void }> => ({
        kubeconfig: await new Promise<string>((resolve) => {
          kubeconfig.apply(resolve);
        }),
        context: args.context,
        log: (line) => void pulumi.log.info(line, this),
      });
      const clean = replace ? { image: agentImage(values), limitSeconds: rolloutTimeoutSeconds } : undefined;
      const addresses = podAddresses(datapath);
      // Loaded where it is called: a client of Kubernetes' API takes longer to load than all of the program, at every preview.
      const preparation = () => import("../verification/rollout/release.ts");
      const beforeCreate = async (): Promise<void> =>
        (await preparation()).prepareInstall({
          ...(await cluster()),
          addresses,
          adopt,
          ...(clean === undefined ? {} : { clean }),
        });
      const beforeUpdate = async (): Promise<void> =>
        (await preparation()).prepareUpgrade({
          ...(await cluster()),
          addresses,
          limitSeconds: releaseTimeoutSeconds + rolloutTimeoutSeconds,
        });
      this.release = new kubernetes.helm.v3.Release(
        `${name}-release`,
        {
          name: "cilium",
          namespace: "kube-system",
          ...(archive === undefined
            ? { chart: "cilium", version, repositoryOpts: { repo: repository } }
            : { chart: archive }),
          values,
          timeout: releaseTimeoutSeconds,
          // Helm would wait in silence for agents that can't start; the roll-out below says which and why.
          skipAwait: true,
        },
        {
          parent: this,
          hooks: { beforeCreate: [beforeCreate], beforeUpdate: [beforeUpdate] },
          ...(replace ? { replaceOnChanges: ["values"], deleteBeforeReplace: true } : {}),
        },
      );
    }
    const spec: Omit<RolloutSpec, "kubeconfig"> = {
      ...(args.context === undefined ? {} : { context: args.context }),
      // What hung on a Cilium that was uninstalled has no network.
      restartPods: replace ? "all" : cilium.restartPods,
      limitSeconds: cilium.rolloutTimeoutSeconds,
      definitions: [...definitions],
      replaced: replace,
      ...(cilium.manage ? { restartAgents: cilium.rollOut } : {}),
      leftRoutes: cilium.manage ? leftRoutes(datapath) : [],
    };
    const wait = new command.local.Command(
      `${name}-rollout`,
      {
        create: nodeAsPerson("verification/rollout/main.ts"),
        stdin: pulumi.secret(
          pulumi.output(args.kubeconfig).apply((kubeconfig) => JSON.stringify({ ...spec, kubeconfig })),
        ),
        // Not read by the program: changed values are what makes the engine run it again.
        environment: {
          LAB_DATAPATH: datapathTitle(datapath),
          LAB_VALUES: createHash("sha256").update(JSON.stringify(values)).digest("hex").slice(0, 16),
          ...(args.makings === undefined ? {} : { LAB_MAKINGS: args.makings }),
          // A wait that failed leaves the values of the one before in the state: going back to those would wait for nothing.
          ...(this.release === undefined
            ? {}
            : { LAB_REVISION: this.release.status.revision.apply((revision) => String(revision)) }),
        },
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        hideDiffs: ["stdin"],
        ...(this.release === undefined ? {} : { dependsOn: this.release }),
        // Every replacement is a first revision: going back after one that failed would wait for nothing.
        ...(replace && this.release !== undefined ? { replaceWith: [this.release] } : {}),
      },
    );
    this.rollout = pulumi.unsecret(wait.stdout).apply((json) => rolloutResult.parse(JSON.parse(json)));
    this.registerOutputs({});
  }
}
