import { z } from "zod";
import { bareWords, ipv4Address, orBareWord } from "./fields.ts";
import { imageReference } from "./images.ts";

const tags = z.array(z.string().regex(/^[^=]+=[^=]*$/, "no tag in the form key=value"));

/** Clouds whose network carries the routes; each brings its own IPAM. */
const integration = orBareWord(
  "cloud",
  z.discriminatedUnion("cloud", [
    z.strictObject({ cloud: z.literal("gke").meta({ description: "Google Kubernetes Engine: alias ranges." }) }),
    z.strictObject({
      cloud: z.literal("eni").meta({ description: "AWS: pod addresses are secondary addresses of ENIs." }),
      awsEnablePrefixDelegation: z.boolean().default(false).meta({ description: "Allocate /28 prefixes to ENIs." }),
      awsReleaseExcessIPs: z.boolean().default(false).meta({ description: "Give unused addresses back." }),
      updateEC2AdapterLimitViaAPI: z
        .boolean()
        .default(false)
        .meta({ description: "Read the limits of instance types from the EC2 API." }),
      ec2APIEndpoint: z.string().min(1).optional().meta({ description: "EC2 API endpoint; AWS's own where absent." }),
      eniTags: z
        .record(z.string(), z.string())
        .default({})
        .meta({ description: "Tags of the ENIs that Cilium makes." }),
      subnetIDsFilter: z.array(z.string()).default([]).meta({ description: "Subnets in which ENIs may be made." }),
      subnetTagsFilter: tags.default([]).meta({ description: "Tags of the subnets in which ENIs may be made." }),
      instanceTagsFilter: tags.default([]).meta({ description: "Tags of the instances that get ENIs." }),
      iamRole: z.string().min(1).optional().meta({ description: "IAM role of the operator's service account." }),
    }),
    z.strictObject({
      cloud: z.literal("azure").meta({ description: "Azure IPAM: pod addresses are addresses of the VMs' NICs." }),
      subscriptionID: z.string().min(1).optional().meta({ description: "Subscription; the instance's where absent." }),
      resourceGroup: z.string().min(1).optional().meta({ description: "Resource group of the nodes." }),
      userAssignedIdentityID: z
        .string()
        .min(1)
        .optional()
        .meta({ description: "Managed identity that the operator works with." }),
      usePrimaryAddress: z
        .boolean()
        .default(false)
        .meta({ description: "Give pods the NICs' primary addresses as well." }),
    }),
  ]),
);

const localASN = z
  .int()
  .min(1)
  .max(4_294_967_295)
  .default(64_512)
  .meta({ description: "Autonomous system number of the nodes." });

const peer = z.strictObject({
  address: ipv4Address.meta({ description: "Address of the router." }),
  asn: z.int().min(1).max(4_294_967_295).default(64_512).meta({ description: "The router's AS number." }),
});

const bgp = { kind: z.literal("bgp").meta({ description: "A BGP daemon carries the routes." }), localASN };

/** Who carries the routes to the pod CIDRs. The bare word is short for the object, and BGP's speaker is kube-router. */
export const routes = z
  .preprocess(
    (value) => {
      const route = typeof value === "string" ? { kind: value } : value;
      const spoken = z.looseObject({ kind: z.literal("bgp") }).safeParse(route);
      return spoken.success ? { speaker: "kube-router", ...spoken.data } : route;
    },
    z.discriminatedUnion("kind", [
      z.strictObject({
        kind: z.literal("direct").meta({ description: "Each node routes to its peers itself; all share one subnet." }),
      }),
      z.strictObject({
        kind: z.literal("router").meta({
          description: "The network between the nodes knows every pod CIDR; on libvirt a machine that the lab brings.",
        }),
        integration: integration.optional().meta({ description: "The cloud whose network it is." }),
      }),
      z.discriminatedUnion("speaker", [
        z.strictObject({
          ...bgp,
          speaker: z.literal("kube-router").meta({ description: "kube-router speaks BGP and installs the routes." }),
          peer: peer
            .optional()
            .meta({ description: "A router to peer with as well; without it the nodes peer with each other." }),
          image: imageReference.optional().meta({
            description:
              "kube-router's image on clusters; docker.io/cloudnativelabs/kube-router:v1.5.4 where it is not given.",
          }),
        }),
        z.strictObject({
          ...bgp,
          speaker: z.literal("cilium").meta({
            description: "Cilium's BGP control plane, which only advertises: a router has to learn and forward.",
          }),
          // Required: what nobody forwards would not arrive (cilium/cilium#31283).
          peer: peer.meta({
            description:
              "The router that learns the pod CIDRs and forwards between the nodes. On libvirt the lab brings one where this is the last address of machines.network.",
          }),
        }),
      ]),
    ]),
  )
  .register(bareWords, { key: "kind", assumed: { key: "speaker", word: "kube-router" } });

export type Routes = z.infer<typeof routes>;
