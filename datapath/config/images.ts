import { z } from "zod";

/**
 * netshoot v0.13 (Alpine 3.20) has iperf3, tcpdump, iproute2, iputils, ethtool. The digest is the multi-platform index of
 * docker.io/nicolaka/netshoot:v0.13, the same as at ghcr.io.
 */
const netshoot =
  "docker.io/nicolaka/netshoot:v0.13@sha256:a20c2531bf35436ed3766cd6cfe89d352b050ccc4d7005ce6400adf97503da1b";

/** A container image, by tag or digest. */
export const imageReference = z.string().regex(/^\S+$/, "no image reference");

const image = imageReference.default(netshoot);

/** What runs in the pods that prove and measure a cluster. */
export const images = z.strictObject({
  probe: image.meta({
    description: "Image on the nodes' network. Needs sh, ip, tcpdump, ping, iperf3; ethtool for the offload settings.",
  }),
  workload: image.meta({ description: "Image on the pod network. Needs sh, ip, ping, iperf3." }),
});

export type Images = z.infer<typeof images>;
