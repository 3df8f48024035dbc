import assert from "node:assert/strict";
import fc from "fast-check";
import ssh2 from "ssh2";
import type { Operation } from "../../offline/providers/definition.ts";
import { changedProperties, topLevelProperty } from "../../offline/providers/diff.ts";
import { goExitText, goQuoted, withoutFinalNewline } from "../../offline/providers/go-text.ts";
import {
  copyToRemoteInputs,
  inputFailures,
  localCommandInputs,
  remoteCommandInputs,
} from "../../offline/providers/command/inputs.ts";
import { commandEnvironment, localCommand } from "../../offline/providers/command/local.ts";
import { CommandOutput } from "../../offline/providers/command/output.ts";
import { remoteCommand } from "../../offline/providers/command/remote.ts";
import { previewOfCreate, previewOfUpdate } from "../../offline/providers/command/resource.ts";
import { parseHostKey, pauseMilliseconds, reachedDialErrorLimit } from "../../offline/providers/command/ssh.ts";
import {
  isSecret,
  reveal,
  secret,
  unknownValue,
  type PropertyMap,
  type PropertyValue,
} from "../../offline/providers/properties.ts";
import { randomProvider } from "../../offline/providers/random.ts";

function operation(lines: string[] = []): Operation {
  return {
    urn: "urn:pulumi:s::p::t::n",
    name: "n",
    preview: false,
    signal: new AbortController().signal,
    configuration: {},
    log: (_severity, message) => lines.push(message),
  };
}

describe("the stand-in providers: what changed", () => {
  const paths = (oldInputs: PropertyMap, newInputs: PropertyMap): string[] =>
    changedProperties(oldInputs, newInputs).map(({ path, kind }) => `${kind} ${path}`);

  it("names every changed property by its path", () => {
    const oldInputs = { create: "a", environment: { A: "1", "b.c": "2" }, triggers: [1, 2], dir: "/x" };
    const newInputs = { create: "b", environment: { A: "1", "b.c": "3" }, triggers: [1, 3, 4], stdin: "s" };
    assert.deepEqual(paths(oldInputs, newInputs), [
      "update create",
      "delete dir",
      'update environment["b.c"]',
      "add stdin",
      "update triggers[1]",
      "add triggers[2]",
    ]);
  });

  it("takes null as absent and leaves out what belongs to the engine", () => {
    assert.deepEqual(paths({ a: null, version: "1", __internal: 1 }, { version: "2", __internal: 2 }), []);
  });

  it("compares what secrets hold, and sees a value become secret", () => {
    assert.deepEqual(paths({ a: secret("x") }, { a: secret("x") }), []);
    assert.deepEqual(paths({ a: secret("x") }, { a: secret("y") }), ["update a"]);
    assert.deepEqual(paths({ a: "x" }, { a: secret("x") }), ["update a"]);
  });

  it("is empty for equal inputs, and names the one input that was set to something else", () => {
    const inputs = fc.dictionary(
      fc.stringMatching(/^[a-z]{1,3}$/),
      fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<PropertyValue>,
    );
    fc.assert(
      fc.property(inputs, (values) => {
        assert.deepEqual(paths(values, structuredClone(values)), []);
        for (const name of Object.keys(values)) {
          const changes = changedProperties(values, { ...values, [name]: "a value of no other input" });
          assert.deepEqual(
            changes.map(({ path }) => path),
            [name],
          );
        }
      }),
    );
  });

  it("knows the property that a path leads into", () => {
    assert.equal(topLevelProperty("triggers[0]"), "triggers");
    assert.equal(topLevelProperty('environment["a.b"]'), "environment");
    assert.equal(topLevelProperty("stdin"), "stdin");
  });

  it("replaces commands on triggers alone, and random values on anything", () => {
    for (const handler of [localCommand, remoteCommand]) {
      assert.equal(handler.replacesOn("triggers", "triggers[0]", {}), true);
      for (const input of ["create", "stdin", "connection", "environment"])
        assert.equal(handler.replacesOn(input, input, {}), false);
    }
    for (const handler of Object.values(randomProvider.resources))
      assert.equal(handler.replacesOn("keepers", "keepers.a", {}), true);
  });
});

describe("the stand-in providers: previews of a command", () => {
  it("knows the inputs but not what will be printed", () => {
    assert.deepEqual(previewOfCreate({ create: "x" }), { create: "x", stdout: unknownValue, stderr: unknownValue });
  });

  it("expects other output when an input differs, is unknown or is gone, not when one is new", () => {
    const state = { create: "x", stdin: "a", stdout: "1", stderr: "" };
    const stdout = (inputs: PropertyMap): unknown => previewOfUpdate(inputs, state)["stdout"];
    assert.equal(stdout({ create: "x", stdin: "b" }), unknownValue);
    assert.equal(stdout({ create: "x", stdin: unknownValue }), unknownValue);
    assert.equal(stdout({ create: "x" }), unknownValue);
    assert.equal(stdout({ create: "x", stdin: "a", delete: "y" }), "1");
  });
});

