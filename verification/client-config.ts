import { KubeConfig } from "@kubernetes/client-node";

/** A cluster, as clients are told of it. */
export interface ClusterAddress {
  /** The kubeconfig's text. Secret. */
  readonly kubeconfig: string;
  /** Its current one where absent. */
  readonly context?: string | undefined;
}

/** The client's configuration for a context of a kubeconfig. Throws an Error that names the contexts there are. */
export function clientConfig({ kubeconfig, context }: ClusterAddress): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      throw new Error(
        `The kubeconfig has no context ${JSON.stringify(context)} (machines.context); it has ${known.join(", ")}.`,
      );
    }
    config.setCurrentContext(context);
  }
  return config;
}
