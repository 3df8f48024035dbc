import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** A program, and the Debian and Ubuntu package that brings it. */
export interface PackagedTool {
  readonly tool: string;
  readonly package: string;
}

/** Administrators' tools stand in folders that an ordinary user's PATH leaves out. */
const searched = [...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];

function isInstalled(tool: string): boolean {
  return searched.some((folder) => {
    try {
      accessSync(path.join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Which of the tools are missing, the command that installs them, and whether this process may run it. */
export function missingTools(wanted: readonly PackagedTool[]): {
  readonly tools: readonly string[];
  readonly command: string;
  readonly canInstall: boolean;
} {
  const absent = wanted.filter(({ tool }) => !isInstalled(tool));
  return {
    tools: absent.map(({ tool }) => tool),
    command: installCommand(absent.map((entry) => entry.package)),
    canInstall: canInstall(),
  };
}

/**
 * Makes sure that tools are there: installs what is missing with apt-get where this is root on Debian or Ubuntu.
 * @throws an error that names what is missing and the command that installs it, everywhere else
 */
export async function ensurePackages(wanted: readonly PackagedTool[], log: (line: string) => void): Promise<void> {
  const missing = wanted.filter(({ tool }) => !isInstalled(tool));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((entry) => entry.package))];
  const names = missing.map(({ tool }) => tool).join(", ");
  const command = installCommand(packages);
  if (!canInstall()) {
    throw new Error(`Missing tools: ${names}. Install them, on Debian or Ubuntu with:\n  sudo ${command}`);
  }
  const started = Date.now();
  log(`Installing ${packages.join(", ")} (missing: ${names}) …`);
  const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
  let result = await aptGet(install);
  if (result.exitCode !== 0) {
    // The package lists of a new machine are empty or old.
    await aptGet(["update", "-q"]);
    result = await aptGet(install);
  }
  if (result.exitCode !== 0) throw new Error(`${command} failed:\n${result.output.trim()}`);
  log(`Installed ${packages.join(", ")} in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

function installCommand(packages: readonly string[]): string {
  return `apt-get install -y --no-install-recommends ${[...new Set(packages)].join(" ")}`;
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && isDebian() && isInstalled("apt-get");
}

function isDebian(): boolean {
  return (
    existsSync("/etc/os-release") && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync("/etc/os-release", "utf8"))
  );
}

function aptGet(commandArguments: readonly string[]): Promise<{ exitCode: number; output: string }> {
  const child = spawn("apt-get", ["-o", "DPkg::Lock::Timeout=120", ...commandArguments], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ exitCode: code ?? 1, output }));
  });
}
