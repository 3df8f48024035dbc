// Runs test files by mocha and tells the parent process, where there is one, how many passed and failed.
//   tests/run-suite.ts [--without TITLE]… [FILE|FOLDER]…     by itself: what the suite fast begins with
import { parseArgs } from "node:util";
import Mocha from "mocha";
import { suites, testFiles, type MochaStep, type Outcome } from "./suites.ts";

/** What the command line says, or where it says nothing the first tests of the suite fast. */
function asked(): MochaStep {
  const { values, positionals } = parseArgs({
    options: { without: { type: "string", multiple: true } },
    allowPositionals: true,
  });
  if (positionals.length > 0) return { mocha: positionals, without: values.without ?? [] };
  const [first] = suites.find(({ name }) => name === "fast")?.steps ?? [];
  if (first === undefined || !("mocha" in first)) throw new Error("there is no suite fast");
  return first;
}

const { mocha: places, without = [] } = asked();
const files = places.flatMap(testFiles).sort();
if (files.length === 0) throw new Error(`no test file in ${places.join(" ")}`);

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
