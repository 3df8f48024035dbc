// `npm run lab -- COMMAND`: the same program as `pulumi up`, without an account or a prompt.
import { parseArgs } from "node:util";
import { commands } from "./commands.ts";

const usage = `npm run lab -- [COMMAND] [OPTIONS]

  up         build the lab, prove its datapath, measure it (what runs without a command)
  preview    show what up would change
  destroy    remove everything that up made
  outputs    print what the lab knows of itself
  explain    print what a datapath asks for: features, Helm values, plan
  doctor     check everything that up will need, with the way out of what is missing
  compare    measure datapaths in turn, or compare kept runs: compare A.json B.json
  report     write kept runs as a page, .lab/report.html: report [RUN.json …]
  verify     prove and measure the datapath of any cluster, by pods that it removes again: verify --kubeconfig F

  --stack NAME       Pulumi.NAME.yaml has its config (default: local)
  --datapath MODE    vxlan, geneve or native, instead of the stack's; native:router, native:bgp say who carries the routes
  --json             print JSON alone on standard output, all else on standard error
  --datapaths A,B    compare: the datapaths (default: vxlan,native)
  --rounds N         compare: how often each is measured (default: 2)
  --file F           explain, verify: take the config from a YAML or JSON file, - for standard input
  --kubeconfig F     verify: the cluster's kubeconfig (default: KUBECONFIG, else kubectl's own)
  --context C        verify: the context in it
`;

const options = {
  stack: { type: "string", default: "local" },
  datapath: { type: "string" },
  json: { type: "boolean", default: false },
  file: { type: "string" },
  datapaths: { type: "string" },
  rounds: { type: "string", default: "2" },
  kubeconfig: { type: "string" },
  context: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

function readArguments(): ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>> {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    fail(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`, 2);
  }
}

function fail(message: string, status: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(status);
}

const { values, positionals } = readArguments();
const [name = "up", ...operands] = positionals;
const command = Object.hasOwn(commands, name) ? commands[name as keyof typeof commands] : undefined;
if (values.help) {
  process.stdout.write(usage);
} else if (command === undefined) {
  fail(`There is no command ${name}.\n\n${usage}`, 2);
} else {
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) fail("--rounds takes a whole number from 1 to 100.", 2);
  const interruption = new AbortController();
  // Ctrl-C reaches the engine and its commands as well; this process stays to see them clean up.
  process.on("SIGINT", () => {
    interruption.abort();
    process.stderr.write("Interrupted: waiting for what runs to clean up …\n");
  });
  try {
    process.exitCode = await command({
      stack: values.stack,
      json: values.json,
      operands,
      rounds,
      signal: interruption.signal,
      ...(values.datapath === undefined ? {} : { datapath: values.datapath }),
      ...(values.datapaths === undefined ? {} : { datapaths: values.datapaths }),
      ...(values.file === undefined ? {} : { file: values.file }),
      ...(values.kubeconfig === undefined ? {} : { kubeconfig: values.kubeconfig }),
      ...(values.context === undefined ? {} : { context: values.context }),
      log: (line) => process.stderr.write(`${line}\n`),
      print: (text) => process.stdout.write(text),
    });
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), 1);
  }
}
