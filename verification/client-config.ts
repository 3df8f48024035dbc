import { KubeConfig } from "@kubernetes/client-node";

/** A cluster, as clients are told of it. */
export interface ClusterAddress {
  /** The kubeconfig's text. Secret. */
  readonly kubeconfig: string;
  /** Its current one where absent. */
  readonly context?: string | undefined;
}

/**
 * The client's configuration for a context of a kubeconfig.
 * @throws an Error that names the contexts there are, and repeats nothing else of the text, which holds a key
 */
export function clientConfig({ kubeconfig, context }: ClusterAddress): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromString(kubeconfig);
  } catch (error) {
    // A YAML parser's message ends in the lines around the place.
    const [reason = ""] = kubeconfig.trim() === "" ? ["it is empty"] : String(error).split("\n");
    throw new Error(
      `The kubeconfig is not valid: ${reason}.\nCheck the file that --kubeconfig, machines.kubeconfig or KUBECONFIG names.`,
    );
  }
  const known = config.getContexts().map(({ name }) => name);
  if (known.length === 0) {
    throw new Error(
      "The kubeconfig names no context.\nCheck the file that --kubeconfig, machines.kubeconfig or KUBECONFIG names.",
    );
  }
  const chosen = context ?? config.getCurrentContext();
  if (!known.includes(chosen)) {
    throw new Error(
      `The kubeconfig has no context ${JSON.stringify(chosen)} (--context, machines.context); it has ${known.join(", ")}.`,
    );
  }
  config.setCurrentContext(chosen);
  return config;
}
