import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { withLock } from "../lock.ts";

/** Programs to build from one Go module that only pins versions. */
export interface GoPrograms {
  /** What log lines and the cache call them: "Helm", "Kubernetes". */
  title: string;
  /** The version that is built, for log lines and the cache. */
  version: string;
  /** Folder with go.mod and go.sum. */
  moduleFolder: string;
  /** Go packages by the names of the programs that they become. */
  packages: Record<string, string>;
  /** Values for `-X`, by the variables' full names. */
  variables: Record<string, string>;
  /** Further flags for Go's linker. */
  linkerFlags?: readonly string[];
  tags?: readonly string[];
  /** Shown before the build starts: what it takes. */
  takes: string;
}

/**
 * Builds programs from their Go modules, once for a cache folder and a set of pins, and without C.
 * @returns the folder that holds the programs
 * @throws Error that names the program with the last lines that Go printed, or says that there is no Go
 */
export async function buildGoPrograms(
  programs: GoPrograms,
  cacheFolder: string,
  log: (line: string) => void,
): Promise<string> {
  const folder = path.join(
    cacheFolder,
    "go-programs",
    `${programs.title.toLowerCase()}-${programs.version}-${keyOf(programs)}`,
  );
  if (existsSync(folder)) return folder;
  mkdirSync(path.dirname(folder), { recursive: true });
  return withLock(
    `${folder}.lock`,
    async () => {
      if (existsSync(folder)) return folder;
      const started = Date.now();
      log(`Building ${programs.title} ${programs.version} from Go modules; ${programs.takes} …`);
      const draft = `${folder}.draft`;
      rmSync(draft, { recursive: true, force: true });
      mkdirSync(draft);
      // One after another: each uses all cores by itself, and side by side they would need twice the memory.
      for (const [name, goPackage] of Object.entries(programs.packages)) {
        const programStarted = Date.now();
        await goBuild(programs, path.join(draft, name), goPackage);
        log(`${name}: ${seconds(programStarted)}`);
      }
      renameSync(draft, folder);
      log(`${programs.title} ${programs.version} built: ${seconds(started)}`);
      return folder;
    },
    (owner) => log(`Waiting for process ${owner}, which is building ${programs.title} …`),
  );
}

function keyOf(programs: GoPrograms): string {
  const hash = createHash("sha256").update(
    JSON.stringify([process.arch, programs.packages, programs.variables, programs.linkerFlags, programs.tags]),
  );
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(path.join(programs.moduleFolder, file)));
  return hash.digest("hex").slice(0, 16);
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

function goProgram(): string {
  const searched = (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  return (
    [...searched, "/usr/local/go/bin", "/usr/lib/go/bin"]
      .map((folder) => path.join(folder, "go"))
      .find((file) => existsSync(file)) ?? "go"
  );
}

async function goBuild(programs: GoPrograms, target: string, goPackage: string): Promise<void> {
  const linkerFlags = [
    "-s",
    "-w",
    ...(programs.linkerFlags ?? []),
    ...Object.entries(programs.variables).flatMap(([variable, value]) => ["-X", `${variable}=${value}`]),
  ];
  const goArguments = [
    ...["build", "-mod=readonly", "-buildvcs=false", "-trimpath"],
    ...["-tags", (programs.tags ?? []).join(",")],
    ...["-ldflags", linkerFlags.join(" "), "-o", target, goPackage],
  ];
  const child = spawn(goProgram(), goArguments, {
    cwd: programs.moduleFolder,
    // The user's own flags and workspace must not reach the build; an older Go fetches the release that go.mod names.
    env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off", GOTOOLCHAIN: "auto" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "ENOENT"
          ? new Error(
              `There is no Go to build ${programs.title} ${programs.version} with. ` +
                "Install Go 1.21 or newer (https://go.dev/doc/install) and run this again.",
            )
          : error,
      ),
    );
    child.once("close", resolve);
  });
  if (status !== 0) {
    const last = printed.trimEnd().split("\n").slice(-10).join("\n");
    throw new Error(`go build ${goPackage} failed (exit status ${status ?? "none"}):\n${last}`);
  }
}
