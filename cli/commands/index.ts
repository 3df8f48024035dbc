import type { Command } from "../call.ts";
import { compare } from "./compare.ts";
import { destroy } from "./destroy.ts";
import { doctor } from "./doctor.ts";
import { explain } from "./explain.ts";
import { kubeconfig } from "./kubeconfig.ts";
import { outputs } from "./outputs.ts";
import { preview } from "./preview.ts";
import { report } from "./report.ts";
import { up } from "./up.ts";
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
