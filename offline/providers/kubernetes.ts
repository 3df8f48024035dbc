import type { Operation, ProviderDefinition, ResourceHandler } from "./definition.ts";
import type { PropertyMap } from "./properties.ts";
import { uniqueId } from "./command/resource.ts";

function warn(operation: Operation): void {
  operation.log(
    "warning",
    "Nothing was sent to a Kubernetes cluster: the official kubernetes plugin could not be downloaded, and the stand-in " +
      "for it only keeps the resource in the stack's state.",
  );
}

/** Keeps inputs as state and touches no cluster. */
const stateOnly: ResourceHandler = {
  replacesOn: () => false,
  create: (inputs: PropertyMap, operation) => {
    warn(operation);
    return Promise.resolve({ id: uniqueId(operation.name), outputs: inputs });
  },
  update: ({ inputs }, operation) => {
    warn(operation);
    return Promise.resolve(inputs);
  },
};

/** The provider `kubernetes`, as far as the stacks of this project use it. */
export const kubernetesProvider: ProviderDefinition = {
  resources: { "kubernetes:helm.sh/v3:Release": stateOnly },
};
