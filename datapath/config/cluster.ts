import { z } from "zod";
import { ipv4Address, ipv4Cidr } from "./fields.ts";

/** What holds for the whole Kubernetes cluster, whatever its datapath. The defaults are K3s's own. */
export const cluster = z.strictObject({
  serviceCIDR: ipv4Cidr
    .default("10.43.0.0/16")
    .meta({ description: "Addresses of services; apart from the pod CIDRs and the node network." }),
  clusterDNS: ipv4Address
    .default("10.43.0.10")
    .meta({ description: "Service address of the cluster's DNS, inside serviceCIDR." }),
  clusterDomain: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, "no DNS name in lower case")
    .default("cluster.local")
    .meta({ description: "DNS domain of services." }),
});

export type Cluster = z.infer<typeof cluster>;
