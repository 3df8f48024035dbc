import { parseArgs } from "node:util";
import { nearest } from "../datapath/config/nearest.ts";
import type { Call } from "./call.ts";
import { commands } from "./commands/index.ts";

const usage = `npm run lab -- [COMMAND] [OPTIONS]

  up         build the lab, prove its datapath, measure it (what runs without a command)
  preview    show what up would change
  destroy    remove everything that up made
  outputs    print what the lab knows of itself
  kubeconfig print the kubeconfig of the cluster that the lab made, which is a secret
  explain    print what a datapath asks for: features, Helm values, plan
  doctor     check everything that up will need, with the way out of what is missing
  compare    measure datapaths by turns, or compare kept runs: compare A.json B.json
  report     write kept runs as a page, .lab/report.html: report [RUN.json …]
  verify     prove and measure the datapath of any cluster, by pods that it removes again: verify --kubeconfig F

  --stack NAME       Pulumi.NAME.yaml has its config (default: local)
  --datapath MODE    vxlan, geneve or native, instead of the stack's; native:router, native:bgp say who carries the routes
  --json             print JSON alone on standard output, all else on standard error
  --datapaths A,B    compare: the datapaths (default: vxlan,native)
  --rounds N         compare: how often each is measured (default: 3)
  --file F           explain, verify: take the config from a YAML or JSON file, - for standard input
  --kubeconfig F     verify: the cluster's kubeconfig (default: KUBECONFIG, else kubectl's own)
  --context C        verify: the context in it

Into a file or a program without npm's own lines: npm run --silent lab -- kubeconfig --stack dev > FILE
`;

const options = {
  stack: { type: "string", default: "local" },
  datapath: { type: "string" },
  json: { type: "boolean", default: false },
  file: { type: "string" },
  datapaths: { type: "string" },
  rounds: { type: "string" },
  kubeconfig: { type: "string" },
  context: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

type Name = keyof typeof commands;
type Option = keyof typeof options;

/** What each command takes beside --stack, --json and --help. What it would leave unread is refused. */
const takes: Readonly<Record<Name, { readonly options: readonly Option[]; readonly files?: true }>> = {
  up: { options: ["datapath"] },
  preview: { options: ["datapath"] },
  destroy: { options: [] },
  outputs: { options: [] },
  kubeconfig: { options: [] },
  explain: { options: ["datapath", "file"] },
  doctor: { options: ["datapath"] },
  compare: { options: ["datapaths", "rounds"], files: true },
  report: { options: [], files: true },
  verify: { options: ["datapath", "file", "kubeconfig", "context"] },
};

const everyCommandTakes: readonly string[] = ["stack", "json", "help"];
const defaultRounds = 3;

/** What a person did wrong at the command line. */
class Misuse extends Error {}

function misuse(message: string, wayOut: string): Misuse {
  return new Misuse(`${message}\n${wayOut}`);
}

/** What `npm run lab` is called in, and where it prints. */
export interface Surroundings extends Pick<Call, "signal" | "log" | "print"> {
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs one call of the command line.
 * @param words what stands behind `npm run lab --`
 * @returns the exit status: 2 where the call itself is wrong, and what the command gives otherwise
 */
export async function labProgram(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { signal, environment, log, print } = surroundings;
  try {
    refuseSwallowedOptions(environment);
    const { values, positionals } = readArguments(words);
    if (values.help) {
      print(usage);
      return 0;
    }
    const [word = "up", ...operands] = positionals;
    const name = commandOf(word);
    refuseUnread(name, operands, Object.keys(values));
    return await commands[name]({
      stack: values.stack,
      json: values.json,
      operands,
      rounds: roundsOf(values.rounds),
      signal,
      ...(values.datapath === undefined ? {} : { datapath: values.datapath }),
      ...(values.datapaths === undefined ? {} : { datapaths: values.datapaths }),
      ...(values.file === undefined ? {} : { file: values.file }),
      ...(values.kubeconfig === undefined ? {} : { kubeconfig: values.kubeconfig }),
      ...(values.context === undefined ? {} : { context: values.context }),
      log,
      print,
    });
  } catch (error) {
    log(error instanceof Error ? error.message : String(error));
    return error instanceof Misuse ? 2 : 1;
  }
}

const help = "npm run lab -- --help tells what there is.";

/** npm takes options without two hyphens in front for its own, and the lab would do something else than it was asked for. */
function refuseSwallowedOptions(environment: Surroundings["environment"]): void {
  if (environment["npm_lifecycle_event"] !== "lab") return;
  const own = Object.keys(options).filter((name) => name !== "json" && name !== "help");
  const swallowed = own.find((name) => environment[`npm_config_${name}`] !== undefined);
  if (swallowed === undefined) return;
  throw misuse(
    `npm took --${swallowed} for an option of its own.`,
    `Put two hyphens in front of what is for the lab: npm run lab -- --${swallowed} …`,
  );
}

function readArguments(
  words: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const unknown = /^Unknown option '-*([^']+)'/.exec(said)?.[1];
    if (unknown === undefined) throw misuse(said.split("\n")[0] ?? said, help);
    const meant = nearest(unknown, Object.keys(options));
    throw misuse(`There is no option --${unknown}.`, meant === undefined ? help : `Did you mean --${meant}? ${help}`);
  }
}

function isCommand(word: string): word is Name {
  return Object.hasOwn(commands, word);
}

function commandOf(word: string): Name {
  if (isCommand(word)) return word;
  const meant = nearest(word, Object.keys(commands));
  throw misuse(`There is no command ${word}.`, meant === undefined ? help : `Did you mean ${meant}? ${help}`);
}

function refuseUnread(name: Name, operands: readonly string[], given: readonly string[]): void {
  const { options: own, files } = takes[name];
  const unread = given.filter(
    (option) => !everyCommandTakes.includes(option) && !own.some((known) => known === option),
  );
  if (unread.length > 0) {
    const owners = Object.entries(takes).flatMap(([other, { options: theirs }]) =>
      theirs.some((option) => unread.includes(option)) ? [other] : [],
    );
    throw misuse(`${name} takes no --${unread.join(", --")}.`, `It is for ${owners.join(", ")}. ${help}`);
  }
  if (operands.length > 0 && files === undefined) {
    throw misuse(
      `${name} takes nothing but options: ${operands.join(" ")} would be left unread.`,
      `A stack is named by --stack ${operands[0] ?? ""}, a datapath by --datapath. ${help}`,
    );
  }
}

function roundsOf(text: string | undefined): number {
  const rounds = text === undefined ? defaultRounds : Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= 100) return rounds;
  throw misuse(`--rounds takes a whole number from 1 to 100, not ${text ?? ""}.`, help);
}
