import type { ProviderDefinition } from "./definition.ts";

/** The provider `random`. */
export const randomProvider: ProviderDefinition = { resources: {} };