describe("the stand-in providers: inputs", () => {
  it("names unknown, missing and wrong fields without their values", () => {
    const inputs = {
      create: "x",
      connection: { host: "h", privateKey: "hush", hostname: "x", port: "22", user: "u" },
      logging: "all",
    };
    assert.deepEqual(
      inputFailures(remoteCommandInputs, inputs)
        .map(({ property, reason }) => `${property}: ${reason}`)
        .sort(),
      [
        "connection.dialErrorLimit: missing required field (number)",
        'connection.hostname: unrecognized field "hostname"',
        "connection.perDialTimeout: missing required field (number)",
        "connection.port: must be a number",
        'logging: must be one of "stdout", "stderr", "stdoutAndStderr", "none"',
      ],
    );
  });

  it("takes unknown values as right, at any depth", () => {
    assert.deepEqual(inputFailures(localCommandInputs, { environment: unknownValue, triggers: unknownValue }), []);
    assert.deepEqual(inputFailures(localCommandInputs, { interpreter: [unknownValue], dir: secret(unknownValue) }), []);
    assert.deepEqual(
      inputFailures(copyToRemoteInputs, { connection: unknownValue, source: unknownValue, remotePath: "x" }),
      [],
    );
  });

  it("fills in the defaults of connection and proxy, and makes the connection secret", async () => {
    const checked = await remoteCommand.check?.(
      { connection: { host: "h", proxy: { host: "p", port: 2222 } } },
      operation(),
      {},
    );
    const connection = checked?.inputs["connection"];
    assert.ok(isSecret(connection));
    const defaults = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
    assert.deepEqual(reveal(connection), {
      ...defaults,
      host: "h",
      proxy: { ...defaults, host: "p", port: 2222 },
    });
    assert.deepEqual(checked?.failures, []);
  });

  it("says that it does not collect files", async () => {
    const checked = await localCommand.check?.({ create: "x", assetPaths: ["*"] }, operation(), {});
    assert.deepEqual(checked?.failures, [
      {
        property: "assetPaths",
        reason: "assetPaths needs the official command plugin; the stand-in that runs here does not collect files",
      },
    ]);
  });
});

describe("the stand-in providers: texts of the official plugin", () => {
  it("quotes commands as Go does", () => {
    assert.equal(goQuoted('a "b" \\ \n\t\r é \u0001 \u2028'), '"a \\"b\\" \\\\ \\n\\t\\r é \\x01 \\u2028"');
  });

  it("names exit statuses and signals as Go does", () => {
    assert.equal(goExitText(3, null), "exit status 3");
    assert.equal(goExitText(null, "SIGKILL"), "signal: killed");
    assert.equal(goExitText(null, "SIGTERM"), "signal: terminated");
  });

  it("takes one newline off the end, not two, and no other space", () => {
    assert.equal(withoutFinalNewline("a\n\n"), "a\n");
    assert.equal(withoutFinalNewline("a \n"), "a ");
    assert.equal(withoutFinalNewline("a\r\n"), "a\r");
    assert.equal(withoutFinalNewline(""), "");
  });
});

describe("the stand-in providers: what a command prints", () => {
  it("is shown line by line, also when characters and lines come in parts", () => {
    const lines: string[] = [];
    const output = new CommandOutput(operation(lines));
    const text = Buffer.from("grüße\nzwei\r\ndrei");
    for (const byte of text) output.add("stdout", Buffer.from([byte]));
    assert.deepEqual(lines, ["grüße", "zwei"]);
    output.add("stderr", Buffer.from("e\n"));
    output.finish();
    assert.deepEqual(lines, ["grüße", "zwei", "e", "drei"]);
    assert.deepEqual(output.outputs(), { stdout: "grüße\nzwei\r\ndrei", stderr: "e" });
    assert.equal(output.interleaved, "grüße\nzwei\r\ndreie\n");
  });

  it("goes into the next run's environment unless that is switched off", () => {
    const previous = { stdout: "out", stderr: "" };
    const environment = commandEnvironment({ environment: { A: "1" } }, previous);
    assert.equal(environment["A"], "1");
    assert.equal(environment["PULUMI_COMMAND_STDOUT"], "out");
    assert.equal(environment["PATH"], process.env["PATH"]);
    assert.ok(!("PULUMI_COMMAND_STDERR" in environment));
    assert.ok(!("PULUMI_COMMAND_STDOUT" in commandEnvironment({ addPreviousOutputInEnv: false }, previous)));
  });
});

describe("the stand-in providers: SSH", () => {
  it("reads a host key as it stands in a .pub file", async () => {
    const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGWjvwkH8ajKvpJHnAzNbMqmjiJXW0lCrLyHIAomsje root@host";
    const key = await parseHostKey(`${line}\n`);
    assert.deepEqual(key.algorithms, ["ssh-ed25519"]);
    assert.equal(key.blob.toString("base64"), line.split(" ")[1]);
    const rsa = ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 });
    assert.deepEqual((await parseHostKey(rsa.public)).algorithms, ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]);
  });

  it("refuses everything else as a host key", async () => {
    const { private: privateKey } = ssh2.utils.generateKeyPairSync("ed25519");
    for (const text of ["", "AAAAC3Nz", "ssh-ed25519", "ssh-ed25519 !!!", privateKey]) {
      await assert.rejects(parseHostKey(text), /failed to parse host key: connection\.hostKey must be one line as in/);
    }
  });

  it("counts and spaces attempts as the official plugin does", () => {
    assert.deepEqual([1, 2, 3].map(pauseMilliseconds).map(Math.round), [100, 150, 225]);
    assert.equal(pauseMilliseconds(50), 5000);
    assert.equal(reachedDialErrorLimit(10, 10), false);
    assert.equal(reachedDialErrorLimit(11, 10), true);
    assert.equal(reachedDialErrorLimit(1, 0), true);
    assert.equal(reachedDialErrorLimit(1_000_000, -1), false);
  });
});
