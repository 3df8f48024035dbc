import { networkRules } from "./networks.ts";
import type { Rule } from "./rule.ts";

/** The one table of everything that the shape of a config can't say. */
export const rules: readonly Rule[] = [...networkRules];
