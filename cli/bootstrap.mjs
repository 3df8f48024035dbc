// Runs a TypeScript program of this project in a clone where nothing is installed yet.
//   node cli/bootstrap.mjs PROGRAM.ts [ARGUMENT …]
// Plain JavaScript on Node's own modules: it is what runs before `npm ci`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
const isInstalled = () => existsSync(stamp) && readFileSync(stamp, "utf8") === lock;
if (!isInstalled()) {
  const busy = path.join(root, ".lab", "npm-ci");
  if (!take(busy)) {
    console.error("Another process installs the project's npm packages: waiting for it …");
    while (!take(busy)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  }
  const installed = isInstalled() || install();
  rmSync(busy, { force: true });
  if (!installed) process.exit(1);
}

/** Takes a lock file, also one whose process is gone. */
function take(file) {
  mkdirSync(path.dirname(file), { recursive: true });
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  try {
    const owner = Number(readFileSync(file, "utf8"));
    // The owner may have the file made and nothing written into it yet.
    if (owner === 0) return false;
    process.kill(owner, 0);
  } catch (error) {
    if (error.code === "ESRCH") rmSync(file, { force: true });
  }
  return false;
}

function install() {
  const started = Date.now();
  console.error("Installing the project's npm packages (npm ci) …");
  rmSync(stamp, { force: true });
  // npm's own report goes to stderr: stdout belongs to the program (--json).
  const run = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (run.status !== 0) {
    console.error(`npm ci failed (exit status ${run.status ?? run.signal ?? run.error?.message}).`);
    return false;
  }
  writeFileSync(stamp, lock);
  console.error(`npm ci: ${((Date.now() - started) / 1000).toFixed(0)} s`);
  return true;
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
