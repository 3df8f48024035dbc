import { EventEmitter } from "node:events";
import { PassThrough, Writable } from "node:stream";
import { Exec, type KubeConfig, type V1Status } from "@kubernetes/client-node";
import type { CommandResult, Host, Hosts, RunningCommand } from "./host.ts";
import { asError } from "../as-error.ts";

/** A container of a pod. */
export interface PodPlace {
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
}

/** The pods that stand for a node: one on its network, and one or two on the pod network. */
export interface NodePods {
  readonly name: string;
  readonly probe: PodPlace;
  readonly workload: PodPlace;
  readonly neighbour?: PodPlace;
}

/** Hosts that are pods of a cluster. Once `signal` aborts, all running commands are ended and no more are started. */
export function kubernetesHosts(config: KubeConfig, nodes: readonly NodePods[], signal: AbortSignal): Hosts {
  const find = (name: string): NodePods => {
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no node is named ${name}`);
    return node;
  };
  return {
    node: (name) => podHost(config, find(name).probe, signal),
    pod: (name) => podHost(config, find(name).workload, signal),
    secondPod: (name) => {
      const { neighbour } = find(name);
      if (neighbour === undefined) throw new Error(`node ${name} has one pod only`);
      return podHost(config, neighbour, signal);
    },
  };
}

/**
 * Runs a command beside a watcher of standard input: a line there ends the command, and so does the end of the connection, so
 * that nothing runs on in a pod when this process is gone. SIGTERM, because shells start what runs beside them with SIGINT
 * ignored; tcpdump, ping and iperf3 end in the same way by both. A protocol of 1.26 can't close standard input alone, so what
 * the command reads is counted: its bytes are the first argument.
 */
const supervised = `
export LC_ALL=C
bytes=$1
shift
exec 3<&0
if [ "$bytes" -gt 0 ]; then
  input=$(head -c "$bytes" <&3)
  printf '%s\\n' "$input" | "$@" 3<&- &
else
  "$@" </dev/null 3<&- &
fi
command=$!
{ read -r _; kill -TERM "$command"; } <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$command"
status=$?
exec 2>/dev/null
kill "$watcher"
wait "$watcher"
exit "$status"
`;

/** How long a command may take to end after it was told to. */
const stopSeconds = 15;
/** The shell's own, for a program that is not there. */
const notFound = 127;

/** A container as a place to run commands in, through the API server. It needs a shell and `head`. */
export function podHost(config: KubeConfig, pod: PodPlace, signal: AbortSignal): Host {
  const title = (command: readonly string[]): string => `${command.join(" ")} in ${pod.namespace}/${pod.name}`;
  const launch = (command: readonly string[], stdin = ""): Session =>
    new Session(config, pod, ["sh", "-c", supervised, "sh", `${Buffer.byteLength(stdin)}`, ...command], {
      stdin,
      signal,
      title: title(command),
    });
  return {
    run: async (command, { timeoutSeconds, stdin }) => {
      const session = launch(command, stdin);
      const result = await within(session.ended, timeoutSeconds, () => {
        session.abandon();
        return new Error(`${title(command)}: no end within ${timeoutSeconds} s`);
      });
      if (result.exitCode === notFound) throw new Error(`${title(command)}: ${result.stderr.trim() || "not found"}`);
      return result;
    },
    start: (command) => {
      const session = launch(command);
      // Whoever never stops a command must not bring the process down with its failure.
      session.ended.catch(() => undefined);
      return running(session, title(command));
    },
  };
}

function running(session: Session, title: string): RunningCommand {
  return {
    waitForOutput: (text, timeoutSeconds) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void): void => {
          clearTimeout(timer);
          session.output.off("data", look);
          finish();
        };
        const look = (): void => {
          if (session.printed().includes(text)) settle(resolve);
        };
        const timer = setTimeout(
          () => settle(() => reject(new Error(`${title}: no "${text}" within ${timeoutSeconds} s`))),
          timeoutSeconds * 1000,
        );
        session.output.on("data", look);
        session.ended.then(
          () => settle(() => reject(new Error(`${title} ended: ${session.printed().trim()}`))),
          (error: unknown) => settle(() => reject(asError(error))),
        );
        look();
      }),
    stop: async () => {
      session.stop();
      return within(session.ended, stopSeconds, () => {
        session.abandon();
        return new Error(`${title}: no end within ${stopSeconds} s of being told to`);
      });
    },
  };
}

const beginningCharacters = 65536;

/** One command in a pod. */
class Session {
  /** Resolves with what the command left behind; rejects where it can't be run or the connection is lost before it ends. */
  readonly ended: Promise<CommandResult>;
  /** Emits `data` whenever something was printed. */
  readonly output = new EventEmitter();
  private readonly input = new PassThrough();
  private readonly stdout: Buffer[] = [];
  private readonly stderr: Buffer[] = [];
  private beginning = "";
  private socket: { close: () => void } | undefined;
  private isAbandoned = false;
  private isOver = false;

  constructor(
    config: KubeConfig,
    pod: PodPlace,
    command: readonly string[],
    { stdin, signal, title }: { stdin: string; signal: AbortSignal; title: string },
  ) {
    signal.throwIfAborted();
    const interrupt = (): void => this.abandon();
    signal.addEventListener("abort", interrupt, { once: true });
    this.ended = this.exec(config, pod, command, title, stdin).finally(() => {
      this.isOver = true;
      signal.removeEventListener("abort", interrupt);
      // What failed because of the interruption is the interruption.
      signal.throwIfAborted();
    });
    this.ended.catch(() => undefined);
  }

  /** The beginning of all that was printed: what is waited for is said at the start, and captures are long. */
  printed(): string {
    return this.beginning;
  }

  stop(): void {
    if (!this.isOver) this.input.write("\n");
  }

  /** Gives up: the command ends with its connection. */
  abandon(): void {
    this.isAbandoned = true;
    this.socket?.close();
  }

  private async exec(
    config: KubeConfig,
    { namespace, name, container }: PodPlace,
    command: readonly string[],
    title: string,
    stdin: string,
  ): Promise<CommandResult> {
    const status = await new Promise<V1Status>((resolve, reject) => {
      new Exec(config)
        .exec(
          namespace,
          name,
          container,
          [...command],
          this.collector(this.stdout),
          this.collector(this.stderr),
          this.input,
          false,
          resolve,
        )
        .then(
          (socket: unknown) => {
            if (!(socket instanceof EventEmitter) || !isClosable(socket)) {
              reject(new Error(`${title}: no connection`));
              return;
            }
            this.socket = socket;
            socket.once("close", () => reject(new Error(`${title}: the connection was lost before it ended`)));
            // An error is followed by the close that is handled above.
            socket.on("error", () => undefined);
            if (this.isAbandoned) socket.close();
            else if (stdin !== "") this.input.write(stdin);
          },
          (error: unknown) => reject(new Error(`${title}: ${connectionFailure(error)}`)),
        );
    });
    return {
      exitCode: exitCodeOf(status, title),
      stdout: Buffer.concat(this.stdout),
      stderr: Buffer.concat(this.stderr).toString(),
    };
  }

  /** Written synchronously, so that nothing is under way when the status comes. */
  private collector(chunks: Buffer[]): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        if (this.beginning.length < beginningCharacters) this.beginning += chunk.toString();
        this.output.emit("data");
        done();
      },
    });
  }
}

function isClosable(value: object): value is { close: () => void } {
  return "close" in value && typeof value.close === "function";
}

/** The exit status as the API tells it; throws where the command could not be run at all. */
function exitCodeOf({ status, reason, message, details }: V1Status, title: string): number {
  if (status === "Success") return 0;
  const code = (details?.causes ?? []).find((cause) => cause.reason === "ExitCode")?.message;
  if (reason === "NonZeroExitCode" && code !== undefined) return Number(code);
  throw new Error(`${title}: ${message ?? "the API server says no reason"}`);
}

/** A refused WebSocket fails with an event, whose message names the HTTP status alone. */
function connectionFailure(error: unknown): string {
  const message =
    typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error);
  return message.includes("404") ? `the pod is gone (${message})` : message;
}

async function within<Result>(work: Promise<Result>, seconds: number, late: () => Error): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), seconds * 1000);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
