// node cli/bootstrap.mjs offline/environment.ts: prints, as lines for a shell, what plain `pulumi` commands need.
import { ensureEngine } from "./engine.ts";

const engine = await ensureEngine({ log: (line) => process.stderr.write(`${line}\n`) });
for (const [name, value] of Object.entries(engine.environment)) {
  process.stdout.write(`export ${name}='${value.replaceAll("'", "'\\''")}'\n`);
}
