import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import { projectName, root } from "../../cli/workspace.ts";
import { run as runSchema, type Run } from "../../datapath/run/run.ts";
import { command, identity, quickly, TestLab, until } from "./support.ts";

const jsonReport = z.object({
  page: z.string(),
  runs: z.array(z.object({ file: z.string(), verdict: z.string() })),
  comparisons: z.array(
    z.union([
      z.object({ a: z.string(), b: z.string(), refused: z.array(z.string()) }),
      z.object({
        a: z.string(),
        b: z.string(),
        differences: z.array(z.object({ path: z.string(), quantity: z.string(), words: z.string() })),
      }),
    ]),
  ),
});

/** A call of the command line, as a terminal starts it: in a process group of its own. */
class Call {
  public stdout = "";
  public stderr = "";
  readonly #child: ChildProcess;

  constructor(folder: string, words: readonly string[]) {
    this.#child = spawn(process.execPath, ["--import", "tsx", "cli/lab.ts", ...words], {
      cwd: root,
      detached: true,
      env: { ...process.env, DATAPATH_LAB_FOLDER: folder },
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  /** Ctrl-C: the terminal sends it to all of the group. */
  interrupt(): void {
    assert(this.#child.pid !== undefined);
    process.kill(-this.#child.pid, "SIGINT");
  }

  async exitCode(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, "close");
    return this.#child.exitCode;
  }

  report(): z.infer<typeof jsonReport> {
    return jsonReport.parse(JSON.parse(this.stdout));
  }

  /** Datapaths in the order in which their turns began. */
  turns(): string[] {
    return [...this.stderr.matchAll(/^Turn \d+ of \d+: (\S+), round/gm)].map(([, datapath = ""]) => datapath);
  }
}

describe("compare, on a lab that stands", function () {
  this.timeout(600_000);
  let lab: TestLab;
  let stackFile: string;
  let namespaces: number[];

  const begin = (...words: readonly string[]): Call => new Call(lab.folder, [...words, "--stack", lab.stackName]);

  async function finished(...words: readonly string[]): Promise<Call> {
    const call = begin(...words);
    const code = await call.exitCode();
    assert.equal(code, 0, call.stderr);
    return call;
  }

  /** What has to be as it was after every comparison: the datapath in the outputs and in the kernel, and what runs. */
  async function assertAsFound(): Promise<void> {
    const { stdout } = await finished("outputs", "--json");
    const { datapath, verification } = z
      .object({ datapath: z.object({ mode: z.string() }), verification: runSchema })
      .parse(JSON.parse(stdout));
    assert.equal(datapath.mode, "vxlan");
    assert.equal(verification.verdict, "confirmed");
    assert.match(await command("ip", "-n", `${lab.prefix}node-1`, "route", "show", "10.42.1.0/24"), /dev cilium_vxlan/);
    assert.deepEqual(lab.namespaces().map(identity), namespaces, "nothing was built anew");
    const processes = await Promise.all(lab.namespaces().map((name) => command("ip", "netns", "pids", name)));
    assert.equal(processes.join("").trim(), "", "no server or capture goes on");
  }

  function keptRuns(): Run[] {
    const files = readdirSync(lab.runsFolder).sort();
    return files.map((file) => runSchema.parse(JSON.parse(readFileSync(path.join(lab.runsFolder, file), "utf8"))));
  }

  before(async () => {
    lab = await TestLab.create("compare");
    stackFile = path.join(root, `Pulumi.${lab.stackName}.yaml`);
    const verification = { ...quickly, runsFolder: path.relative(root, lab.runsFolder) };
    const config = { machines: { kind: "namespaces" }, datapath: { mode: "vxlan" }, verification };
    const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`${projectName}:${key}`, value]);
    await writeFile(stackFile, stringify({ config: Object.fromEntries(entries) }));
    await finished("up", "--json");
    namespaces = lab.namespaces().map(identity);
  });

  after(async () => {
    await rm(stackFile, { force: true });
    await lab.dispose();
    assert.deepEqual(await lab.leftovers(), []);
  });

  it("takes three datapaths in alternating order, each proven, and says what the numbers allow", async () => {
    const datapaths = ["vxlan", "native", "native:router"];
    const call = await finished("compare", "--datapaths", datapaths.join(","), "--rounds", "2", "--json");
    assert.deepEqual(call.turns(), [...datapaths, ...datapaths.toReversed()]);
    const { runs, comparisons, page } = call.report();
    assert.deepEqual(
      runs.map(({ verdict }) => verdict),
      Array.from({ length: 6 }, () => "confirmed"),
    );
    assert.deepEqual(
      comparisons.map(({ a, b }) => [a, b]),
      [
        ["vxlan", "native"],
        ["vxlan", "native:router"],
      ],
    );
    for (const comparison of comparisons) {
      assert.ok("differences" in comparison, JSON.stringify(comparison));
      const first = comparison.differences.find(({ path: name }) => name === "podToPod");
      assert.match(
        first?.words ?? "",
        /^(native(:router)? is (faster|slower) than VXLAN with 1 stream by [\d.]+ % \(95 % interval: |no difference between native(:router)? and VXLAN with 1 stream that these samples can show)/,
      );
    }
    assert.ok(existsSync(page) && existsSync(page.replace(/html$/, "md")));
    assert.match(readFileSync(page, "utf8"), /Native routing through a router/);
    await assertAsFound();
  });

  it("leaves the datapath of the last up, not that of a call that only looked", async () => {
    await finished("up", "--datapath", "native", "--json");
    await finished("outputs", "--json");
    await finished("preview", "--datapath", "native:router", "--json");
    await finished("compare", "--datapaths", "vxlan,native", "--rounds", "1", "--json");
    const route = await command("ip", "-n", `${lab.prefix}node-1`, "route", "show", "10.42.1.0/24");
    assert.match(route, /via 172\.30\.0\.6 dev eth0/);
    await finished("up", "--json");
    await assertAsFound();
  });

  it("interrupted half-way: keeps what was measured and leaves the lab as it was", async () => {
    const call = begin("compare", "--datapaths", "vxlan,native", "--rounds", "2", "--json");
    await until("the second turn is being proven", 120, () => /Turn 2 of 4[\s\S]*capturing on every/.test(call.stderr));
    call.interrupt();
    assert.equal(await call.exitCode(), 1);
    assert.deepEqual(call.turns(), ["vxlan", "native"]);
    assert.match(call.stderr, /Interrupted: 2 of 4 turns were not taken\.\nLeaving the lab as it was/);
    assert.equal(call.report().runs.length, 1);
    await assertAsFound();
  });

  it("a datapath that is contradicted: reports the others, and refuses to compare with it", async () => {
    const node = `${lab.prefix}node-1`;
    // Bare pod packets never leave the node; those in a tunnel do.
    const sabotage =
      'table ip sabotage { chain out { type filter hook postrouting priority 300; oifname "eth0" ip saddr 10.42.0.0/16 ip daddr 10.42.0.0/16 drop; }; }';
    await command("ip", "netns", "exec", node, "nft", sabotage);
    try {
      const call = begin("compare", "--datapaths", "native,vxlan", "--rounds", "1", "--json");
      assert.equal(await call.exitCode(), 1);
      assert.match(call.stderr, /CONTRADICTED: \d+ of 39 checks speak against the datapath/);
      assert.match(call.stderr, /No run of native in round 1: its up failed, see above\./);
      assert.deepEqual(
        call.report().runs.map(({ verdict }) => verdict),
        ["confirmed"],
      );
      await assertAsFound();
    } finally {
      await command("ip", "netns", "exec", node, "nft", "delete table ip sabotage");
    }
    const contradicted = keptRuns().find(({ verdict }) => verdict === "contradicted");
    const confirmed = keptRuns().find(({ verdict }) => verdict === "confirmed");
    const files = [confirmed, contradicted].map((run) => path.join(lab.runsFolder, `${run?.id ?? ""}.json`));
    const [refusal] = (await finished("compare", ...files, "--json")).report().comparisons;
    assert.ok(refusal !== undefined && "refused" in refusal);
    assert.match(refusal.refused.join("\n"), /is contradicted: of 39 checks \d+ failed/);
  });
});
