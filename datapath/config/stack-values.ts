import type { Finding } from "../findings.ts";
import { kubeconfigKey } from "./existing-cluster.ts";

/**
 * The sections of a lab's config among a stack's config values, without the project's name in front: the one reading that the
 * program and the command line share. Left out are the keys
 * of other projects, and the kubeconfig, which is a secret. Nothing in it is checked.
 * @param values as the engine hands them over, all of them text, or as Pulumi.STACK.yaml has them
 */
export function labSections(values: Readonly<Record<string, unknown>>, project: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]): [string, unknown][] => {
      const [namespace = "", section = ""] = key.includes(":") ? key.split(":") : [project, key];
      if (namespace !== project || section === kubeconfigKey) return [];
      return [[section, typeof value === "string" ? valueOfText(value) : value]];
    }),
  );
}

/** `pulumi config set` keeps every value of a whole key as text, also `true`: what is JSON is meant as such. */
function valueOfText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What is wrong with sections that were set with `pulumi config set --secret`. */
export function secretSections(sections: readonly string[]): Finding[] {
  return sections.map((section) => ({
    id: "secret-section",
    severity: "error",
    key: section,
    message: "Was set with --secret, but a section is no secret: it is printed, and kept in runs.",
    wayOut:
      "Set it again without --secret. A kubeconfig has a secret key of its own (pulumi config set --secret kubeconfig <FILE); private keys stay in files (privateKeyFile).",
  }));
}
