// Any cluster, outside of a stack.
import path from "node:path";
import { z } from "zod";
import type { LabConfig, UsableConfig } from "../../datapath/config/index.ts";
import { formatFindings } from "../../datapath/findings.ts";
import { summary } from "../../report/terminal.ts";
import { namedDatapath, terminal, withDatapath, type Command } from "../call.ts";
import { readConfigFile } from "../config-file.ts";
import { liveView } from "../operation.ts";
import { projectName, runsFolderOf } from "../workspace.ts";

export const verify: Command = async (call) => {
  const { json, log, print, kubeconfig, context, datapath, file: configFile } = call;
  if (datapath !== undefined) await checkedForCluster(withDatapath({}, datapath));
  const { verification, datapath: asked } = configFile === undefined ? {} : await clusterConfig(configFile, log);
  const { verify: verifyCluster } = await import("../verify.ts");
  const view = liveView({ machines: { kind: "none" }, verification });
  view?.begin("verification");
  const { run, file } = await verifyCluster({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(datapath !== undefined ? { instead: namedDatapath(datapath) } : asked === undefined ? {} : { datapath: asked }),
    ...(verification === undefined ? {} : { verification }),
    project: projectName,
    runsFolder: runsFolderOf({ verification }),
    signal: call.signal,
    log: view?.progress ?? log,
  }).finally(() => view?.end());
  if (json) print(`${JSON.stringify(run, undefined, 2)}\n`);
  else print(summary(run, { ...terminal(), file: path.relative(process.cwd(), file) }));
  return run.verdict === "confirmed" ? 0 : 1;
};

/**
 * What a lab config says of a cluster that stands: how to measure it and, where the config says so, which datapath should hold.
 * Throws a ConfigError with every error at once.
 */
async function clusterConfig(
  file: string,
  log: (line: string) => void,
): Promise<Pick<LabConfig, "verification"> & Partial<Pick<LabConfig, "datapath">>> {
  const written = await readConfigFile(file);
  const { config, warnings } = await checkedForCluster(written);
  if (warnings.length > 0) log(formatFindings(warnings, projectName));
  const saysDatapath = z.looseObject({ datapath: z.unknown().refine((section) => section !== undefined) });
  return {
    verification: config.verification,
    ...(saysDatapath.safeParse(written).success ? { datapath: config.datapath } : {}),
  };
}

/** Checks a config for a cluster that stands: the machines are its own, whatever the config has. Throws a ConfigError. */
async function checkedForCluster(written: unknown): Promise<UsableConfig> {
  const { parseLabConfig } = await import("../../datapath/config/index.ts");
  const sections = z.record(z.string(), z.unknown()).safeParse(written).data;
  return parseLabConfig(sections === undefined ? written : { ...sections, machines: { kind: "none" } }, projectName);
}
