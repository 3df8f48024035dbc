import { parse, stringify } from "yaml";
import { z } from "zod";
import { k3sApiPort } from "./k3s-config.ts";

const named = z.looseObject({ name: z.string() });

/** What K3s writes: one cluster, one user and one context, all of them called default. */
const written = z.looseObject({
  clusters: z.tuple([named.extend({ cluster: z.looseObject({ server: z.string() }) })]),
  users: z.tuple([named.extend({ user: z.looseObject({}) })]),
  contexts: z.tuple([named.extend({ context: z.looseObject({ cluster: z.string(), user: z.string() }) })]),
});

/**
 * K3s's own kubeconfig as it is of use elsewhere: its server by an address that leads there, and names that no other cluster of
 * the same person has.
 * @param text /etc/rancher/k3s/k3s.yaml, whose server is 127.0.0.1
 * @param address under which the API is reached: a host, and perhaps a port
 * @param name of cluster, user and context
 * @throws an error where the text is no kubeconfig of K3s; it does not repeat the text, which holds a key
 */
export function labKubeconfig(text: string, address: string, name: string): string {
  const parsed = written.safeParse(parseYaml(text));
  if (!parsed.success) {
    const where = parsed.error.issues.map(({ path }) => path.join(".") || "the whole").join(", ");
    throw new Error(
      `What K3s has in /etc/rancher/k3s/k3s.yaml is no kubeconfig: ${where} is missing or of another kind.`,
    );
  }
  const server = `https://${address.includes(":") ? address : `${address}:${k3sApiPort}`}`;
  const {
    clusters: [cluster],
    users: [user],
    contexts: [context],
    ...rest
  } = parsed.data;
  return stringify(
    {
      ...rest,
      clusters: [{ ...cluster, name, cluster: { ...cluster.cluster, server } }],
      users: [{ ...user, name }],
      contexts: [{ ...context, name, context: { ...context.context, cluster: name, user: name } }],
      "current-context": name,
    },
    { lineWidth: 0 },
  );
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
