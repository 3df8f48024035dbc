import { z } from "zod";
import { sha256 } from "./fields.ts";
import { hostAddress, hostAddressAndPort } from "./ssh.ts";

/** Where K3s's project puts its releases; VERSION/FILE follows. */
const releases = "https://github.com/k3s-io/k3s/releases/download";

const binarySha256 = sha256
  .optional()
  .meta({ description: "Checksum that the binary must have, whatever the release says. Of one architecture." });

const source = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("releases").meta({ description: "The machines download the binary." }),
    urls: z
      .array(z.url({ protocol: /^https?$/, error: "no http or https URL" }).regex(/^[^\s'"\\]*$/, "no plain URL"))
      .min(1)
      .default([releases])
      .meta({
        description:
          "Where URL/VERSION/k3s and its sha256sum-amd64.txt can be downloaded, as a mirror has them too; the next one is tried where one fails.",
      }),
    sha256: binarySha256,
  }),
  z.strictObject({
    kind: z.literal("files").meta({ description: "The machines need no internet for K3s." }),
    binary: z.string().min(1).meta({ description: "K3s's binary, as a file of the machine that runs Pulumi." }),
    images: z
      .string()
      .regex(/\.tar(\.gz|\.zst)?$/, "no archive of images: .tar, .tar.gz or .tar.zst")
      .optional()
      .meta({ description: "The release's k3s-airgap-images archive, a file of the same machine." }),
    sha256: binarySha256,
  }),
]);

/** One setting of K3s's config file. Numbers and booleans are written as such. */
const setting = z.union([
  z.string().regex(/^\P{Cc}*$/u, "a text without control characters"),
  z.number(),
  z.boolean(),
  z.array(z.string().regex(/^\P{Cc}*$/u, "a text without control characters")),
]);

export type K3sSetting = z.infer<typeof setting>;

const settings = z.record(z.string().regex(/^[a-z][a-z0-9-]*$/, "no name of a K3s flag, without --"), setting);

/** How the machines become a K3s cluster. */
export const k3s = z.strictObject({
  version: z
    .string()
    .regex(/^v1\.26\.[0-9]{1,3}\+k3s[0-9]{1,2}$/, "no release of K3s 1.26, such as v1.26.6+k3s1")
    .default("v1.26.6+k3s1")
    .meta({ description: "Release of K3s, any of 1.26. A lower one than what is installed is refused." }),
  servers: z.int().min(1).max(7).default(1).meta({
    description: "Number of servers, odd: the first machines. More than one have an embedded etcd together.",
  }),
  source: source.prefault({ kind: "releases" }).meta({ description: "Where the binary comes from." }),
  disable: z
    .array(z.enum(["coredns", "servicelb", "traefik", "local-storage", "metrics-server"]))
    .default(["metrics-server", "servicelb", "traefik"])
    .meta({
      description: "Components of K3s that are left out: what a lab does not use would disturb what is measured.",
    }),
  tlsSans: z
    .array(hostAddress)
    .default([])
    .meta({ description: "Further names and addresses by which the API is reached, for its certificate." }),
  apiAddress: hostAddressAndPort.optional().meta({
    description:
      "Under which this machine reaches the API, as HOST or HOST:PORT: the first server's address and 6443 where it is not given. An SSH tunnel's end, where the machines stand behind a jump host.",
  }),
  settings: z
    .strictObject({
      server: settings.default({}).meta({ description: "For servers." }),
      agent: settings.default({}).meta({ description: "For agents, which end on a setting that they do not know." }),
    })
    .prefault({})
    .meta({ description: "Any other setting of K3s's config file, named as its flag." }),
  downloadLimitSeconds: z.int().min(5).max(7200).default(1200).meta({
    description: "How long the binary may take to arrive on a machine, in seconds.",
  }),
  startLimitSeconds: z.int().min(5).max(7200).default(600).meta({
    description: "How long K3s may take to start on a machine, and again for its API to answer, in seconds.",
  }),
  nodeLimitSeconds: z.int().min(5).max(7200).default(300).meta({
    description: "How long a node may take to register, in seconds.",
  }),
  drainLimitSeconds: z.int().min(1).max(7200).default(120).meta({
    description: "How long pods may take to leave a node that is taken out, in seconds; then it goes without them.",
  }),
  clean: z.boolean().default(false).meta({
    description:
      "Remove what another K3s or CNI left on a machine, instead of stopping there. What runs in it is lost.",
  }),
});

export type K3sConfig = z.infer<typeof k3s>;
