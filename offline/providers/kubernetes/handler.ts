import type { ResourceHandler } from "../definition.ts";

/** The part of a resource type's handler that speaks to the cluster. */
export type Operations = Required<Pick<ResourceHandler, "check" | "create" | "update" | "delete" | "read">>;

/** A handler whose operations load with their first use: they are large, and all providers start from one bundle. */
export function lazyHandler(
  decisions: Omit<ResourceHandler, keyof Operations>,
  load: () => Promise<Operations>,
): ResourceHandler {
  return {
    ...decisions,
    check: async (...request) => (await load()).check(...request),
    create: async (...request) => (await load()).create(...request),
    update: async (...request) => (await load()).update(...request),
    delete: async (...request) => (await load()).delete(...request),
    read: async (...request) => (await load()).read(...request),
  };
}
