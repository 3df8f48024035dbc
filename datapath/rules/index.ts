import { chartRules } from "./chart.ts";
import { crashRules } from "./crash.ts";
import { embeddedLabRules } from "./embedded.ts";
import { existingClusterRules } from "./existing-cluster.ts";
import { fallbackRules } from "./fallback.ts";
import { existingHostRules } from "./hosts.ts";
import { k3sRules } from "./k3s.ts";
import { kernelRules } from "./kernel.ts";
import { machineRules } from "./machines.ts";
import { networkRules } from "./networks.ts";
import { routeRules } from "./routes.ts";
import type { Rule } from "./rule.ts";
import { valueRules } from "./values.ts";

/** The one table of everything that the shape of a config can't say. */
export const rules: readonly Rule[] = [
  ...crashRules,
  ...chartRules,
  ...fallbackRules,
  ...routeRules,
  ...networkRules,
  ...machineRules,
  ...existingHostRules,
  ...k3sRules,
  ...existingClusterRules,
  ...valueRules,
  ...kernelRules,
  ...embeddedLabRules,
];
