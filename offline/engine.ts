import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import semver from "semver";
import * as z from "zod";
import { buildProviders, bundleHash } from "./bundle.ts";
import { runGoBuild, usableGo, type Go } from "./go.ts";
import { withLock } from "./lock.ts";

/** A Pulumi CLI with its language host and the plugins that the project's stacks need. */
export interface Engine {
  /** The folder that holds `bin/pulumi`, as `PulumiCommand.get({ root })` of the Automation API takes it. */
  pulumiRoot: string;
  /** What the environment of every `pulumi` process must hold. */
  environment: Record<string, string>;
  /** Where the CLI comes from: found on PATH, downloaded by the npm package `pulumi`, or built from its Go module. */
  source: "installed" | "npm" | "built";
  /** By name: whether the official plugin runs or what this folder offers in its place. */
  plugins: Record<string, "official" | "stand-in">;
}

export interface EnsureEngineOptions {
  /** Takes one line about what is done and how long it took. */
  log: (line: string) => void;
}

type Cli = Pick<Engine, "pulumiRoot" | "source">;

/** Older CLIs lack what the program relies on. */
const oldestUsableCli = "3.200.0";
/** How long a download host may take to answer before it counts as blocked. */
const probeLimitMilliseconds = 5_000;
/** How long a host that did not answer is not asked again. */
const blockedForMilliseconds = 24 * 60 * 60 * 1000;
const downloadLimitMilliseconds = 10 * 60 * 1000;

const installScriptUrl = "https://get.pulumi.com/install.sh";
const pluginNames = ["command", "kubernetes", "random"] as const;
/** Lies beside a CLI that was built here, and says from which sources. */
const builtMarker = ".built-from-go-modules";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const packageVersion = z.object({ version: z.string() });

/**
 * Finds, downloads or builds the Pulumi CLI and the plugins; only the first call on a machine takes time. An official CLI
 * or plugin is always preferred to what this folder builds.
 * @throws Error that names what is missing and how to install it.
 */
export async function ensureEngine({ log }: EnsureEngineOptions): Promise<Engine> {
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const cli = (await installedCli(cache, log)) ?? (await cachedCli(cache, log));
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
  const cli = (await installedCli(cache, () => undefined)) ?? cliAt(cliRoot());
  const kinds = pluginNames.map((name) => {
    const official = officialPlugin(name, versionOf(`@pulumi/${name}`));
    return [name, official === undefined ? "stand-in" : "official"] as const;
  });
  return { cli: cli?.source, plugins: Object.fromEntries(kinds) };
}

