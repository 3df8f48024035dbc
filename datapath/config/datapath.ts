import { z } from "zod";

/** How pods get their addresses. */
const ipam = z.strictObject({
  clusterPoolIPv4PodCIDR: z
    .string()
    .default("10.42.0.0/16")
    .meta({ description: "Pool of which each node has a pod CIDR. K3s's own default, so that both agree." }),
  clusterPoolIPv4MaskSize: z
    .int()
    .min(8)
    .max(30)
    .default(24)
    .meta({ description: "Prefix length of a node's pod CIDR." }),
});

/** What every datapath can be tuned in, whatever carries its packets. */
const common = {
  ipam: ipam.prefault({}),
  masquerade: z
    .strictObject({
      ipv4: z.boolean().default(true).meta({ description: "Source NAT of pod traffic that leaves the cluster." }),
    })
    .prefault({}),
};

const tunnel = {
  tunnelPort: z.int().min(1).max(65535).optional().meta({ description: "UDP port; 8472 for VXLAN, 6081 for Geneve." }),
  ...common,
};

/** Who carries the routes to the pod CIDRs. The bare word is short for the object. */
export const routes = z.preprocess(
  (value) => (typeof value === "string" ? { kind: value } : value),
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("direct") }),
    z.strictObject({ kind: z.literal("router") }),
    z.strictObject({ kind: z.literal("bgp") }),
  ]),
);

const modes = z.discriminatedUnion("mode", [
  z.strictObject({ mode: z.literal("vxlan"), ...tunnel }),
  z.strictObject({ mode: z.literal("geneve"), ...tunnel }),
  z.strictObject({
    mode: z.literal("native"),
    ipv4NativeRoutingCIDR: z
      .string()
      .optional()
      .meta({ description: "Destinations that pods reach under their own address; the pod pool where absent." }),
    routes: routes.prefault({ kind: "direct" }),
    ...common,
  }),
]);

/** The datapath that is asked for, all defaults filled in. */
export const datapath = modes.transform((value) =>
  value.mode === "native"
    ? { ...value, ipv4NativeRoutingCIDR: value.ipv4NativeRoutingCIDR ?? value.ipam.clusterPoolIPv4PodCIDR }
    : value,
);

export type Datapath = z.infer<typeof datapath>;
