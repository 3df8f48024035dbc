import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import type { CommandResult, Host, Hosts, RunningCommand } from "./host.ts";

/** Namespaces of one node. */
export interface NodeNamespaces {
  readonly name: string;
  readonly namespace: string;
  readonly pod: { readonly namespace: string };
  readonly secondPod?: { readonly namespace: string };
}

/**
 * Hosts that are network namespaces of this machine. Every command dies with this process, however that ends; once `signal`
 * aborts, all running ones are killed and no more are started.
 */
export function namespaceHosts(nodes: readonly NodeNamespaces[], signal: AbortSignal): Hosts {
  const find = (name: string): NodeNamespaces => {
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no node is named ${name}`);
    return node;
  };
  return {
    node: (name) => namespaceHost(find(name).namespace, signal),
    pod: (name) => namespaceHost(find(name).pod.namespace, signal),
    secondPod: (name) => {
      const { secondPod } = find(name);
      if (secondPod === undefined) throw new Error(`node ${name} has one pod only`);
      return namespaceHost(secondPod.namespace, signal);
    },
  };
}

function namespaceHost(namespace: string, signal: AbortSignal): Host {
  const launch = ([program = "", ...rest]: readonly string[]): ChildProcessWithoutNullStreams => {
    signal.throwIfAborted();
    // `ip netns exec` and setpriv replace themselves by the command, so that a signal to the child reaches it.
    const child = spawn("ip", ["netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL", program, ...rest], {
      env: { ...process.env, LC_ALL: "C" },
    });
    const kill = (): void => void child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });
    child.on("close", () => signal.removeEventListener("abort", kill));
    // A command that ends before it reads its input is no error of ours.
    child.stdin.on("error", () => undefined);
    return child;
  };

  return {
    run: async (command, { timeoutSeconds, stdin }) => {
      const child = launch(command);
      const result = collect(child);
      child.stdin.end(stdin);
      const deadline = new AbortController();
      const timer = setTimeout(() => deadline.abort(), timeoutSeconds * 1000);
      deadline.signal.addEventListener("abort", () => void child.kill("SIGKILL"));
      const finished = await result.finally(() => clearTimeout(timer));
      signal.throwIfAborted();
      if (deadline.signal.aborted) throw new Error(`${command.join(" ")}: no end within ${timeoutSeconds} s`);
      return finished;
    },
    start: (command) => {
      const child = launch(command);
      child.stdin.end();
      return running(child, command);
    },
  };
}

const beginningCharacters = 65536;

function running(child: ChildProcessWithoutNullStreams, command: readonly string[]): RunningCommand {
  const result = collect(child);
  // Whoever never stops a command must not bring the process down with its failure.
  result.catch(() => undefined);
  // The beginning is enough: what is waited for is said at the start, and captures are long.
  let printed = "";
  const remember = (chunk: Buffer): void => {
    if (printed.length < beginningCharacters) printed += chunk.toString();
  };
  child.stdout.on("data", remember);
  child.stderr.on("data", remember);
  return {
    waitForOutput: (text, timeoutSeconds) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void): void => {
          clearTimeout(timer);
          child.stdout.off("data", look);
          child.stderr.off("data", look);
          child.off("close", ended);
          finish();
        };
        const look = (): void => {
          if (printed.includes(text)) settle(resolve);
        };
        const ended = (): void => settle(() => reject(new Error(`${command.join(" ")} ended: ${printed.trim()}`)));
        const timer = setTimeout(
          () => settle(() => reject(new Error(`${command.join(" ")}: no "${text}" within ${timeoutSeconds} s`))),
          timeoutSeconds * 1000,
        );
        child.stdout.on("data", look);
        child.stderr.on("data", look);
        child.on("close", ended);
        if (child.exitCode === null) look();
        else ended();
      }),
    stop: () => {
      child.kill("SIGINT");
      return result;
    },
  };
}

function collect(child: ChildProcessWithoutNullStreams): Promise<CommandResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ exitCode: code ?? -1, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
}
