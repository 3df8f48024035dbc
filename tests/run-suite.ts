// Runs test files by mocha and tells the parent process how many passed and failed.
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import Mocha from "mocha";
import type { Outcome } from "./suites.ts";

/** Files that are named, and those named *.test.ts anywhere below a folder. */
function testFiles(place: string): string[] {
  if (!statSync(place).isDirectory()) return [place];
  const entries = readdirSync(place, { recursive: true, encoding: "utf8" });
  return entries.filter((entry) => entry.endsWith(".test.ts")).map((entry) => path.join(place, entry));
}

const files = process.argv.slice(2).flatMap(testFiles).sort();
if (files.length === 0) throw new Error(`no test file in ${process.argv.slice(2).join(" ")}`);

// A limit against tests that hang, not a measure of speed: machines are busy now and then.
const mocha = new Mocha({ timeout: 180_000, forbidOnly: true, forbidPending: true, color: process.stdout.isTTY });
for (const file of files) mocha.addFile(file);
await mocha.loadFilesAsync();
const runner = mocha.run((failures) => {
  const outcome: Outcome = { passed: runner.stats?.passes ?? 0, failed: failures };
  // What a test left open must not keep the process; that it left something is the test's own business to find.
  if (process.send) process.send(outcome, () => process.exit(failures > 0 ? 1 : 0));
  else process.exit(failures > 0 ? 1 : 0);
});
