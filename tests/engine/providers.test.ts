import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { local, remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { InlineStack, isRunning, parentOf, waitFor, type EngineEvent } from "./inline-stack.ts";
import { freePort, SshServer } from "./ssh-server.ts";

/** A resource whose inputs no compiler has checked. */
class Untyped extends pulumi.CustomResource {}

describe("the plugins on the real engine", function () {
  this.timeout("3m");
  let stack: InlineStack;

  before(async function () {
    // The first run on a machine builds the CLI.
    this.timeout("20m");
    stack = await InlineStack.create();
  });
  afterEach(() => stack.destroy());
  after(() => stack.remove());

  /** Runs the program and returns the error that the CLI reports. */
  async function failureOf(program: pulumi.automation.PulumiFn): Promise<string> {
    const error: unknown = await stack.up(program).then(
      () => assert.fail("the update succeeded"),
      (reason: unknown) => reason,
    );
    return error instanceof Error ? error.message : String(error);
  }

  /** The lines that the engine shows beside resources while they are worked on. */
  function lines(): { seen: string[]; onEvent: (event: EngineEvent) => void } {
    const seen: string[] = [];
    const onEvent = ({ diagnosticEvent }: EngineEvent): void => {
      if (diagnosticEvent?.ephemeral) seen.push(diagnosticEvent.message.replace(/<\{%[^%]*%\}>/g, "").trim());
    };
    return { seen, onEvent };
  }

  describe("local.Command", () => {
    it("creates, updates in place, and deletes, with stdin and environment", async () => {
      const log = stack.file("log");
      const program = (word: string, update?: string) => () => {
        const command = new local.Command("one", {
          create: `echo "created $WORD" >> '${log}'; echo "out $WORD"; cat; echo err >&2`,
          ...(update === undefined ? {} : { update }),
          delete: `echo "deleted after $PULUMI_COMMAND_STDOUT" >> '${log}'`,
          stdin: "from stdin\n",
          environment: { WORD: word },
        });
        return Promise.resolve({ stdout: command.stdout, stderr: command.stderr });
      };

      assert.deepEqual(await stack.up(program("a")), { stdout: "out a\nfrom stdin", stderr: "err" });
      assert.deepEqual(await stack.preview(program("a")), { same: 2 });
      assert.deepEqual(await stack.preview(program("b")), { same: 1, update: 1 });
      assert.equal((await stack.up(program("b")))["stdout"], "out b\nfrom stdin");
      const updated = await stack.up(program("c", 'echo "updated $WORD after $PULUMI_COMMAND_STDOUT"; echo'));
      assert.equal(updated["stdout"], "updated c after out b\nfrom stdin\n");
      await stack.destroy();
      assert.equal(
        readFileSync(log, "utf8"),
        "created a\ncreated b\ndeleted after updated c after out b\nfrom stdin\n\n",
      );
    });

    it("replaces when a trigger changes: creates the new one before it deletes the old one", async () => {
      const log = stack.file("replacement");
      const program = (trigger: number) => () => {
        new local.Command("one", {
          create: `echo create ${trigger} >> '${log}'`,
          delete: `echo delete ${trigger} >> '${log}'`,
          triggers: [trigger],
        });
        return Promise.resolve();
      };
      await stack.up(program(1));
      assert.deepEqual(await stack.preview(program(2)), { same: 1, replace: 1 });
      await stack.up(program(2));
      assert.equal(readFileSync(log, "utf8"), "create 1\ncreate 2\ndelete 1\n");
    });

    it("fails with the exit status, the command and both streams in their order", async () => {
      const message = await failureOf(() => {
        new local.Command("one", { create: "echo first\necho second >&2; exit 3" });
        return Promise.resolve();
      });
      assert.match(message, /exit status 3: running "echo first\\necho second >&2; exit 3":\s+first\s+second/);
    });

    it("keeps a failed update's old state, so that the next one tries again", async () => {
      const gate = stack.file("gate");
      const program = (word: string) => () => {
        const command = new local.Command("one", { create: `test "${word}" = a || cat '${gate}'; echo ${word}` });
        return Promise.resolve({ stdout: command.stdout });
      };
      await stack.up(program("a"));
      assert.match(await failureOf(program("b && false")), /exit status 1/);
      assert.deepEqual(await stack.preview(program("a")), { same: 2 });
    });

    it("keeps a secret in stdin out of the plain state", async () => {
      await stack.up(() => {
        new local.Command("one", {
          create: "cat >/dev/null",
          stdin: pulumi.secret("hush-4711"),
          environment: { A: "seen" },
        });
        return Promise.resolve();
      });
      const state = stack.state();
      assert.ok(state.includes("seen"));
      assert.ok(!state.includes("hush-4711"));
    });

    it("shows each line while the command runs", async () => {
      const gate = stack.file("stream-gate");
      const { seen, onEvent } = lines();
      const update = stack.up(
        () => {
          new local.Command("one", {
            create: `echo waiting; i=0; while [ ! -e '${gate}' ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done; test -e '${gate}'`,
          });
          return Promise.resolve();
        },
        { onEvent },
      );
      await Promise.race([waitFor("the line", () => seen.includes("waiting"), 15), update]);
      assert.ok(seen.includes("waiting"), "the command ended before its line was shown");
      writeFileSync(gate, "");
      await update;
    });

    it("shows what `logging` asks for and nothing else", async () => {
      const { seen, onEvent } = lines();
      await stack.up(
        () => {
          new local.Command("one", { create: "echo out-line; echo err-line >&2", logging: "stderr" });
          new local.Command("two", { create: "echo silent", logging: "none" });
          return Promise.resolve();
        },
        { onEvent },
      );
      assert.deepEqual(seen, ["err-line"]);
    });

    it("ends the whole process group when the update is cancelled", async () => {
      const pids = stack.file("pids");
      const cancel = new AbortController();
      const update = stack.up(
        () => {
          new local.Command("one", { create: `sleep 600 & echo "$$ $!" > '${pids}'; wait` });
          return Promise.resolve();
        },
        { signal: cancel.signal },
      );
      const failed = assert.rejects(update);
      const [shell, child] = await runningPids(pids);
      cancel.abort();
      await failed;
      await waitFor("the command to end", () => !isRunning(shell) && !isRunning(child));
    });

    it("ends the command when the engine is killed", async () => {
      // A stack of its own: the killed engine leaves an operation pending in the state.
      const killed = await InlineStack.create();
      try {
        const pids = killed.file("pids");
        const update = killed.up(() => {
          new local.Command("one", { create: `sleep 600 & echo "$$ $!" > '${pids}'; wait` });
          return Promise.resolve();
        });
        const failed = assert.rejects(update);
        const [shell, child] = await runningPids(pids);
        const provider = parentOf(shell);
        process.kill(parentOf(provider), "SIGKILL");
        await failed;
        await waitFor("the command and its provider to end", () => ![shell, child, provider].some(isRunning));
      } finally {
        killed.remove();
      }
    });

    it("does not know at preview what will be printed", async () => {
      const program = () => {
        const first = new local.Command("first", { create: "echo 1" });
        new local.Command("second", { create: first.stdout, triggers: [first.stdout] });
        return Promise.resolve();
      };
      assert.deepEqual(await stack.preview(program), { create: 3 });
    });

    it("names a wrong input", async () => {
      const message = await failureOf(() => {
        new Untyped("command:local:Command", "one", { creat: "true", environment: { A: 1 } });
        return Promise.resolve();
      });
      assert.match(message, /unrecognized field "creat"/);
      assert.match(message, /environment\.A/);
    });
  });

  describe("remote.Command", () => {
    let server: SshServer;
    let other: SshServer;

    before(async () => {
      [server, other] = await Promise.all([SshServer.start(), SshServer.start()]);
    });
    after(() => {
      server.stop();
      other.stop();
    });

    const connectionTo = (target: SshServer) => ({
      host: "127.0.0.1",
      port: target.port,
      user: target.user,
      privateKey: pulumi.secret(target.privateKey),
      hostKey: target.hostKey,
      dialErrorLimit: 0,
    });

    function runs(inputs: Partial<remote.CommandArgs>) {
      return () => {
        const command = new remote.Command("one", { connection: connectionTo(server), ...inputs });
        return Promise.resolve({ stdout: command.stdout, stderr: command.stderr });
      };
    }

    it("creates, updates and deletes with stdin, environment and a checked host key", async () => {
      const log = stack.file("remote-log");
      const inputs = (word: string): Partial<remote.CommandArgs> => ({
        create: `echo "$LAB_WORD"; cat; echo err >&2`,
        delete: `echo bye > '${log}'`,
        stdin: "in\n",
        environment: { LAB_WORD: word },
        addPreviousOutputInEnv: false,
      });
      assert.deepEqual(await stack.up(runs(inputs("a"))), { stdout: "a\nin", stderr: "err" });
      assert.deepEqual(await stack.preview(runs(inputs("a"))), { same: 2 });
      assert.deepEqual(await stack.up(runs(inputs("b"))), { stdout: "b\nin", stderr: "err" });
      assert.ok(!stack.state().includes("PRIVATE KEY"));
      await stack.destroy();
      assert.equal(readFileSync(log, "utf8"), "bye\n");
    });

    it("fails with the exit status, the command and what it printed", async () => {
      const message = await failureOf(runs({ create: "echo broken >&2; exit 7" }));
      assert.match(message, /Process exited with status 7: running "echo broken >&2; exit 7":\s+broken/);
    });

    it("refuses a host that shows another key", async () => {
      const wrong = { ...connectionTo(server), hostKey: other.hostKey };
      const message = await failureOf(runs({ create: "true", connection: wrong }));
      const place = `SSH connection to ${server.user}@127.0.0.1:${server.port}: after 0 failed attempts: host key mismatch`;
      assert.ok(message.includes(place), message);
      assert.ok(message.includes(other.hostKey.trim()), message);
      assert.ok(message.includes(server.hostKey.trim()), message);
    });

    it("names the host and port that can't be reached", async () => {
      const port = await freePort();
      const message = await failureOf(runs({ create: "true", connection: { ...connectionTo(server), port } }));
      assert.match(message, new RegExp(`127\\.0\\.0\\.1:${port}: after 0 failed attempts: .*ECONNREFUSED`));
    });

    it("goes through a jump host", async () => {
      const { host, port, user, privateKey, hostKey } = connectionTo(other);
      const proxy = { host, port, user, privateKey, hostKey, dialErrorLimit: 0 };
      const outputs = await stack.up(
        runs({ create: 'echo "$SSH_CONNECTION"', connection: { ...connectionTo(server), proxy } }),
      );
      assert.match(String(outputs["stdout"]), new RegExp(` 127\\.0\\.0\\.1 ${server.port}$`));
      const refused = { ...proxy, hostKey: server.hostKey };
      const message = await failureOf(
        runs({ create: "echo 2", connection: { ...connectionTo(server), proxy: refused } }),
      );
      assert.match(message, new RegExp(`proxy: SSH connection to .*:${other.port}: .*host key mismatch`));
    });

    it("fails on a variable that the server does not accept", async () => {
      const message = await failureOf(runs({ create: "true", environment: { NOT_ACCEPTED: "1" } }));
      assert.match(message, /could not set environment variable "NOT_ACCEPTED"/);
      assert.match(message, /AcceptEnv/);
    });

    it("does not wait for the remote command when the update is cancelled", async () => {
      const pids = stack.file("remote-pids");
      const cancel = new AbortController();
      const create = `sleep 600 & echo "$$ $!" > '${pids}'; wait`;
      const failed = assert.rejects(stack.up(runs({ create }), { signal: cancel.signal }));
      const [shell, child] = await runningPids(pids);
      try {
        const cancelled = Date.now();
        cancel.abort();
        await failed;
        assert.ok(Date.now() - cancelled < 10_000, "the update ended 10 s or more after it was cancelled");
      } finally {
        // OpenSSH passes no signal on to a command of root's.
        for (const left of [shell, child].filter(isRunning)) process.kill(left);
      }
    });

    it("does not repeat the private key when the connection has an unknown field", async () => {
      const message = await failureOf(() => {
        const connection = { host: "127.0.0.1", privateKey: "do-not-show", hostname: "x" };
        new Untyped("command:remote:Command", "one", { connection, create: "true" });
        return Promise.resolve();
      });
      assert.match(message, /unrecognized field "hostname"/);
      assert.ok(!message.includes("do-not-show"));
    });

    it("copies text, files and folders", async () => {
      writeFileSync(stack.file("file"), "file\n");
      const target = stack.file("copied");
      const program = (text: string) => () => {
        const connection = connectionTo(server);
        new remote.CopyToRemote("text", {
          connection,
          source: new pulumi.asset.StringAsset(text),
          remotePath: `${target}/deep/text`,
        });
        new remote.CopyToRemote("file", {
          connection,
          source: new pulumi.asset.FileAsset(stack.file("file")),
          remotePath: `${target}/other/file`,
        });
        new remote.CopyToRemote("folder", {
          connection,
          source: new pulumi.asset.FileArchive(import.meta.dirname),
          remotePath: `${target}/folder`,
        });
        return Promise.resolve();
      };
      await stack.up(program("one"));
      assert.equal(readFileSync(`${target}/deep/text`, "utf8"), "one");
      assert.equal(readFileSync(`${target}/other/file`, "utf8"), "file\n");
      assert.ok(existsSync(`${target}/folder/engine/providers.test.ts`));
      assert.deepEqual(await stack.preview(program("one")), { same: 4 });
      await stack.up(program("two"));
      assert.equal(readFileSync(`${target}/deep/text`, "utf8"), "two");
    });
  });

  describe("random", () => {
    it("draws once, keeps the value over updates, and draws again when a keeper changes", async () => {
      const program = (keeper: string) => () => {
        const keepers = { keeper };
        const password = new random.RandomPassword("password", { length: 24, special: false, minUpper: 2, keepers });
        const id = new random.RandomId("id", { byteLength: 4, keepers });
        const uuid = new random.RandomUuid("uuid", { keepers });
        const integer = new random.RandomInteger("integer", { min: 5, max: 7, keepers });
        const bytes = new random.RandomBytes("bytes", { length: 16, keepers });
        const string = new random.RandomString("string", {
          length: 8,
          lower: false,
          numeric: false,
          special: false,
          keepers,
        });
        return Promise.resolve({
          password: password.result,
          hex: id.hex,
          uuid: uuid.result,
          integer: integer.result,
          bytes: bytes.hex,
          string: string.result,
        });
      };
      const first = await stack.up(program("a"));
      assert.match(String(first["password"]), /^[A-Za-z0-9]{24}$/);
      assert.match(String(first["hex"]), /^[0-9a-f]{8}$/);
      assert.match(String(first["uuid"]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.ok([5, 6, 7].includes(Number(first["integer"])));
      assert.match(String(first["bytes"]), /^[0-9a-f]{32}$/);
      assert.match(String(first["string"]), /^[A-Z]{8}$/);
      assert.ok(!stack.state().includes(String(first["password"])));
      assert.ok(!stack.state().includes(String(first["bytes"])));
      assert.deepEqual(await stack.up(program("a")), first);
      const second = await stack.up(program("b"));
      for (const name of ["password", "hex", "uuid", "bytes"]) assert.notEqual(second[name], first[name]);
    });
  });
});

/** The two process ids that a command wrote, once it did. */
async function runningPids(file: string): Promise<[number, number]> {
  await waitFor("the command to start", () => existsSync(file) && readFileSync(file, "utf8").endsWith("\n"));
  const [shell = 0, child = 0] = readFileSync(file, "utf8").trim().split(" ").map(Number);
  assert.ok(isRunning(shell) && isRunning(child));
  return [shell, child];
}
