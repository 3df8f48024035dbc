import { readFile } from "node:fs/promises";
import { kubeconfigFile } from "../verification/kubeconfig.ts";
import type { Datapath } from "../datapath/config/datapath.ts";
import { verification as verificationConfig, type Verification } from "../datapath/config/verification.ts";
import type { Run } from "../datapath/run/run.ts";
import { verifyCluster } from "../verification/cluster/verify-cluster.ts";
import { keepRun } from "../verification/keep-run.ts";
import type { NamedByWord } from "./call.ts";
import { settingsOf } from "../verification/spec.ts";

export interface VerifyOptions {
  /** Path; where kubectl has its own when absent. */
  readonly kubeconfig?: string;
  readonly context?: string;
  /** What should hold; what the cluster's cilium-config asks for when absent. */
  readonly datapath?: Datapath;
  /** In its place the mode that should hold, all else as cilium-config has it. */
  readonly instead?: NamedByWord;
  /** How much is measured, and the pods' images; the defaults when absent. */
  readonly verification?: Verification;
  readonly project: string;
  readonly runsFolder: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/**
 * Verifies an existing cluster outside of a stack, with pods of its own that it removes again, and keeps the run.
 * @returns the run and the file that it is kept in
 * @throws Error meant for a person, after everything was removed
 */
export async function verify(options: VerifyOptions): Promise<{ run: Run; file: string }> {
  const { signal, log, runsFolder, context, project } = options;
  const path = kubeconfigFile(options.kubeconfig);
  const kubeconfig = await readFile(path, "utf8").catch((error: unknown) => {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Error(`The kubeconfig ${path} can't be read (${reason}). Name it: --kubeconfig FILE`);
  });
  const section = options.verification ?? verificationConfig.parse({});
  const run = await verifyCluster(
    {
      lab: { project, stack: "verify" },
      kubeconfig,
      ...(context === undefined ? {} : { context }),
      ...(options.datapath === undefined ? {} : { datapath: options.datapath }),
      ...(options.instead === undefined ? {} : { instead: options.instead }),
      images: section.images,
      pods: "own",
      settings: settingsOf(section),
      runsFolder,
    },
    { signal, progress: log },
  );
  return { run, file: await keepRun(run, runsFolder) };
}
