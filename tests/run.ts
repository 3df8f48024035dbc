// `npm test`: every check of the project, in the order in which they say most for their time.
//   npm test                   all of them
//   npm test -- unit lab       these suites alone
//   npm test -- fast           the unit tests that take no time
// On a person's machine a suite whose prerequisites are missing is left out and named at the end; with CI=true nothing is
// left out: what is missing is installed, or the run fails.
import { fork, spawn } from "node:child_process";
import path from "node:path";
import { lateness, suites, type MochaStep, type Outcome, type Step, type Suite } from "./suites.ts";

const root = path.resolve(import.meta.dirname, "..");
const isCI = process.env["CI"] === "true";

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(`There is no suite ${unknown.join(", ")}. Suites: ${suites.map(({ name }) => name).join(", ")}.`);
  process.exit(2);
}

/**
 * What each suite needs, or why it can't be had. It is brought one after another while earlier suites run: builds of minutes,
 * beside tests that wait much.
 */
const prepared = new Map<Suite, Promise<string | undefined>>();

function prepare(wanted: readonly Suite[]): void {
  let last: Promise<unknown> = Promise.resolve();
  for (const suite of wanted) {
    const ready = last
      .then(() => suite.prepare?.((line) => console.log(line)))
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    prepared.set(suite, ready);
    last = ready;
  }
}

function runCommand([program = "", ...rest]: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, rest, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", (error) => {
      console.error(error.message);
      resolve({ passed: 0, failed: 1 });
    });
    child.on("close", (code) => resolve(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }));
  });
}

/**
 * Runs mocha in a process of its own: Pulumi's mocks are one a process. A process that says nothing has failed. `held` keeps
 * back what it prints until it ends.
 */
function runMocha({ mocha, without = [] }: MochaStep, held: boolean): Promise<Outcome> {
  return new Promise((resolve) => {
    const words = [...without.flatMap((title) => ["--without", title]), ...mocha];
    const child = fork(path.join(import.meta.dirname, "run-suite.ts"), words, { cwd: root, silent: held });
    let outcome: Outcome | undefined;
    const printed: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => printed.push(chunk));
    child.on("message", (message: Outcome) => (outcome = message));
    child.on("close", (code) => {
      process.stdout.write(Buffer.concat(printed));
      const result = outcome ?? { passed: 0, failed: 1 };
      resolve(code !== 0 && result.failed === 0 ? { ...result, failed: 1 } : result);
    });
  });
}

async function runSuite(suite: Suite): Promise<Outcome> {
  const missing = await prepared.get(suite);
  if (missing !== undefined) {
    if (!isCI) return { passed: 0, failed: 0, leftOut: missing };
    console.error(missing);
    return { passed: 0, failed: 1 };
  }
  const run = (step: Step, held: boolean): Promise<Outcome> =>
    "command" in step ? runCommand(step.command) : runMocha(step, held);
  const outcomes: Outcome[] = [];
  if (suite.together) outcomes.push(...(await Promise.all(suite.steps.map((step) => run(step, true)))));
  else for (const step of suite.steps) outcomes.push(await run(step, false));
  return {
    passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
    failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
  };
}

const results: { suite: Suite; outcome: Outcome; seconds: number }[] = [];
const wanted = suites.filter(({ name, partOf }) =>
  chosen.length === 0 ? partOf === undefined : chosen.includes(name),
);
prepare(wanted);
for (const suite of wanted) {
  console.log(`\n=== ${suite.name}: ${suite.about}`);
  const began = Date.now();
  const outcome = await runSuite(suite);
  results.push({ suite, outcome, seconds: (Date.now() - began) / 1000 });
}

console.log("");
for (const { suite, outcome, seconds } of results) {
  const counts = `${outcome.passed} passed, ${outcome.failed} failed`;
  console.log(
    `${suite.name.padEnd(10)} ${`${seconds.toFixed(0)} s`.padStart(6)}  ${outcome.leftOut === undefined ? counts : "left out"}`,
  );
}
for (const { suite, seconds } of results) {
  const warning = lateness(suite, seconds);
  if (warning !== undefined) console.log(`\n${warning}`);
}
const leftOut = results.filter(({ outcome }) => outcome.leftOut !== undefined);
for (const { suite, outcome } of leftOut) console.log(`\nLeft out: ${suite.name}\n  ${outcome.leftOut ?? ""}`);
const passed = results.reduce((sum, { outcome }) => sum + outcome.passed, 0);
const failed = results.reduce((sum, { outcome }) => sum + outcome.failed, 0);
console.log(`\n${passed} passed, ${failed} failed${leftOut.length > 0 ? `, ${leftOut.length} skipped` : ""}`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
