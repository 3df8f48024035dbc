import { execFile } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { buildProviders, bundleHash } from "./bundle.ts";
import type { Cli } from "./cli.ts";
import { downloadLimitMilliseconds, messageOf, reachable, seconds } from "./download.ts";
import { isExecutable, onPath, replaceLink } from "./files.ts";
import { pulumiHome } from "./home.ts";

/** The plugins that the project's stacks need. */
export const pluginNames = ["command", "kubernetes", "random"] as const;

const run = promisify(execFile);

export function officialPlugin(name: string, version: string): string | undefined {
  const executable = `pulumi-resource-${name}`;
  const folder = path.join(pulumiHome(), "plugins", `resource-${name}-v${version}`);
  const cached = path.join(folder, executable);
  if (isExecutable(cached) && !existsSync(`${folder}.partial`)) return cached;
  return process.env["PULUMI_IGNORE_AMBIENT_PLUGINS"] ? undefined : onPath(executable);
}

export async function downloadedPlugin(
  name: string,
  version: string,
  cli: Cli,
  cache: string,
  log: (line: string) => void,
): Promise<string | undefined> {
  if (!(await reachable(cache, log))) return undefined;
  const started = Date.now();
  log(`Downloading the ${name} plugin ${version} …`);
  try {
    await run(path.join(cli.pulumiRoot, "bin", "pulumi"), ["plugin", "install", "resource", name, version], {
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
      timeout: downloadLimitMilliseconds,
    });
    log(`${name} plugin: ${seconds(started)}`);
  } catch (error) {
    log(`The ${name} plugin can't be downloaded (${messageOf(error)}); its stand-in is used.`);
  }
  return officialPlugin(name, version);
}

/**
 * Makes a Pulumi home whose plugins are the official ones that are there, and stand-ins for the rest. A folder of its own,
 * because in the user's home a stand-in would pass for the official plugin in every other project; login and the selected
 * stacks stay those of the user's home.
 * @returns the environment that makes a CLI use it
 */
export async function homeWithStandIns(
  cache: string,
  versions: Record<string, string>,
  official: Record<string, string>,
  log: (line: string) => void,
): Promise<Record<string, string>> {
  const started = Date.now();
  const hash = bundleHash();
  const standIns = path.join(cache, "stand-ins", hash);
  if (await buildProviders(standIns, versions)) {
    const names = pluginNames.filter((name) => official[name] === undefined).join(", ");
    log(`Built the stand-ins for the plugins ${names}: ${seconds(started)}`);
  }
  const officialNames = Object.keys(official).sort().join("-") || "none";
  const home = path.join(cache, "pulumi-home", `${hash}-${officialNames}`);
  for (const [name, version] of Object.entries(versions)) {
    const folder = path.join(home, "plugins", `resource-${name}-v${version}`);
    mkdirSync(folder, { recursive: true });
    const executable = `pulumi-resource-${name}`;
    replaceLink(official[name] ?? path.join(standIns, executable), path.join(folder, executable));
  }
  const workspaces = path.join(pulumiHome(), "workspaces");
  mkdirSync(workspaces, { recursive: true });
  replaceLink(workspaces, path.join(home, "workspaces"));
  return { PULUMI_HOME: home, PULUMI_CREDENTIALS_PATH: process.env["PULUMI_CREDENTIALS_PATH"] || pulumiHome() };
}
