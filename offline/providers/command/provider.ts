import type { ProviderDefinition } from "../definition.ts";
import { localCommand, runFunction } from "./local.ts";

/** The provider `command`. */
export const commandProvider: ProviderDefinition = {
  resources: { "command:local:Command": localCommand },
  functions: { "command:local:run": runFunction },
};
