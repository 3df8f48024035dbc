import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { EmbeddedNode } from "../../components/embedded-lab.ts";
import { command, exitStatus, identity, inNamespace, nodesOf, TestLab, until } from "./support.ts";

const vxlan = { datapath: { mode: "vxlan" } };

/** Every process below one, itself included, as the kernel knows them. */
function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${entry}/status`, "utf8"))?.[1];
      parents.set(Number(entry), Number(parent));
    } catch {
      // Ended between being listed and being read.
    }
  }
  const children = (process: number): number[] =>
    [...parents].filter(([, parent]) => parent === process).flatMap(([child]) => [child, ...children(child)]);
  return [root, ...children(root)];
}

async function talks(from: EmbeddedNode, to: EmbeddedNode): Promise<boolean> {
  return (await exitStatus("ip", "netns", "exec", from.pod.namespace, "ping", "-c1", "-W1", to.pod.address)) === 0;
}

describe("faults in the embedded lab", function () {
  this.timeout(300_000);
  let lab: TestLab;
  beforeEach(async () => {
    lab = await TestLab.create("faults");
  });
  afterEach(() => lab.dispose());

  /** Starts an update, waits for a moment in it and kills the engine and everything below it, with no chance to clean up. */
  async function killDuringUp(moment: string, reached: () => boolean): Promise<void> {
    const { stack, configFile } = await lab.open(vxlan);
    const child = lab.startUp(configFile, { ...process.env, ...stack.workspace.envVars } as Record<string, string>);
    const exited = once(child, "exit");
    assert(child.pid !== undefined);
    await until(moment, 60, reached);
    for (const pid of processTree(child.pid).reverse()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It was faster.
      }
    }
    await exited;
  }

  const moments: [string, () => boolean][] = [
    ["the network stands", () => lab.namespaces().length >= 1],
    ["some nodes stand", () => lab.namespaces().length >= 4],
    ["verification runs", () => readdirSync("/proc").some((entry) => isVerificationOf(entry))],
  ];

  function isVerificationOf(entry: string): boolean {
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      return words.includes("iperf3") && lab.namespaces().length === 8;
    } catch {
      return false;
    }
  }

  for (const [moment, reached] of moments) {
    it(`an up killed when ${moment} is finished by the next`, async () => {
      await killDuringUp(moment, reached);
      const state = readdirSync(path.join(lab.folder, "state"), { recursive: true, encoding: "utf8" });
      assert.ok(state.some((file) => file.endsWith(".json")));
      assert.deepEqual(
        state.filter((file) => file.endsWith(".attrs")),
        [],
        "files that a kill can leave half-written",
      );
      const result = await lab.up(vxlan);
      assert.equal((result.outputs["verification"]?.value as { verdict: string }).verdict, "confirmed");
      const { summary } = await lab.up(vxlan);
      assert.deepEqual(Object.keys(summary.resourceChanges ?? {}), ["same"]);
      await lab.destroy();
      assert.deepEqual(await lab.leftovers(), []);
    });
  }

  it("destroy after a kill leaves nothing", async () => {
    await killDuringUp("the network stands", () => lab.namespaces().length >= 2);
    await lab.open(vxlan);
    await lab.destroy();
    assert.deepEqual(await lab.leftovers(), []);
  });

  it("namespaces deleted by hand: the next up builds them again, destroy does not mind", async () => {
    const [one, other] = nodesOf(await lab.up(vxlan));
    assert(one !== undefined && other !== undefined);
    const untouched = identity(other.namespace);
    await command("ip", "netns", "del", one.pod.namespace);
    await lab.up(vxlan);
    assert.ok(await talks(one, other));
    assert.equal(identity(other.namespace), untouched, "only what was gone is built again");

    await command("ip", "netns", "del", `${lab.prefix}network`);
    await lab.up(vxlan);
    assert.ok(await talks(one, other));

    await command("ip", "netns", "del", other.namespace);
    await lab.destroy();
    assert.deepEqual(await lab.leftovers(), []);
  });

  it("two stacks stand side by side, and each goes alone", async () => {
    const second = await TestLab.create("beside");
    try {
      const [, result] = await Promise.all([lab.up(vxlan), second.up({ datapath: { mode: "native" } })]);
      const [one, other] = nodesOf(result);
      assert(one !== undefined && other !== undefined);
      await lab.destroy();
      assert.deepEqual(await lab.leftovers(), []);
      assert.ok(await talks(one, other));
      await inNamespace(one.namespace, "true");
    } finally {
      await second.dispose();
    }
  });
});
