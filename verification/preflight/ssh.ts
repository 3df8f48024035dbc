import { setTimeout as delay } from "node:timers/promises";
import ssh2, { type Client, type ConnectConfig } from "ssh2";
import type { SshConnection, SshEndpoint } from "./spec.ts";

const millisecondsPerSecond = 1000;
/** How often a refused or lost connection is tried again, and the pause between. */
const attempts = 3;
const pauseMilliseconds = 2000;

export interface RemoteOutput {
  readonly stdout: string;
  /** When the command was sent, and when its first output came, in milliseconds of this machine's clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

/**
 * Runs a command on a host over SSH, by way of its proxy if it has one.
 * @throws an error that says which host was not reached, why, and by its text whether another host answered
 */
export async function runOverSsh(connection: SshConnection, command: string, stdin: string): Promise<RemoteOutput> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce(connection, command, stdin);
    } catch (error) {
      if (attempt === attempts || error instanceof RefusedError) throw error;
      await delay(pauseMilliseconds);
    }
  }
}

/** Another attempt would end the same. */
class RefusedError extends Error {}

async function runOnce(connection: SshConnection, command: string, stdin: string): Promise<RemoteOutput> {
  const proxy = connection.proxy === undefined ? undefined : await connect(connection.proxy);
  try {
    const client = await connect(connection, proxy);
    try {
      return await execute(client, command, stdin);
    } finally {
      client.end();
    }
  } finally {
    proxy?.end();
  }
}

async function connect(endpoint: SshEndpoint, through?: Client): Promise<Client> {
  const { host, port, user, privateKey, hostKey, perDialTimeout } = endpoint;
  const where = `${user}@${host}:${port}`;
  let isOther = false;
  const config: ConnectConfig = {
    host,
    port,
    username: user,
    readyTimeout: perDialTimeout * millisecondsPerSecond,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(privateKey === undefined && process.env["SSH_AUTH_SOCK"] ? { agent: process.env["SSH_AUTH_SOCK"] } : {}),
    ...(hostKey === undefined
      ? {}
      : {
          algorithms: { serverHostKey: keyAlgorithms(hostKey) },
          hostVerifier: (key: Buffer) => {
            isOther = key.toString("base64") !== hostKey.split(" ")[1];
            return !isOther;
          },
        }),
    ...(through === undefined ? {} : { sock: await forward(through, host, port) }),
  };
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    client.once("ready", () => {
      client.removeAllListeners("error");
      client.on("error", () => undefined);
      resolve(client);
    });
    client.once("error", (error) => {
      client.end();
      if (isOther) {
        reject(new RefusedError(`${where} answers with another host key than the one it is pinned to`));
      } else if (error.level === "client-authentication") {
        reject(new RefusedError(`${where} does not let this key or user log in`));
      } else {
        reject(new Error(`${where} can't be reached: ${error.message}`));
      }
    });
    client.connect(config);
  });
}

type KeyAlgorithms = NonNullable<NonNullable<ConnectConfig["algorithms"]>["serverHostKey"]>;

/** The signatures that a key of this type can give (RFC 8332 for RSA): a host offers the pinned key among others. */
function keyAlgorithms(hostKey: string): KeyAlgorithms {
  const [type = ""] = hostKey.split(" ");
  switch (type) {
    case "ssh-ed25519":
    case "ecdsa-sha2-nistp256":
    case "ecdsa-sha2-nistp384":
    case "ecdsa-sha2-nistp521":
      return [type];
    default:
      return ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"];
  }
}

function forward(through: Client, host: string, port: number): Promise<NonNullable<ConnectConfig["sock"]>> {
  return new Promise((resolve, reject) => {
    through.forwardOut("127.0.0.1", 0, host, port, (error, channel) => {
      if (error) reject(new Error(`${host}:${port} can't be reached from the jump host: ${error.message}`));
      else resolve(channel);
    });
  });
}

function execute(client: Client, command: string, stdin: string): Promise<RemoteOutput> {
  return new Promise((resolve, reject) => {
    const sentAt = Date.now();
    let answeredAt = 0;
    let stdout = "";
    let stderr = "";
    client.exec(command, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      channel.on("data", (chunk: Buffer) => {
        if (answeredAt === 0) answeredAt = Date.now();
        stdout += chunk.toString();
      });
      channel.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      channel.on("close", (code: number | null) => {
        if (code === 0) resolve({ stdout, sentAt, answeredAt });
        else reject(new Error(`the command ended with status ${code ?? "unknown"}: ${stderr.trim()}`));
      });
      channel.end(stdin);
    });
  });
}
