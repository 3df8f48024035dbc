import { z } from "zod";
import { chartVersion } from "./chart.ts";

/**
 * What the chart's values say of the agent's image (templates/_helpers.tpl, cilium.image). Defaults are those of the published
 * chart 1.13.4, which has a digest; the chart in Cilium's source has none.
 */
const imageValues = z.object({
  image: z
    .object({
      override: z.string().nullish(),
      repository: z.string().default("quay.io/cilium/cilium"),
      tag: z.string().default(`v${chartVersion}`),
      digest: z.string().default("sha256:bde8800d61aaad8b8451b10e247ac7bdeb7af187bb698f83d40ad75a38c1ee6b"),
      useDigest: z.boolean().default(true),
      pullPolicy: z.string().default("IfNotPresent"),
    })
    .prefault({}),
  imagePullSecrets: z.array(z.object({ name: z.string() })).nullish(),
});

/** An image as a pod's spec names it. */
export interface PodImage {
  readonly image: string;
  readonly imagePullPolicy: string;
  /** Names of secrets in the pod's namespace. */
  readonly imagePullSecrets: readonly string[];
}

/** The image that agents of a release with these values run. */
export function agentImage(values: Readonly<Record<string, unknown>>): PodImage {
  const { image, imagePullSecrets } = imageValues.parse(values);
  const { override, repository, tag, digest, useDigest, pullPolicy } = image;
  return {
    image: override || `${repository}:${tag}${useDigest ? `@${digest}` : ""}`,
    imagePullPolicy: pullPolicy,
    imagePullSecrets: (imagePullSecrets ?? []).map(({ name }) => name),
  };
}
