import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { runGoBuild, usableGo } from "../go.ts";
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
      const go = await usableGo({ toBuild: programs.title, moduleFolder: programs.moduleFolder }, log);
      const started = Date.now();
      log(`Building ${programs.title} ${programs.version} from Go modules; ${programs.takes} …`);
      const draft = `${folder}.draft`;
      rmSync(draft, { recursive: true, force: true });
      mkdirSync(draft);
      const variables = Object.entries(programs.variables).flatMap(([name, value]) => ["-X", `${name}=${value}`]);
      // One after another: each uses all cores by itself, and side by side they would need twice the memory.
      for (const [name, goPackage] of Object.entries(programs.packages)) {
        const programStarted = Date.now();
        await runGoBuild(go, programs.moduleFolder, path.join(draft, name), goPackage, {
          linkerFlags: ["-s", "-w", ...(programs.linkerFlags ?? []), ...variables],
          flags: ["-trimpath", "-tags", (programs.tags ?? []).join(",")],
          // The user's own flags must not reach the build.
          environment: { CGO_ENABLED: "0", GOFLAGS: "" },
        });
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