/** The folder of this project that outlives a clone. */
export function cacheFolder(): string {
  return path.join(process.env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"), "datapath-lab");
}

/** Pulumi's home, also where the environment already names the one with stand-ins that was made beside it. */
function pulumiHome(): string {
  const home = process.env["PULUMI_HOME"] || path.join(homedir(), ".pulumi");
  if (path.dirname(home) !== path.join(cacheFolder(), "pulumi-home")) return home;
  return path.dirname(readlinkSync(path.join(home, "workspaces")));
}

function searchPath(): string[] {
  return (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
}

function onPath(program: string): string | undefined {
  return searchPath()
    .map((folder) => path.join(folder, program))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function versionOf(npmPackage: string): string {
  return packageVersion.parse(JSON.parse(readFileSync(require.resolve(`${npmPackage}/package.json`), "utf8"))).version;
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// --- The CLI ---------------------------------------------------------------------------------------------------------

async function installedCli(cache: string, log: (line: string) => void): Promise<Cli | undefined> {
  for (const folder of searchPath()) {
    const file = path.join(folder, "pulumi");
    if (!isExecutable(file)) continue;
    const real = realpathSync(file);
    // The npm package's wrapper is a script; what it runs is looked for by cachedCli.
    if (real.endsWith(".js") || real.startsWith(`${cliRoot()}${path.sep}`)) continue;
    const version = await versionOfCli(real, cache);
    const problem = semver.lt(version, oldestUsableCli)
      ? `is older than ${oldestUsableCli}`
      : !isExecutable(path.join(path.dirname(real), "pulumi-language-nodejs")) && !onPath("pulumi-language-nodejs")
        ? "has no Node.js language host beside it or on PATH"
        : undefined;
    if (problem !== undefined) {
      log(`The Pulumi CLI ${version} at ${file} ${problem}, and is not used.`);
      continue;
    }
    if (path.basename(folder) === "bin") return { pulumiRoot: path.dirname(folder), source: "installed" };
    const root = path.join(cache, "installed-cli");
    mkdirSync(path.join(root, "bin"), { recursive: true });
    replaceLink(real, path.join(root, "bin", "pulumi"));
    return { pulumiRoot: root, source: "installed" };
  }
  return undefined;
}

const cliVersions = z.record(z.string(), z.string());

/** Asking a CLI for its version takes longer than all else here, so the answer is kept for as long as the file is the same. */
async function versionOfCli(file: string, cache: string): Promise<string> {
  const { mtimeMs, size } = statSync(file);
  const key = `${file} ${mtimeMs} ${size}`;
  const store = path.join(cache, "cli-versions.json");
  const known = existsSync(store) ? cliVersions.safeParse(JSON.parse(readFileSync(store, "utf8"))).data : undefined;
  const cached = known?.[key];
  if (cached !== undefined) return cached;
  const { stdout } = await run(file, ["version"], { env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" } });
  const version = semver.parse(stdout.trim())?.version ?? "0.0.0";
  writeAtomically(store, JSON.stringify({ [key]: version }));
  return version;
}

/** Where the npm package `pulumi` keeps the CLI of its own version. */
function cliRoot(): string {
  return path.join(pulumiHome(), "versions", versionOf("pulumi"));
}

function cliAt(root: string): Cli | undefined {
  const complete = ["pulumi", "pulumi-language-nodejs"].every((name) => isExecutable(path.join(root, "bin", name)));
  if (!complete) return undefined;
  const marker = path.join(root, builtMarker);
  if (!existsSync(marker)) return { pulumiRoot: root, source: "npm" };
  // What another state of this project built is built anew.
  return readFileSync(marker, "utf8") === builtFrom() ? { pulumiRoot: root, source: "built" } : undefined;
}

async function cachedCli(cache: string, log: (line: string) => void): Promise<Cli> {
  const root = cliRoot();
  const present = cliAt(root);
  if (present) return present;
  return withLock(
    path.join(cache, "cli.lock"),
    async () => {
      const madeMeanwhile = cliAt(root);
      if (madeMeanwhile) return madeMeanwhile;
      await downloadCli(root, cache, log);
      if (!cliAt(root)) await buildCli(root, cache, log);
      const made = cliAt(root);
      if (!made) throw new Error(`The Pulumi CLI is still missing in ${root} after it was installed.`);
      return made;
    },
    (owner) => log(`Waiting for process ${owner}, which is installing the Pulumi CLI …`),
  );
}

async function downloadCli(root: string, cache: string, log: (line: string) => void): Promise<void> {
  const version = versionOf("pulumi");
  if (!(await reachable(cache, log))) return;
  const started = Date.now();
  log(`Downloading the Pulumi CLI ${version} (npm package pulumi) …`);
  try {
    await run(process.execPath, [require.resolve("pulumi/run.js"), "version"], { timeout: downloadLimitMilliseconds });
    log(`Pulumi CLI ${version} downloaded to ${root}: ${seconds(started)}`);
  } catch (error) {
    log(`The download failed after ${seconds(started)}: ${messageOf(error)}`);
  }
}

/** Whether Pulumi's download host answers; that it does not is remembered for a day. */
async function reachable(cache: string, log: (line: string) => void): Promise<boolean> {
  const stamp = path.join(cache, "downloads-blocked");
  if (existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < blockedForMilliseconds) return false;
  const host = new URL(installScriptUrl).host;
  const problem = await fetch(installScriptUrl, { method: "HEAD", signal: AbortSignal.timeout(probeLimitMilliseconds) })
    .then((response) => (response.ok ? undefined : `HTTP status ${response.status}`))
    .catch((error: unknown) => messageOf(error instanceof Error && error.cause ? error.cause : error));
  if (problem === undefined) {
    rmSync(stamp, { force: true });
    return true;
  }
  log(`Pulumi's CLI and plugins can't be downloaded here (${host}: ${problem}); the folder offline/ provides them.`);
  writeFileSync(stamp, `${problem}\n`);
  return false;
}

/**
 * Lays CLI and Node.js language host, built from their Go modules at the versions that go.mod and go.sum pin, where the
 * npm package `pulumi` looks for them. What was built stays in the cache, for the next Pulumi home on this machine.
 */
async function buildCli(root: string, cache: string, log: (line: string) => void): Promise<void> {
  const version = versionOf("pulumi");
  const built = path.join(cache, "cli", `${version}-${goSourcesHash()}`);
  // Under the lock, every other draft is what a killed process left.
  for (const goal of [built, root]) removeDrafts(goal);
  if (!existsSync(built)) {
    const draft = `${built}.${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    try {
      await buildCliInto(draft, version, log);
      renameSync(draft, built);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  const draft = `${root}.${process.pid}`;
  mkdirSync(path.dirname(root), { recursive: true });
  rmSync(draft, { recursive: true, force: true });
  cpSync(built, draft, { recursive: true, mode: constants.COPYFILE_FICLONE });
  writeFileSync(path.join(draft, builtMarker), builtFrom());
  rmSync(root, { recursive: true, force: true });
  renameSync(draft, root);
}

async function buildCliInto(folder: string, version: string, log: (line: string) => void): Promise<void> {
  const go = await usableGo(
    {
      toBuild: "the Pulumi CLI",
      moduleFolder: path.join(import.meta.dirname, "go", "cli"),
      otherWay: "the Pulumi CLI (https://www.pulumi.com/docs/install/)",
    },
    log,
  );
  const started = Date.now();
  const bin = path.join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  log(`Building the Pulumi CLI ${version} from its Go module; once a machine, about five minutes on two cores …`);
  const versionVariable = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";
  await goBuild(go, "cli", path.join(bin, "pulumi"), "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", [
    `-X ${versionVariable}=v${version}`,
  ]);
  log(`Pulumi CLI: ${seconds(started)}`);
  const hostStarted = Date.now();
  await goBuild(go, "language-nodejs", path.join(bin, "pulumi-language-nodejs"), ".", []);
  log(`Node.js language host: ${seconds(hostStarted)}`);
  // What runs dynamic providers; the official download lays the same script beside the CLI.
  const dynamicProvider = path.join(bin, "pulumi-resource-pulumi-nodejs");
  copyFileSync(require.resolve("@pulumi/pulumi/pulumi-resource-pulumi-nodejs"), dynamicProvider);
  chmodSync(dynamicProvider, 0o755);
}

function builtFrom(): string {
  return `Built by Datapath Lab from the Go modules of Pulumi ${versionOf("pulumi")}, by sources ${goSourcesHash()}.\n`;
}

function goSourcesHash(): string {
  const hash = createHash("sha256");
  const folder = path.join(import.meta.dirname, "go");
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const file = path.join(folder, name);
    if (statSync(file).isFile()) hash.update(`${name}\n`).update(readFileSync(file)).update("\n");
  }
  return hash.digest("hex").slice(0, 16);
}

/** Runs `go build` in a folder of `go/`. */
async function goBuild(go: Go, folder: string, target: string, goPackage: string, link: string[]): Promise<void> {
  await runGoBuild(go, path.join(import.meta.dirname, "go", folder), target, goPackage, {
    linkerFlags: ["-s", "-w", ...link],
  });
}

// --- The plugins -----------------------------------------------------------------------------------------------------

function officialPlugin(name: string, version: string): string | undefined {
  const executable = `pulumi-resource-${name}`;
  const folder = path.join(pulumiHome(), "plugins", `resource-${name}-v${version}`);
  const cached = path.join(folder, executable);
  if (isExecutable(cached) && !existsSync(`${folder}.partial`)) return cached;
  return process.env["PULUMI_IGNORE_AMBIENT_PLUGINS"] ? undefined : onPath(executable);
}

async function downloadedPlugin(
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
async function homeWithStandIns(
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

// --- Files -----------------------------------------------------------------------------------------------------------

function removeDrafts(goal: string): void {
  const folder = path.dirname(goal);
  if (!existsSync(folder)) return;
  const drafts = readdirSync(folder).filter((name) => name.startsWith(`${path.basename(goal)}.`));
  for (const name of drafts) rmSync(path.join(folder, name), { recursive: true, force: true });
}

function replaceLink(target: string, link: string): void {
  if (existsSync(link) && realpathSync(link) === realpathSync(target)) return;
  const draft = `${link}.${process.pid}`;
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  renameSync(draft, link);
}

function writeAtomically(file: string, text: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}
