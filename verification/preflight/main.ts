// The program that the preflight command resource runs: asks all machines at once what they are, judges the answers, and prints
// the facts as JSON. The spec is on standard input. Every finding of every machine is printed before it fails.
//   main.ts          looks, and marks machines that passed as this lab's
//   main.ts release  takes the marks away
import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import path from "node:path";
import { text } from "node:stream/consumers";
import { labConfig } from "../../datapath/config/index.ts";
import { formatFindings, type Finding } from "../../datapath/findings.ts";
import { judgeMachines, parseFacts, type MachineFacts } from "../../datapath/machines/preflight.ts";
import { preflightSpec, type PreflightSpec } from "./spec.ts";
import { runOverSsh } from "./ssh.ts";

const project = "datapath-lab";
const waysOut = {
  reach: "Check address, port, user, key and host key, and that ssh reaches it from here.",
  mark: "The lab marks machines by /etc/datapath-lab: check that it can be written, and that the machine is still reached.",
};
/** Without root what can be seen is still told, and that it is not root. */
const asRoot = 'if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then exec sudo -n sh -s; fi; exec sh -s';
const markScript = 'umask 022; printf "%s" "$LAB_MARK" >/etc/datapath-lab\n';
const unmarkScript = 'if [ "$(cat /etc/datapath-lab 2>/dev/null)" = "$LAB_MARK" ]; then rm -f /etc/datapath-lab; fi\n';
const factsScript = ["k3s/leftovers.sh", "machine/facts"]
  .map((name) => readFileSync(path.resolve(import.meta.dirname, "../../scripts", name), "utf8"))
  .join("\n");

const spec = preflightSpec.parse(JSON.parse(await text(process.stdin)));
if (process.argv[2] === "release") await release(spec);
else process.exitCode = await check(spec);

/** A machine that is gone keeps nothing else from going: its mark stays, and is said. */
async function release(asked: PreflightSpec): Promise<void> {
  for (const failure of await runOnAll(asked, unmarkScript)) {
    process.stderr.write(`${failure}\nIts mark stays: if the machine comes back, remove /etc/datapath-lab there.\n`);
  }
}

async function check({ lab, machines, datapath, strict, clean, servers, floors }: PreflightSpec): Promise<number> {
  const answers = await Promise.all(
    machines.map(async ({ name, address, connection }): Promise<MachineFacts | Finding> => {
      try {
        const peers = machines.map((machine) => machine.address).filter((other) => other !== address && isIPv4(other));
        const asked = `LAB_PEERS='${peers.join(" ")}'\n${factsScript}`;
        const { stdout, sentAt, answeredAt } = await runOverSsh(connection, asRoot, asked);
        const facts = parseFacts(name, stdout, clockSkew(stdout, sentAt, answeredAt));
        const offloads = Object.values(facts.nic?.offloads ?? {}).filter((isOn) => isOn).length;
        process.stderr.write(
          `${name}: ${facts.os}, kernel ${facts.kernel}, ${facts.nic?.link ?? "no NIC"} (${facts.nic?.driver ?? "unknown driver"}, ${offloads} offloads)\n`,
        );
        return facts;
      } catch (error) {
        return {
          id: "machine-unreachable",
          severity: "error",
          key: "machines",
          message: `${name}: ${messageOf(error)}`,
          wayOut: waysOut.reach,
        };
      }
    }),
  );
  const facts = answers.flatMap((answer) => ("kernel" in answer ? [answer] : []));
  const config = labConfig.parse({ datapath, strict, k3s: { clean } });
  const findings = [
    ...answers.flatMap((answer) => ("kernel" in answer ? [] : [answer])),
    ...judgeMachines(
      facts,
      config,
      floors,
      lab,
      machines.slice(0, servers).map(({ name }) => name),
    ),
  ];
  if (findings.length > 0) process.stderr.write(`${formatFindings(findings, project)}\n`);
  const errors = findings.filter(({ severity }) => severity === "error").length;
  if (errors > 0) {
    process.stderr.write(
      `${errors === 1 ? "1 error" : `${errors} errors`} on the machines; nothing was installed on them.\n`,
    );
    return 1;
  }
  const isMarked = new Set(facts.filter(({ mark }) => mark === lab).map(({ name }) => name));
  const unmarked = await runOnAll(
    { ...spec, machines: machines.filter(({ name }) => !isMarked.has(name)) },
    markScript,
  );
  if (unmarked.length > 0) {
    process.stderr.write(`${unmarked.join("\n")}\n${waysOut.mark}\n`);
    return 1;
  }
  process.stdout.write(
    JSON.stringify(facts.map((one) => ({ ...one, clockSkewSeconds: undefined, mark: undefined, peers: undefined }))),
  );
  return 0;
}

/** Runs a script about the mark on every machine; gives what went wrong, a line a machine. */
async function runOnAll({ lab, machines }: PreflightSpec, script: string): Promise<string[]> {
  // The spec lets nothing through that means something to a shell.
  const marked = `LAB_MARK='${lab}'\n${script}`;
  const outcomes = await Promise.allSettled(machines.map(({ connection }) => runOverSsh(connection, asRoot, marked)));
  return outcomes.flatMap((outcome, index) =>
    outcome.status === "fulfilled" ? [] : [`${machines[index]?.name ?? ""}: ${messageOf(outcome.reason)}`],
  );
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/** How far a machine's clock is ahead, in seconds; less than the way there and back took counts as nothing. */
function clockSkew(stdout: string, sentAt: number, answeredAt: number): number {
  const clock = Number(/^clock\t([0-9.]+)$/m.exec(stdout)?.[1]) * 1000;
  if (Number.isNaN(clock)) return 0;
  if (clock < sentAt) return (clock - sentAt) / 1000;
  return clock > answeredAt ? (clock - answeredAt) / 1000 : 0;
}
