import { readFile } from "node:fs/promises";
import { kubeconfigFile } from "../verification/kubeconfig.ts";
import { verification as verificationConfig } from "../datapath/config/verification.ts";
import type { Run } from "../datapath/run.ts";
import { verifyCluster } from "../verification/cluster/verify-cluster.ts";
import { keepRun } from "../verification/keep-run.ts";
import { settingsOf } from "../verification/spec.ts";

export interface VerifyOptions {
  /** Path; where kubectl has its own when absent. */
  readonly kubeconfig?: string;
  readonly context?: string;
  /** The section `datapath`; what the cluster's cilium-config asks for when absent. */
  readonly datapath?: unknown;
  /** In its place the mode that should hold, all else as cilium-config has it: `native`, `native:router`. */
  readonly instead?: string;
  /** The section `verification`, for the settings of the measurement and the pods' images. */
  readonly verification: unknown;
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
  const section = verificationConfig.parse(options.verification ?? {});
  const [mode = "", routes] = options.instead?.split(":") ?? [];
  const run = await verifyCluster(
    {
      lab: { project, stack: "verify" },
      kubeconfig,
      ...(context === undefined ? {} : { context }),
      ...(isSection(options.datapath) ? { datapath: options.datapath } : {}),
      ...(options.instead === undefined ? {} : { instead: { mode, ...(routes === undefined ? {} : { routes }) } }),
      images: section.images,
      pods: "own",
      settings: settingsOf(section),
      runsFolder,
    },
    { signal, progress: log },
  );
  return { run, file: await keepRun(run, runsFolder) };
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
