// `npm run lab -- COMMAND`: the same program as `pulumi up`, without an account or a prompt.
import { labProgram } from "./program.ts";

const interruption = new AbortController();
// Ctrl-C reaches the engine and its commands as well; this process stays to see them clean up. So it does where it is told to end,
// and where its terminal is closed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interruption.abort();
    process.stderr.write("Interrupted: waiting for what runs to clean up …\n");
  });
}
// Nobody may be left to read that.
process.stderr.on("error", () => undefined);
process.exitCode = await labProgram(process.argv.slice(2), {
  signal: interruption.signal,
  environment: process.env,
  log: (line) => process.stderr.write(`${line}\n`),
  print: (text) => process.stdout.write(text),
});
