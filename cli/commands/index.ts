import type { Command } from "../call.ts";
import { doctor, explain } from "./ask.ts";
import { compare, report } from "./compare.ts";
import { destroy, kubeconfig, outputs, preview, up } from "./stack.ts";
import { verify } from "./verify.ts";

/** Every command by the word that stands behind `npm run lab --`. */
export const commands = {
  up,
  preview,
  destroy,
  outputs,
  kubeconfig,
  explain,
  doctor,
  compare,
  report,
  verify,
} satisfies Record<string, Command>;
