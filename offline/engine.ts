import { mkdirSync } from "node:fs";
import path from "node:path";
import { ensureCli, findCli, type Cli } from "./cli.ts";
import { searchPath } from "./files.ts";
import { cacheFolder, versionOf } from "./home.ts";
import { downloadedPlugin, homeWithStandIns, officialPlugin, pluginNames } from "./plugins.ts";

/** A Pulumi CLI with its language host and the plugins that the project's stacks need. */
export interface Engine extends Cli {
  /** What the environment of every `pulumi` process must hold. */
  readonly environment: Record<string, string>;
  /** By name: whether the official plugin runs or what this folder offers in its place. */
  readonly plugins: Record<string, "official" | "stand-in">;
}

export interface EnsureEngineOptions {
  /** Takes one line about what is done and how long it took. */
  log: (line: string) => void;
}

/**
 * Finds, downloads or builds the Pulumi CLI and the plugins; only the first call on a machine takes time. An official CLI
 * or plugin is always preferred to what this folder builds.
 * @throws Error that names what is missing and how to install it.
 */
export async function ensureEngine({ log }: EnsureEngineOptions): Promise<Engine> {
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const cli = await ensureCli(cache, log);
  const bin = path.join(cli.pulumiRoot, "bin");
  const environment: Record<string, string> = {
    PATH: [bin, ...searchPath().filter((folder) => folder !== bin)].join(path.delimiter),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const versions = Object.fromEntries(pluginNames.map((name) => [name, versionOf(`@pulumi/${name}`)]));
  const official: Record<string, string> = {};
  for (const [name, version] of Object.entries(versions)) {
    const found = officialPlugin(name, version) ?? (await downloadedPlugin(name, version, cli, cache, log));
    if (found !== undefined) official[name] = found;
  }
  const plugins = Object.fromEntries(
    pluginNames.map((name) => [name, official[name] === undefined ? "stand-in" : "official"] as const),
  );
  if (Object.values(plugins).includes("stand-in")) {
    Object.assign(environment, await homeWithStandIns(cache, versions, official, log));
  }
  return { ...cli, environment, plugins };
}

/** What of an engine this machine has already. Downloads, builds and changes nothing. */
export async function findEngine(): Promise<{
  readonly cli: Engine["source"] | undefined;
  readonly plugins: Engine["plugins"];
}> {
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const cli = await findCli(cache);
  const kinds = pluginNames.map((name) => {
    const official = officialPlugin(name, versionOf(`@pulumi/${name}`));
    return [name, official === undefined ? "stand-in" : "official"] as const;
  });
  return { cli: cli?.source, plugins: Object.fromEntries(kinds) };
}
