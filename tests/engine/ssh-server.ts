import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import { ensurePackages } from "../../offline/packages.ts";
import { waitFor } from "./inline-stack.ts";

/** A real OpenSSH server on the loopback interface, with keys of its own. */
export class SshServer {
  readonly port: number;
  readonly user = userInfo().username;
  /** The server's public key, as in its `.pub` file. */
  readonly hostKey: string;
  /** A private key that may log in. */
  readonly privateKey: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(fields: {
    port: number;
    hostKey: string;
    privateKey: string;
    process: ChildProcess;
    folder: string;
  }) {
    this.port = fields.port;
    this.hostKey = fields.hostKey;
    this.privateKey = fields.privateKey;
    this.#process = fields.process;
    this.#folder = fields.folder;
  }

  /** @param inside words that run a program elsewhere: in another network, say */
  static async start(inside: readonly string[] = []): Promise<SshServer> {
    await ensurePackages([{ tool: "sshd", package: "openssh-server" }], (line) => console.error(line));
    const folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-sshd-"));
    // Not by ssh2: one in 256 of the Ed25519 keys that it makes lacks a byte, and OpenSSH refuses it.
    const key = (name: string): { path: string; public: string } => {
      const target = path.join(folder, name);
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", target]);
      return { path: target, public: readFileSync(`${target}.pub`, "utf8").trim() };
    };
    const [host, user] = [key("host_key"), key("user_key")];
    const port = await freePort();
    const file = (name: string, content: string): string => {
      const target = path.join(folder, name);
      writeFileSync(target, content, { mode: 0o600 });
      return target;
    };
    const config = file(
      "sshd_config",
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${host.path}`,
        `AuthorizedKeysFile ${file("authorized_keys", `${user.public}\n`)}`,
        `PidFile ${path.join(folder, "pid")}`,
        "StrictModes no",
        "PasswordAuthentication no",
        "PermitRootLogin prohibit-password",
        "AcceptEnv LAB_*",
        "Subsystem sftp internal-sftp",
        "",
      ].join("\n"),
    );
    // Where sshd of Debian drops its privileges to; the package's service makes it at start.
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
    const [program, ...words] = [...inside, "/usr/sbin/sshd", "-D", "-e", "-f", config];
    const server = spawn(program, words, { stdio: ["ignore", "ignore", "pipe"] });
    let printed = "";
    server.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    try {
      await waitFor("sshd to listen", () => printed.includes("Server listening") || server.exitCode !== null);
      if (server.exitCode !== null) throw new Error(`sshd ended with status ${server.exitCode}: ${printed}`);
    } catch (error) {
      server.kill();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
    return new SshServer({
      port,
      hostKey: host.public,
      privateKey: readFileSync(user.path, "utf8"),
      process: server,
      folder,
    });
  }

  stop(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A port that nothing listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
