import type { ProviderDefinition } from "./definition.ts";
import { configurationReplaces, parseConfiguration } from "./kubernetes/configuration.ts";
import { lazyHandler } from "./kubernetes/handler.ts";
import { annotation, annotationsOf, identityOf, mapAt } from "./kubernetes/object.ts";
import { takesReplacement } from "./kubernetes/replacement.ts";
import { revealAll } from "./properties.ts";

const release = lazyHandler(
  { hasVersion: true, replacesOn: (property) => property === "name" || property === "namespace" },
  async () => (await import("./kubernetes/release.ts")).releaseOperations,
);

const anyObject = lazyHandler(
  {
    replacesOn(_property, path, inputs, configuration = {}) {
      const isImmutable = inputs["immutable"] === true;
      return takesReplacement({ ...identityOf(inputs), isImmutable }, path, parseConfiguration(configuration));
    },
    // A second object of the same name can't stand beside the first.
    deletesBeforeReplace(oldInputs, inputs) {
      const [old, now] = [mapAt(revealAll(oldInputs), "metadata"), mapAt(revealAll(inputs), "metadata")];
      const autonamed = annotationsOf(inputs)[annotation.autonamed] === "true";
      return !autonamed && old["name"] === now["name"] && old["namespace"] === now["namespace"];
    },
  },
  async () => (await import("./kubernetes/resource.ts")).objectOperations,
);

/**
 * The provider `kubernetes`: objects of every kind by server-side apply, and releases by the Helm CLI. Not its `…Patch`
 * resources, nor the components and functions that render charts, YAML and Kustomize files.
 */
export const kubernetesProvider: ProviderDefinition = {
  resources: { "kubernetes:helm.sh/v3:Release": release },
  otherResource: (type) => (/^kubernetes:[^:]+\/v[0-9][^:/]*:[A-Za-z]+(?<!Patch)$/.test(type) ? anyObject : undefined),
  configurationReplaces,
};
