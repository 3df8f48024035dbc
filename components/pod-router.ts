import * as pulumi from "@pulumi/pulumi";
import { routerBird } from "../datapath/bgp/bird.ts";
import type { Datapath } from "../datapath/config/datapath.ts";
import type { PodCidrs } from "../verification/pod-cidrs/spec.ts";
import type { Machine } from "./machines/machine.ts";
import { remoteJob } from "./remote-job.ts";

export interface PodRouterArgs {
  /** Absent where the datapath needs none. */
  readonly router?: Machine | undefined;
  readonly nodes: readonly Machine[];
  readonly datapath: Datapath;
  /** Each node's pod CIDR, by its name; asked where no daemon tells the router. */
  readonly podCidrs: () => pulumi.Input<PodCidrs>;
}

/** Sessions come up within seconds of both daemons; BIRD may have to be brought before that. */
const bgpLimitSeconds = 120;
const routesLimitSeconds = 30;

/**
 * The lab's own router between pods: it learns the pod CIDRs, by BGP or from here, and nodes that don't route themselves send to it
 * whatever goes to another node's pods. Without a router it is what takes the nodes' way to an earlier one away: the engine deletes what a
 * program has no more only after everything else, so after the proof, which would find that way still there.
 */
export class PodRouter extends pulumi.ComponentResource {
  /** What the router forwards by, as it said; changes with it. Empty where there is none. */
  public readonly routes: pulumi.Output<string>;

  constructor(name: string, args: PodRouterArgs, opts?: pulumi.ComponentResourceOptions) {
    const { router, nodes, datapath } = args;
    super("datapath-lab:index:PodRouter", name, { address: router?.address }, opts);
    const routes = datapath.mode === "native" ? datapath.routes : undefined;
    const pool = datapath.ipam.clusterPoolIPv4PodCIDR;
    // kube-router has the nodes route among themselves, and tells the router besides.
    const next =
      routes?.kind === "router" || (routes?.kind === "bgp" && routes.speaker === "cilium") ? router : undefined;
    const sent = nodes.map((node) =>
      remoteJob(
        `${node.name}-routes`,
        node,
        {
          jobs: {
            up: [next === undefined ? "machine/no-static-routes" : "machine/static-routes"],
            down: ["machine/no-static-routes"],
          },
          variables: next === undefined ? {} : { LAB_ROUTES: `${pool} ${next.address}` },
          limitSeconds: routesLimitSeconds,
          dependsOn: [node.ready],
          ...(node.made === undefined ? {} : { deletedWith: node.made }),
        },
        this,
      ),
    );
    if (router === undefined) {
      this.routes = pulumi.output("");
      this.registerOutputs({});
      return;
    }
    if (routes === undefined || routes.kind === "direct") {
      throw new Error("a router between pods has nothing to do with this datapath");
    }
    const forwards = {
      dependsOn: [router.ready, ...sent],
      ...(router.made === undefined ? {} : { deletedWith: router.made }),
    };
    // Without it a pod that is known no more would be sent on to wherever the router's own default route leads.
    const elsewhere = `${pool} unreachable`;
    const known =
      routes.kind === "router"
        ? remoteJob(
            `${router.name}-routes`,
            router,
            {
              jobs: { up: ["machine/static-routes"] },
              variables: {
                LAB_ROUTES: pulumi.output(args.podCidrs()).apply((cidrs) => `${elsewhere}\n${routesTo(nodes, cidrs)}`),
              },
              limitSeconds: routesLimitSeconds,
              ...forwards,
            },
            this,
          )
        : remoteJob(
            `${router.name}-bird`,
            router,
            {
              jobs: { up: ["machine/static-routes", "machine/bird"] },
              variables: {
                LAB_ROUTES: elsewhere,
                LAB_BIRD: routerBird(
                  nodes.map(({ name, address }) => ({ name, address, asn: routes.localASN })),
                  { address: router.address, asn: routes.peer?.asn ?? routes.localASN, pool },
                ),
                LAB_ROUTE_COUNT: `${nodes.length}`,
                // A node made anew announces anew.
                LAB_MAKINGS: nodes.map(({ incarnation }) => incarnation).join(" "),
                LAB_LIMIT_SECONDS: `${bgpLimitSeconds}`,
              },
              limitSeconds: bgpLimitSeconds,
              ...forwards,
            },
            this,
          );
    this.routes = pulumi.unsecret(known.stderr);
    this.registerOutputs({});
  }
}

/** A CIDR and its next hop, one a line. Throws where a node has no pod CIDR. */
function routesTo(nodes: readonly Machine[], podCidrs: PodCidrs): string {
  return nodes
    .map(({ name, address }) => {
      const podCidr = podCidrs[name];
      if (podCidr === undefined) throw new Error(`nothing is known of ${name}'s pod CIDR`);
      return `${podCidr} ${address}`;
    })
    .join("\n");
}
