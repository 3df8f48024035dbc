// Runs test files by mocha and tells the parent process, where there is one, how many passed and failed.
//   tests/run-suite.ts [--without TITLE]… FILE|FOLDER…
import { parseArgs } from "node:util";
import Mocha from "mocha";
import { testFiles, type Outcome } from "./suites.ts";

const { values, positionals: places } = parseArgs({
  options: { without: { type: "string", multiple: true } },
  allowPositionals: true,
});
const { without = [] } = values;
const files = places.flatMap(testFiles).sort();
if (files.length === 0) throw new Error(`no test file in: ${places.join(" ")}`);

// A limit against tests that hang, not a measure of speed: machines are busy now and then.
const mocha = new Mocha({ timeout: 180_000, forbidOnly: true, forbidPending: true, color: process.stdout.isTTY });
if (without.length > 0) mocha.grep(new RegExp(without.join("|"))).invert();
for (const file of files) mocha.addFile(file);
await mocha.loadFilesAsync();
const runner = mocha.run((failures) => {
  const outcome: Outcome = { passed: runner.stats?.passes ?? 0, failed: failures };
  // What a test left open must not keep the process; that it left something is the test's own business to find.
  if (process.send) process.send(outcome, () => process.exit(failures > 0 ? 1 : 0));
  else process.exit(failures > 0 ? 1 : 0);
});
