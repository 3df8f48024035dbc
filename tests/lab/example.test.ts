import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { root, stateIn } from "../../cli/workspace.ts";
import { ensureEngine } from "../../offline/engine.ts";

describe("a program of somebody else's that uses the component", function () {
  this.timeout(300_000);
  const workDir = path.join(root, "examples/throughput-floor");
  let folder: string;
  let stack: Stack;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-example-"));
    const { environment, pulumiRoot } = await ensureEngine({ log: () => undefined });
    const pulumiCommand = await PulumiCommand.get({ root: pulumiRoot, skipVersionCheck: true });
    const envVars = { ...environment, PULUMI_BACKEND_URL: stateIn(folder), PULUMI_CONFIG_PASSPHRASE: "example" };
    // A stack that is called like this process, since its namespaces are.
    stack = await LocalWorkspace.createStack({ stackName: `test-${process.pid}`, workDir }, { pulumiCommand, envVars });
  });
  after(async () => {
    await stack.destroy({ showSecrets: false });
    await rm(folder, { recursive: true, force: true });
    await rm(path.join(workDir, `Pulumi.test-${process.pid}.yaml`), { force: true });
    await rm(path.join(workDir, ".lab"), { recursive: true, force: true });
  });

  it("builds its lab, has it proved, and takes its own conclusion from the run", async () => {
    const { outputs } = await stack.up({ color: "never", showSecrets: false });
    assert.equal(outputs["verdict"]?.value, "confirmed");
    assert.ok(Number(outputs["percent"]?.value) > 0, JSON.stringify(outputs));
    assert.equal((await readdir(path.join(workDir, ".lab/runs"))).length, 1);
  });
});
