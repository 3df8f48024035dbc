import { checkKernel, kernelOfMachines } from "../machines/kernel.ts";
import type { Rule } from "./rule.ts";

function kernelRule(severity: Rule["severity"], row: Pick<Rule, "id" | "when" | "message">): Rule {
  return {
    ...row,
    severity,
    key: "machines.image",
    wayOut: "Choose an image with a newer kernel, or leave out the feature that the message names.",
    source: "the table of kernel floors below",
    violations: (config) => {
      const release = kernelOfMachines(config.machines);
      if (release === undefined) return [];
      return checkKernel({ ...config, strict: false }, release, "The machines' image")
        .filter((finding) => finding.severity === severity)
        .map(({ key, message, wayOut }) => ({ key, message, wayOut }));
    },
  };
}

/** Kernel floors, as far as a known image decides them before there is a machine. Running machines are asked themselves. */
export const kernelRules: readonly Rule[] = [
  kernelRule("error", {
    id: "kernel-of-image-too-old",
    when: "machines start from a known image whose kernel is so old that the agent ends",
    message: "The agent ends on this kernel.",
  }),
  kernelRule("warning", {
    id: "kernel-of-image-lacks-a-feature",
    when: "machines start from a known image whose kernel is older than a feature needs, and the agent goes on without it",
    message: "The feature is not in effect on this kernel.",
  }),
];
