// Runs tests again at every save.
//   npm run test:watch                 the suite fast
//   npm run test:watch -- FILE…        these files alone
import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(import.meta.dirname, "..");
const files = process.argv.slice(2);
/** The suite runs in processes of its own, whose imports tsx does not see. */
const sources = [
  "bench",
  "cli",
  "components",
  "datapath",
  "docs",
  "examples",
  "offline",
  "report",
  "scripts",
  "tests",
  "verification",
];
const words =
  files.length > 0
    ? ["tests/run-suite.ts", ...files]
    : [...sources.flatMap((folder) => ["--include", `${folder}/**/*`]), "tests/run.ts", "fast"];
const tsx = fileURLToPath(import.meta.resolve("tsx/cli"));
const child = spawn(process.execPath, [tsx, "watch", "--clear-screen=false", ...words], {
  cwd: root,
  stdio: "inherit",
});
// The terminal sends Ctrl-C to both; what ends this process alone is to end the other too.
for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
process.on("SIGINT", () => undefined);
child.on("exit", (code) => process.exit(code ?? 1));
