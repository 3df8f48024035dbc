import { z } from "zod";
import { ipv4Cidr, ipv6Cidr } from "./fields.ts";
import { routes, type Routes } from "./routes.ts";
import { tuning } from "./tuning.ts";

export { routes } from "./routes.ts";

const tunnel = {
  tunnelPort: z
    .int()
    .min(1)
    .max(65535)
    .optional()
    .meta({ description: "UDP port; where absent 8472 for VXLAN, 6081 for Geneve." }),
  ...tuning,
};

const modes = z.discriminatedUnion("mode", [
  z.strictObject({ mode: z.literal("vxlan").meta({ description: "Pod packets travel inside VXLAN." }), ...tunnel }),
  z.strictObject({ mode: z.literal("geneve").meta({ description: "Pod packets travel inside Geneve." }), ...tunnel }),
  z.strictObject({
    mode: z.literal("native").meta({ description: "Pod packets travel as they are; the network must route them." }),
    ipv4NativeRoutingCIDR: ipv4Cidr
      .optional()
      .meta({ description: "Destinations that pods reach under their own address; the pod pool where absent." }),
    ipv6NativeRoutingCIDR: ipv6Cidr.optional().meta({ description: "The same for IPv6." }),
    routes: routes.prefault({ kind: "direct" }).meta({ description: "Who carries the routes to the pod CIDRs." }),
    ...tuning,
  }),
]);

export type IpamMode = "cluster-pool" | "cluster-pool-v2beta" | "kubernetes" | "eni" | "azure";

/**
 * The IPAM that routes need: a cloud's own, Node.spec.podCIDR where somebody beside Cilium reads it (kube-router, GKE), else
 * the pool of Cilium's operator.
 */
export function ipamModeFor(route: Routes | undefined): IpamMode {
  switch (route?.kind) {
    case "router": {
      const cloud = route.integration?.cloud;
      return cloud === "gke" ? "kubernetes" : (cloud ?? "cluster-pool");
    }
    case "bgp":
      return route.speaker === "kube-router" ? "kubernetes" : "cluster-pool";
    case "direct":
    case undefined:
      return "cluster-pool";
  }
}

/** The datapath that is asked for, all defaults filled in. */
export const datapath = modes.transform((value) => {
  if (value.mode !== "native")
    return { ...value, ipam: { ...value.ipam, mode: value.ipam.mode ?? ipamModeFor(undefined) } };
  const ipam = { ...value.ipam, mode: value.ipam.mode ?? ipamModeFor(value.routes) };
  // A cloud gives pods addresses of its own networks; only the lab's pool is known without asking.
  const pooled = value.routes.kind !== "router" || value.routes.integration === undefined;
  return {
    ...value,
    ipam,
    ipv4NativeRoutingCIDR: value.ipv4NativeRoutingCIDR ?? (pooled ? ipam.clusterPoolIPv4PodCIDR : undefined),
    ipv6NativeRoutingCIDR: value.ipv6NativeRoutingCIDR ?? (pooled ? ipam.clusterPoolIPv6PodCIDR : undefined),
  };
});

export type Datapath = z.infer<typeof datapath>;
