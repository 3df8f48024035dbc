import type { Client, ClientChannel, ConnectConfig, ParsedKey, ServerHostKeyAlgorithm } from "ssh2";
import type { Operation } from "../definition.ts";
import type { Connection } from "./inputs.ts";

type Host = Omit<Connection, "proxy">;

/** The first pause between attempts, its growth and its limit, as the official plugin's (pulumi/pulumi, util/retry). */
const firstPauseMilliseconds = 100;
const pauseGrowth = 1.5;
const longestPauseMilliseconds = 5_000;

/** A host's public key: the one key that the host may identify itself with. */
export interface HostKey {
  algorithms: ServerHostKeyAlgorithm[];
  blob: Buffer;
}

// ssh2 takes as long to load as all else in the providers together, so it is loaded for the first connection.
const loadSsh2 = async (): Promise<typeof import("ssh2")> => (await import("ssh2")).default;

/**
 * Reads a host key as it stands in a `.pub` file: type, base64 and perhaps a comment.
 * @throws Error when the text is not such a key
 */
export async function parseHostKey(text: string): Promise<HostKey> {
  const { utils } = await loadSsh2();
  const parsed: ParsedKey | Error = utils.parseKey(text.trim());
  const algorithms = parsed instanceof Error || parsed.isPrivateKey() ? undefined : hostKeyAlgorithms[parsed.type];
  if (parsed instanceof Error || algorithms === undefined) {
    throw new Error(
      "failed to parse host key: connection.hostKey must be one line as in /etc/ssh/ssh_host_ed25519_key.pub " +
        '("ssh-ed25519 AAAA… comment")',
    );
  }
  return { algorithms, blob: parsed.getPublicSSH() };
}

/** The signature algorithms with which a host can prove that it holds a key of this type (RFC 8332 for RSA). */
const hostKeyAlgorithms: Record<string, ServerHostKeyAlgorithm[]> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
};

/** How long to wait before attempt number `attempt` (from 1) is followed by the next. */
export function pauseMilliseconds(attempt: number): number {
  return Math.min(firstPauseMilliseconds * pauseGrowth ** (attempt - 1), longestPauseMilliseconds);
}

/** Whether the failed attempt was the last one: the limit counts the failures that are followed by another attempt. */
export function reachedDialErrorLimit(failedAttempts: number, dialErrorLimit: number): boolean {
  return dialErrorLimit > -1 && failedAttempts > dialErrorLimit;
}

/**
 * Opens an SSH connection, by way of the proxy if there is one, does the work and closes everything again.
 * @throws Error that names user, host and port
 */
export async function withConnection<Result>(
  connection: Connection,
  operation: Operation,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const { proxy, ...host } = connection;
  if (proxy === undefined) {
    const client = await dial(host, operation, "Dial");
    return closeAfter(client, work);
  }
  const proxyClient = await dial(proxy, operation, "Dial proxy").catch(throwAsProxyError);
  return closeAfter(proxyClient, async () => {
    const client = await dial(host, operation, "Dial from proxy", proxyClient).catch(throwAsProxyError);
    return closeAfter(client, work);
  });
}

function throwAsProxyError(error: unknown): never {
  throw new Error(`proxy: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

async function closeAfter<Result>(client: Client, work: (client: Client) => Promise<Result>): Promise<Result> {
  try {
    return await work(client);
  } finally {
    client.end();
  }
}

async function dial(host: Host, operation: Operation, label: string, through?: Client): Promise<Client> {
  const config = await connectConfig(host);
  const address = `${host.user}@${host.host}:${host.port}`;
  for (let attempt = 1; ; attempt++) {
    operation.signal.throwIfAborted();
    try {
      const sock = through ? await forward(through, host) : undefined;
      return await connect(sock ? { ...config, sock } : config, host, operation.signal);
    } catch (error) {
      operation.signal.throwIfAborted();
      if (reachedDialErrorLimit(attempt, host.dialErrorLimit)) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`SSH connection to ${address}: after ${attempt - 1} failed attempts: ${reason}`, {
          cause: error,
        });
      }
      const limit = host.dialErrorLimit === -1 ? "inf" : String(host.dialErrorLimit);
      operation.log("info", `${label} ${attempt}/${limit} failed: retrying`, { ephemeral: true });
      await pause(pauseMilliseconds(attempt), operation.signal);
    }
  }
}

async function connectConfig(host: Host): Promise<ConnectConfig> {
  const { utils } = await loadSsh2();
  const config: ConnectConfig = {
    host: host.host,
    port: host.port,
    username: host.user,
    readyTimeout: host.perDialTimeout * 1000,
  };
  const methods: ("publickey" | "password" | "keyboard-interactive" | "agent")[] = [];
  if (host.privateKey !== undefined) {
    const key: ParsedKey | ParsedKey[] | Error = utils.parseKey(host.privateKey, host.privateKeyPassword);
    if (key instanceof Error) {
      throw new Error(
        `SSH connection to ${host.user}@${host.host}:${host.port}: connection.privateKey: ${key.message}`,
      );
    }
    config.privateKey = host.privateKey;
    if (host.privateKeyPassword !== undefined) config.passphrase = host.privateKeyPassword;
    methods.push("publickey");
  }
  if (host.password !== undefined) {
    config.password = host.password;
    config.tryKeyboard = true;
    methods.push("password", "keyboard-interactive");
  }
  const agent = host.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
  if (agent) {
    config.agent = agent;
    methods.push("agent");
  }
  config.authHandler = methods;
  return config;
}

async function connect(config: ConnectConfig, host: Host, signal: AbortSignal): Promise<Client> {
  const { Client } = await loadSsh2();
  const expected = host.hostKey === undefined ? undefined : await parseHostKey(host.hostKey);
  const client = new Client();
  let mismatch: string | undefined;
  if (expected) {
    config = {
      ...config,
      algorithms: { serverHostKey: expected.algorithms },
      hostVerifier: (offered: Buffer): boolean => {
        if (offered.equals(expected.blob)) return true;
        mismatch = `host key mismatch: the server offers ${keyText(offered)}, connection.hostKey is ${keyText(expected.blob)}`;
        return false;
      },
    };
  }
  return new Promise<Client>((resolve, reject) => {
    const abort = (): void => {
      client.destroy();
      reject(new Error("canceled"));
    };
    signal.addEventListener("abort", abort, { once: true });
    // The listener stays: an error after the connection stands would otherwise end the process; channels report it.
    client.on("error", (error) => {
      signal.removeEventListener("abort", abort);
      client.destroy();
      reject(new Error(mismatch ?? error.message, { cause: error }));
    });
    client.once("close", () => reject(new Error(mismatch ?? "the server closed the connection")));
    client.once("ready", () => {
      signal.removeEventListener("abort", abort);
      resolve(client);
    });
    client.on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) => {
      finish(prompts.map(() => host.password ?? ""));
    });
    client.connect(config);
  });
}

function forward(client: Client, host: Host): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.forwardOut("127.0.0.1", 0, host.host, host.port, (error, channel) =>
      error ? reject(error) : resolve(channel),
    );
  });
}

/** A public key as `ssh-keyscan` prints it. */
function keyText(blob: Buffer): string {
  const typeLength = blob.readUInt32BE(0);
  return `${blob.toString("latin1", 4, 4 + typeLength)} ${blob.toString("base64")}`;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}
