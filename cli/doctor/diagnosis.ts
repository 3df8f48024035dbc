import { type Finding } from "../../datapath/findings.ts";
import type { Call, Config } from "../call.ts";
import { describeNeeds, needsOf, type Depth, type NeedCheck } from "./index.ts";

/** Quiet where nothing that would make the operation fail is missing. A config with errors is the preview's to refuse. */
export async function hasWhatItNeeds(call: Call, config: Config): Promise<boolean> {
  const { checks } = await diagnose(config, "errors");
  const failed = checks.filter(({ state }) => state === "error");
  if (failed.length > 0) {
    call.log(`Stack ${call.stack} can't be made yet; nothing was changed.\n${describeNeeds(failed).trimEnd()}`);
  }
  return failed.length === 0;
}

export async function diagnose(
  config: Config,
  depth: Depth,
): Promise<{ findings: readonly Finding[]; checks: readonly NeedCheck[] }> {
  const { checkLabConfig } = await import("../../datapath/config/index.ts");
  const { config: checked, findings } = checkLabConfig(config);
  if (checked === undefined) return { findings, checks: [] };
  return { findings, checks: await needsOf(checked, depth) };
}
