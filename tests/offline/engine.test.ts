import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { withLock } from "../../offline/lock.ts";
import { bundleHash } from "../../offline/bundle.ts";
import { ensureEngine, findEngine, type Engine } from "../../offline/engine.ts";

const require = createRequire(import.meta.url);
const nobodyHoldsIt = (): never => assert.fail("nobody holds the lock");
const offline = path.join(import.meta.dirname, "..", "..", "offline");

describe("the offline engine", () => {
  it("builds the CLI whose npm package is installed", () => {
    const goMod = readFileSync(path.join(offline, "go", "cli", "go.mod"), "utf8");
    const { version } = require("pulumi/package.json") as { version: string };
    assert.ok(goMod.includes(`github.com/pulumi/pulumi/pkg/v3 v${version}`));
  });

  it("gives the same sources the same hash", () => {
    assert.match(bundleHash(), /^[0-9a-f]{16}$/);
    assert.equal(bundleHash(), bundleHash());
  });
});

describe("what the offline engine takes", function () {
  // The providers are bundled in some of these tests.
  this.timeout("3m");
  let folder: string;
  let saved: NodeJS.ProcessEnv;
  const { version } = require("pulumi/package.json") as { version: string };
  const commandVersion = (require("@pulumi/command/package.json") as { version: string }).version;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-choice-"));
    saved = { ...process.env };
    process.env["XDG_CACHE_HOME"] = path.join(folder, "cache");
    process.env["PULUMI_HOME"] = path.join(folder, "home");
    process.env["PATH"] = [path.join(folder, "bin"), "/usr/bin", "/bin"].join(path.delimiter);
    delete process.env["PULUMI_CREDENTIALS_PATH"];
    // These tests reach for no network: the download host counts as blocked.
    mkdirSync(path.join(folder, "cache", "datapath-lab"), { recursive: true });
    writeFileSync(path.join(folder, "cache", "datapath-lab", "downloads-blocked"), "by the test\n");
    for (const name of ["pulumi", "pulumi-language-nodejs"]) {
      executable(path.join("home", "versions", version, "bin", name));
    }
  });
  afterEach(() => {
    process.env = saved;
    rmSync(folder, { recursive: true, force: true });
  });

  function executable(name: string, script = "true"): string {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return file;
  }

  async function take(): Promise<{ engine: Engine; lines: string[] }> {
    const lines: string[] = [];
    return { engine: await ensureEngine({ log: (line) => lines.push(line) }), lines };
  }

  /** The file that the engine runs for a plugin. */
  function pluginOf(engine: Engine, name: string, pluginVersion: string): string {
    const home = engine.environment["PULUMI_HOME"] ?? "";
    return realpathSync(path.join(home, "plugins", `resource-${name}-v${pluginVersion}`, `pulumi-resource-${name}`));
  }

  it("takes the CLI that the npm package downloaded, and stand-ins for plugins that are not there", async () => {
    const { engine } = await take();
    assert.equal(engine.source, "npm");
    assert.equal(engine.pulumiRoot, path.join(folder, "home", "versions", version));
    assert.deepEqual(engine.plugins, { command: "stand-in", kubernetes: "stand-in", random: "stand-in" });
    assert.equal(engine.environment["PULUMI_CREDENTIALS_PATH"], path.join(folder, "home"));
    assert.ok(pluginOf(engine, "command", commandVersion).includes("stand-ins"));
    assert.ok(!existsSync(path.join(folder, "home", "plugins")), "a stand-in got into the user's home");
  });

  it("does not take a CLI that another state of this project built", async () => {
    writeFileSync(path.join(folder, "home", "versions", version, ".built-from-go-modules"), "Built by sources 0000.\n");
    assert.equal((await findEngine()).cli, undefined);
  });

  it("prefers an official CLI on PATH, unless it is too old or lacks the language host", async () => {
    executable("bin/pulumi", "echo v3.260.1");
    const withoutHost = await take();
    assert.equal(withoutHost.engine.source, "npm");
    assert.match(withoutHost.lines.join("\n"), /3\.260\.1 at .*\/bin\/pulumi has no Node\.js language host/);
    executable("bin/pulumi-language-nodejs");
    const { engine } = await take();
    assert.deepEqual([engine.source, engine.pulumiRoot], ["installed", folder]);
    executable("bin/pulumi", "echo v3.100.0 # old");
    const old = await take();
    assert.equal(old.engine.source, "npm");
    assert.match(old.lines.join("\n"), /3\.100\.0 at .* is older than 3\.200\.0, and is not used/);
  });

  it("prefers an official plugin in Pulumi's home or on PATH", async () => {
    const official = executable(`home/plugins/resource-command-v${commandVersion}/pulumi-resource-command`);
    executable("bin/pulumi-resource-random");
    const { engine } = await take();
    assert.deepEqual(engine.plugins, { command: "official", kubernetes: "stand-in", random: "official" });
    assert.equal(pluginOf(engine, "command", commandVersion), official);
  });

  it("takes a plugin whose download was cut short for missing", async () => {
    executable(`home/plugins/resource-command-v${commandVersion}/pulumi-resource-command`);
    writeFileSync(path.join(folder, "home", "plugins", `resource-command-v${commandVersion}.partial`), "");
    assert.equal((await take()).engine.plugins["command"], "stand-in");
  });

  it("gives the same answer within its own environment", async () => {
    const { engine } = await take();
    Object.assign(process.env, engine.environment);
    assert.deepEqual((await take()).engine, engine);
  });

  it("answers in no time when everything is there", async () => {
    await take();
    const started = performance.now();
    const { lines } = await take();
    assert.ok(performance.now() - started < 50, "the second call took 50 ms or more");
    assert.deepEqual(lines, []);
  });
});

describe("the lock between processes", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-lock-"));
    file = path.join(folder, "lock");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is released after the work, also after failed work", async () => {
    await assert.rejects(
      withLock(file, () => Promise.reject(new Error("work failed")), nobodyHoldsIt),
      /work failed/,
    );
    assert.equal(await withLock(file, () => Promise.resolve(1), nobodyHoldsIt), 1);
    assert.ok(!existsSync(file));
  });

  it("makes the second wait for the first, and says for whom", async () => {
    const order: string[] = [];
    let finishFirst = (): void => undefined;
    const first = withLock(
      file,
      async () => {
        await new Promise<void>((resolve) => (finishFirst = resolve));
        order.push("first");
      },
      nobodyHoldsIt,
    );
    const second = withLock(
      file,
      () => Promise.resolve(order.push("second")),
      (owner) => {
        assert.equal(owner, process.pid);
        finishFirst();
      },
    );
    await Promise.all([first, second]);
    assert.deepEqual(order, ["first", "second"]);
  });

  it("takes over from an owner that is gone, also when another process has its id now", async () => {
    const gone = spawn(process.execPath, ["-e", ""]);
    await once(gone, "exit");
    for (const owner of [`${gone.pid ?? 0} 12345`, `${process.pid} 1`]) {
      writeFileSync(file, owner);
      assert.equal(await withLock(file, () => Promise.resolve("done"), nobodyHoldsIt), "done");
    }
  });
});
