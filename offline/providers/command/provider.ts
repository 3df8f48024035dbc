import type { ProviderDefinition } from "../definition.ts";
import { copyToRemote } from "./copy.ts";
import { localCommand, runFunction } from "./local.ts";
import { remoteCommand } from "./remote.ts";

/** The provider `command`. */
export const commandProvider: ProviderDefinition = {
  resources: {
    "command:local:Command": localCommand,
    "command:remote:Command": remoteCommand,
    "command:remote:CopyToRemote": copyToRemote,
  },
  functions: { "command:local:run": runFunction },
};
