import { readFileSync, readlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import path from "node:path";
import * as z from "zod";

const require = createRequire(import.meta.url);
const packageVersion = z.object({ version: z.string() });

/** The folder of this project that outlives a clone. */
export function cacheFolder(): string {
  return path.join(process.env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"), "datapath-lab");
}

/** Pulumi's home, also where the environment already names the one with stand-ins that was made beside it. */
export function pulumiHome(): string {
  const home = process.env["PULUMI_HOME"] || path.join(homedir(), ".pulumi");
  if (path.dirname(home) !== path.join(cacheFolder(), "pulumi-home")) return home;
  return path.dirname(readlinkSync(path.join(home, "workspaces")));
}

/** The version of an npm package that is installed here. */
export function versionOf(npmPackage: string): string {
  return packageVersion.parse(JSON.parse(readFileSync(require.resolve(`${npmPackage}/package.json`), "utf8"))).version;
}
