import { EventEmitter } from "node:events";
import { Writable } from "node:stream";
import { Exec, type KubeConfig, type V1Status } from "@kubernetes/client-node";

export interface PodPlace {
  readonly namespace: string;
  readonly name: string;
  /** The pod's only container where absent. */
  readonly container?: string;
}

/**
 * Runs a command in a pod through the API server. Ending the wait does not end the command: bound it by its own means.
 * @returns what it printed on standard output
 * @throws Error with what it printed on standard error, when it does not end with status 0
 */
export async function execInPod(
  config: KubeConfig,
  { namespace, name, container = "" }: PodPlace,
  command: readonly string[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<string> {
  const [output, errors] = [collected(), collected()];
  signal?.throwIfAborted();
  let abort: (() => void) | undefined;
  try {
    const status = await new Promise<V1Status>((resolve, reject) => {
      abort = () => reject(signal?.reason instanceof Error ? signal.reason : new Error("interrupted"));
      signal?.addEventListener("abort", abort, { once: true });
      new Exec(config)
        .exec(namespace, name, container, [...command], output.stream, errors.stream, null, false, resolve)
        .then((socket: unknown) => {
          if (!(socket instanceof EventEmitter)) return;
          socket.once("close", () => reject(new Error(`the connection to ${namespace}/${name} was closed`)));
        }, reject);
    });
    if (status.status === "Success") return output.text();
    // A script's text is no part of a message, and the runtime's own message has the whole command in it.
    const what = `${command.join(" ").split("\n")[0] ?? ""} in ${namespace}/${name}`;
    const exitCode = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
    const why = exitCode === undefined ? (status.message ?? "failed") : `exit code ${exitCode}`;
    throw new Error(`${what}: ${why}\n${errors.text()}`.trimEnd());
  } finally {
    if (abort !== undefined) signal?.removeEventListener("abort", abort);
  }
}

/** Written synchronously, so that nothing is under way when the status comes. */
function collected(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}
