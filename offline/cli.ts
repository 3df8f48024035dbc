import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import semver from "semver";
import * as z from "zod";
import { downloadLimitMilliseconds, messageOf, reachable, seconds } from "./download.ts";
import { isExecutable, onPath, removeDrafts, replaceLink, searchPath, writeAtomically } from "./files.ts";
import { runGoBuild, usableGo, type Go } from "./go.ts";
import { pulumiHome, versionOf } from "./home.ts";
import { withLock } from "./lock.ts";

/** A Pulumi CLI with its Node.js language host. */
export interface Cli {
  /** The folder that holds `bin/pulumi`, as `PulumiCommand.get({ root })` of the Automation API takes it. */
  readonly pulumiRoot: string;
  /** Where the CLI comes from: found on PATH, downloaded by the npm package `pulumi`, or built from its Go module. */
  readonly source: "installed" | "npm" | "built";
}

/** Older CLIs lack what the program relies on. */
const oldestUsableCli = "3.200.0";
/** Lies beside a CLI that was built here, and says from which sources. */
const builtMarker = ".built-from-go-modules";

const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** Finds, downloads or builds a CLI. */
export async function ensureCli(cache: string, log: (line: string) => void): Promise<Cli> {
  return (await installedCli(cache, log)) ?? (await cachedCli(cache, log));
}

/** The CLI that is there already. */
export async function findCli(cache: string): Promise<Cli | undefined> {
  return (await installedCli(cache, () => undefined)) ?? cliAt(cliRoot());
}

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
