import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const sourceFolder = path.join(import.meta.dirname, "providers");
/** What the stand-in for `kubernetes` builds Helm with, and from. */
const kubernetesFolder = path.join(import.meta.dirname, "kubernetes");

/** A hash of everything that the stand-in providers are built from and run with. */
export function bundleHash(): string {
  const hash = createHash("sha256").update(`${process.execPath} ${process.version}\n`);
  const files = [sourceFolder, kubernetesFolder].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|go|mod|sum)$/.test(name))
      .sort()
      .map((name) => path.join(folder, name)),
  );
  const others = ["bundle.ts", "go.ts", "lock.ts", "packages.ts", "../package-lock.json"].map((name) =>
    path.join(import.meta.dirname, name),
  );
  for (const file of [...files, ...others]) {
    hash
      .update(`${path.relative(sourceFolder, file)}\n`)
      .update(readFileSync(file))
      .update("\n");
  }
  return hash.digest("hex").slice(0, 16);
}

/**
 * Builds the stand-in providers into one file, which starts several times faster than their sources, and one launcher a
 * provider.
 * @param folder where to; made atomically, and left as it is when it exists
 * @param versions the plugins' versions by their names
 * @returns true if something was built
 */
export async function buildProviders(folder: string, versions: Record<string, string>): Promise<boolean> {
  if (existsSync(folder)) return false;
  const { build } = await import("esbuild");
  const draft = `${folder}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  await build({
    entryPoints: [path.join(sourceFolder, "main.ts")],
    outfile: path.join(draft, "providers.cjs"),
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    minify: true,
    define: { "import.meta.dirname": "__dirname" },
    // ssh2 works without its native parts.
    external: ["*.node", "cpu-features"],
    logLevel: "error",
  });
  cpSync(path.join(kubernetesFolder, "helm"), path.join(draft, "helm-module"), { recursive: true });
  for (const [name, version] of Object.entries(versions)) {
    const launcher = [
      "#!/bin/sh",
      `exec ${shellQuoted(process.execPath)} ${shellQuoted(path.join(folder, "providers.cjs"))} ${name} ${version} "$@"`,
      "",
    ].join("\n");
    writeFileSync(path.join(draft, `pulumi-resource-${name}`), launcher, { mode: 0o755 });
  }
  try {
    renameSync(draft, folder);
  } catch (error) {
    // Another process was faster; what it built is the same.
    if (!existsSync(folder)) throw error;
    rmSync(draft, { recursive: true, force: true });
  }
  return true;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
