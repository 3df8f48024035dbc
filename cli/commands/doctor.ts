import { formatFindings } from "../../datapath/findings.ts";
import { configOf, type Command } from "../call.ts";
import { diagnose } from "../doctor/diagnosis.ts";
import { describeNeeds } from "../doctor/index.ts";
import { projectName } from "../workspace.ts";

export const doctor: Command = async (call) => {
  const { findings, checks } = await diagnose(await configOf(call), "all");
  const failed = [...findings.map(({ severity }) => severity), ...checks.map(({ state }) => state)].includes("error");
  if (call.json) {
    call.print(`${JSON.stringify({ findings, checks }, undefined, 2)}\n`);
  } else {
    if (findings.length > 0) call.print(`${formatFindings(findings, projectName)}\n`);
    call.print(describeNeeds(checks));
  }
  return failed ? 1 : 0;
};
