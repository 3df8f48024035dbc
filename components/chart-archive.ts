import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { chartVersion } from "../datapath/cilium/chart.ts";
import { refusal } from "./refusal.ts";

const description = z.object({ name: z.string(), version: z.string() });

/**
 * Throws a refusal where a chart, as a folder or a packed archive, is another one than this lab's rules and values are of. One that
 * can't be read is left to Helm, which says why.
 */
export function refuseOtherChart(archive: string): void {
  const found = described(archive);
  if (found === undefined || (found.name === "cilium" && found.version === chartVersion)) return;
  throw refusal(
    new Error(
      `cilium.chart.archive: ${archive} is the chart ${found.name} ${found.version}; values and rules of this lab are those of cilium ${chartVersion}.\n` +
        `Take that one: helm pull cilium --version ${chartVersion}.`,
    ),
  );
}

function described(archive: string): z.infer<typeof description> | undefined {
  try {
    const text = statSync(archive).isDirectory()
      ? readFileSync(path.join(archive, "Chart.yaml"), "utf8")
      : execFileSync("tar", ["-xzOf", archive, "cilium/Chart.yaml"], { encoding: "utf8", stdio: "pipe" });
    return description.parse(parse(text));
  } catch {
    return undefined;
  }
}
