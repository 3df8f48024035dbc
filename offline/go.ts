import { execFile, spawn } from "node:child_process";
import { accessSync, chmodSync, constants, existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import semver from "semver";
import * as z from "zod";
import { ensurePackages } from "./packages.ts";

/** A Go, and what its environment must hold. */
export interface Go {
  program: string;
  environment: Record<string, string>;
}

export interface NeededGo {
  /** As sentences name it: "the Pulumi CLI". */
  toBuild: string;
  /** Its go.mod says which release it takes, in the line `toolchain`, or else in the line `go`. */
  moduleFolder: string;
  /** What a person can install instead of Go, if there is such a thing. */
  otherWay?: string;
}

/** From this release on, Go fetches the release that a go.mod names by itself (https://go.dev/doc/toolchain). */
const oldestSelfUpdatingGo = "1.21.0";

const run = promisify(execFile);

/**
 * A Go that can build a module: the one that is installed, or a newer one that it fetches as a module.
 * @throws Error that says how to install one
 */
export async function usableGo(
  { toBuild, moduleFolder, otherWay }: NeededGo,
  log: (line: string) => void,
): Promise<Go> {
  const ways = [...(otherWay === undefined ? [] : [otherWay]), "Go (https://go.dev/doc/install)"];
  const way = `Install ${ways.join(" or ")}, and run this again.`;
  if (installedGo() === undefined) {
    await ensurePackages([{ tool: "go", package: "golang-go" }], log).catch((error: unknown) => {
      throw new Error(`There is no Go to build ${toBuild} with. ${way}`, { cause: error });
    });
  }
  const program = installedGo();
  if (program === undefined) throw new Error(`The package golang-go brought no go. ${way}`);
  // Before it answers, Go would otherwise see to the release that a go.mod nearby names.
  const { stdout } = await run(program, ["env", "GOVERSION", "GOOS", "GOARCH"], {
    env: { ...process.env, GOTOOLCHAIN: "local" },
  });
  const [installed = "", operatingSystem = "", architecture = ""] = stdout.trim().split("\n");
  const version = semver.coerce(installed)?.version ?? "0.0.0";
  if (semver.gte(version, oldestSelfUpdatingGo)) return { program, environment: { GOTOOLCHAIN: "auto" } };

  const started = Date.now();
  const release = neededRelease(moduleFolder);
  const toolchain = `golang.org/toolchain@v0.0.1-go${release}.${operatingSystem}-${architecture}`;
  log(`Go ${version} is too old to build ${toBuild}; fetching the module ${toolchain} …`);
  const { stdout: download } = await run(program, ["mod", "download", "-json", toolchain]).catch((error: unknown) => {
    throw new Error(`Go ${version} (${program}) is too old to build ${toBuild}, and can't fetch a newer one. ${way}`, {
      cause: error,
    });
  });
  const folder = z.object({ Dir: z.string() }).parse(JSON.parse(download)).Dir;
  // A module's files are unpacked without the right to run them.
  for (const bin of ["bin", path.join("pkg", "tool", `${operatingSystem}_${architecture}`)]) {
    if (!existsSync(path.join(folder, bin))) continue;
    for (const name of readdirSync(path.join(folder, bin))) chmodSync(path.join(folder, bin, name), 0o755);
  }
  log(`Go ${release}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return { program: path.join(folder, "bin", "go"), environment: { GOTOOLCHAIN: "local", GOROOT: folder } };
}

/** The Go release that a module asks for. */
function neededRelease(moduleFolder: string): string {
  const file = path.join(moduleFolder, "go.mod");
  const goMod = readFileSync(file, "utf8");
  const release = /^toolchain go(\S+)$/m.exec(goMod)?.[1] ?? /^go (\S+)$/m.exec(goMod)?.[1];
  if (release === undefined) throw new Error(`${file} has no line \`go VERSION\`.`);
  return release;
}

/**
 * Runs `go build` in a module's folder.
 * @throws Error with the last lines that Go printed
 */
export async function runGoBuild(
  go: Go,
  moduleFolder: string,
  target: string,
  goPackage: string,
  options: { linkerFlags: readonly string[]; flags?: readonly string[]; environment?: Record<string, string> },
): Promise<void> {
  const { linkerFlags, flags = [], environment = {} } = options;
  const goArguments = ["build", "-mod=readonly", "-buildvcs=false", ...flags, "-ldflags", linkerFlags.join(" ")];
  const child = spawn(go.program, [...goArguments, "-o", target, goPackage], {
    cwd: moduleFolder,
    env: { ...process.env, GOWORK: "off", ...environment, ...go.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0) {
    const last = printed.trimEnd().split("\n").slice(-10).join("\n");
    throw new Error(`go build ${goPackage} failed (exit status ${status ?? "none"}):\n${last}`);
  }
}

function installedGo(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  return [...folders, "/usr/local/go/bin", "/usr/bin"].map((folder) => path.join(folder, "go")).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
