// Runs a TypeScript program of this project in a clone where nothing is installed yet.
//   node cli/bootstrap.mjs PROGRAM.ts [ARGUMENT …]
// Plain JavaScript on Node's own modules: it is what runs before `npm ci`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import path from "node:path";

const root = path.resolve(import.meta.dirname ?? ".", "..");
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Datapath Lab needs Node.js 20.19 or newer; this is ${process.version}. See https://nodejs.org.`);
  process.exit(1);
}

const stamp = path.join(root, "node_modules", ".datapath-lab-lock");
const lock = createHash("sha256")
  .update(readFileSync(path.join(root, "package-lock.json")))
  .digest("hex");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lock) {
  const started = Date.now();
  console.error("Installing the project's npm packages (npm ci) …");
  rmSync(stamp, { force: true });
  // npm's own report goes to stderr: stdout belongs to the program (--json).
  const install = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (install.status !== 0) {
    console.error(`npm ci failed (exit status ${install.status ?? install.signal ?? install.error?.message}).`);
    process.exit(1);
  }
  writeFileSync(stamp, lock);
  console.error(`npm ci: ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

const [program, ...programArguments] = process.argv.slice(2);
const child = spawn(process.execPath, ["--import", "tsx", path.join(root, program ?? ""), ...programArguments], {
  cwd: root,
  stdio: "inherit",
});
// The terminal sends Ctrl-C to the whole process group; this parent only waits for the program to clean up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT") child.kill(signal);
  });
}
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
