import { execFile } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { buildGoPrograms } from "./go-build.ts";

/** As pinned in helm/go.mod. */
const helmVersion = "3.22.0";

const run = promisify(execFile);

/** The pins lie beside this file; or, where it runs as part of a bundle, beside that. */
const moduleFolders = [path.join(import.meta.dirname, "helm"), path.join(import.meta.dirname, "helm-module")];

/**
 * The Helm CLI: the one on PATH if it is of version 3, else one built from its Go module, once a machine.
 * @returns the program's path
 */
export async function ensureHelm(log: (line: string) => void): Promise<string> {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    const candidate = path.join(folder, "helm");
    if (folder !== "" && isExecutable(candidate) && (await isVersion3(candidate))) return candidate;
  }
  const moduleFolder = moduleFolders.find((folder) => existsSync(path.join(folder, "go.mod")));
  if (moduleFolder === undefined)
    throw new Error(`Helm's go.mod is missing; looked for in ${moduleFolders.join(", ")}.`);
  const cache = path.join(process.env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"), "datapath-lab");
  const folder = await buildGoPrograms(
    {
      title: "Helm",
      version: helmVersion,
      moduleFolder,
      packages: { helm: "helm.sh/helm/v3/cmd/helm" },
      variables: { "helm.sh/helm/v3/internal/version.version": `v${helmVersion}` },
      takes: "once a machine, about two minutes on two cores",
    },
    cache,
    log,
  );
  return path.join(folder, "helm");
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function isVersion3(program: string): Promise<boolean> {
  try {
    const { stdout } = await run(program, ["version", "--short"], { timeout: 10_000 });
    return stdout.startsWith("v3.");
  } catch {
    return false;
  }
}
