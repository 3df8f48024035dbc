import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { readStackConfig, root } from "../../cli/workspace.ts";
import { DatapathLab } from "../../components/index.ts";
import { checkLabConfig } from "../../datapath/config/index.ts";
import { TestLab } from "../lab/support.ts";
import { InlineStack } from "./inline-stack.ts";

/** What a preview says of a config that can't be used. */
async function refusal(lab: TestLab, config: Readonly<Record<string, unknown>>): Promise<string> {
  try {
    await lab.preview(config);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new assert.AssertionError({ message: "the preview accepted the config" });
}

describe("bad config, through the real engine", function () {
  this.timeout(180_000);
  let lab: TestLab;
  before(async () => {
    lab = await TestLab.create("config");
  });
  after(() => lab.dispose());

  it("is refused at preview with every error at once, each with its key, and nothing is created", async () => {
    const said = await refusal(lab, {
      machines: { kind: "namespaces", count: 65, network: "10.42.0.0/24", nodes: 3 },
      datapath: { mode: "native", ipv4NativeRoutingCIDR: "10.0.0/8", tunnelPort: 8472 },
      surprise: true,
    });
    for (const key of [
      "machines.count",
      "machines.nodes",
      "datapath.ipv4NativeRoutingCIDR",
      "datapath.tunnelPort",
      "surprise",
    ]) {
      assert.match(said, new RegExp(`error: datapath-lab:${key.replace(".", "\\.")}\\s`), key);
    }
    assert.match(said, /\d errors in the lab's config; nothing was created/);
    assert.doesNotMatch(said, /\bat .*\.ts:\d+/, "no stack trace");
    assert.deepEqual(lab.namespaces(), []);
  });

  it("names what overlaps, what is too small and what is too long", async () => {
    const overlapping = await refusal(lab, { machines: { kind: "namespaces", network: "10.42.7.0/24" } });
    assert.match(overlapping, /error: datapath-lab:\S*(machines\.network|clusterPoolIPv4PodCIDR)/);
    const small = await refusal(lab, {
      machines: { kind: "namespaces", count: 5 },
      datapath: { mode: "vxlan", ipam: { clusterPoolIPv4PodCIDR: "10.42.0.0/22" } },
    });
    assert.match(small, /error: datapath-lab:datapath\.ipam\.clusterPoolIPv4\S+/);
    const long = await refusal(lab, { machines: { kind: "namespaces", namePrefix: "a-node-of-great-length-" } });
    assert.match(long, /error: datapath-lab:machines\.namePrefix/);
  });
});

describe("config that pulumi config set wrote", function () {
  this.timeout(180_000);
  let lab: TestLab;
  let file: string;
  before(async () => {
    lab = await TestLab.create("set");
    // Where npm run lab looks for it.
    file = path.join(root, `Pulumi.${lab.stackName}.yaml`);
  });
  after(async () => {
    await rm(file, { force: true });
    await lab.dispose();
  });

  /** Has the real CLI set keys in a config file, as a person does. */
  async function set(configFile: string, values: readonly (readonly [key: string, value: string])[]): Promise<void> {
    const { stack } = await lab.open({});
    const env = { ...process.env, ...stack.workspace.envVars };
    for (const [key, value] of values) {
      const words = ["config", "set", "--stack", lab.stackName, "--config-file", configFile, "--path"];
      await promisify(execFile)("pulumi", [...words, `datapath-lab:${key}`, value], { cwd: root, env });
    }
  }

  it("means the same to the program and to npm run lab", async () => {
    await writeFile(file, "config: {}\n");
    await set(file, [
      ["machines.kind", "namespaces"],
      ["machines.count", "2"],
      ["datapath.mode", "native"],
      ["verification.streams[0]", "2"],
      ["strict", "true"],
    ]);
    assert.deepEqual(await readStackConfig(lab.stackName), {
      machines: { kind: "namespaces", count: 2 },
      datapath: { mode: "native" },
      verification: { streams: [2] },
      strict: true,
    });
    const { stack } = await lab.open({});
    const { stdout } = await stack.preview({ configFile: file, diff: true, suppressOutputs: true, color: "never" });
    assert.match(stdout, /wire\s*: "pod packets as they are"/);
    assert.match(stdout, /::node-2\]/);
    assert.doesNotMatch(stdout, /::node-3\]/);
  });

  it("has warnings refused by strict, by both", async () => {
    await set(file, [["datapath.conntrackBypass", "true"]]);
    const { findings } = checkLabConfig(await readStackConfig(lab.stackName));
    assert.deepEqual([...new Set(findings.map(({ severity }) => severity))], ["error"]);
    const { stack } = await lab.open({});
    await assert.rejects(stack.preview({ configFile: file }), /error: datapath-lab:datapath\.conntrackBypass/);
  });

  it("has a section that was set as a secret refused, by both", async () => {
    const { stack } = await lab.open({});
    const env = { ...process.env, ...stack.workspace.envVars };
    const words = ["config", "set", "--secret", "--stack", lab.stackName, "--config-file", file, "--path"];
    await promisify(execFile)("pulumi", [...words, "datapath-lab:machines.namePrefix", "hidden-"], { cwd: root, env });
    const said = /error: datapath-lab:machines\s+Was set with --secret/;
    await assert.rejects(readStackConfig(lab.stackName), said);
    await assert.rejects(stack.preview({ configFile: file }), (error: Error) => {
      assert.match(error.message, said);
      assert.doesNotMatch(error.message, /hidden-/);
      return true;
    });
  });
});

describe("a lab on machines, through the real engine", function () {
  this.timeout(180_000);
  let lab: TestLab;
  before(async () => {
    lab = await TestLab.create("machines");
  });
  after(() => lab.dispose());

  it("previews whole with nothing standing: from the first machine to the proof, diff in words", async () => {
    const { stdout, changeSummary } = await lab.preview({
      machines: {
        kind: "hosts",
        hosts: ["one", "two"].map((name, index) => ({
          name,
          address: `192.0.2.${index + 1}`,
          hostKey: "ssh-ed25519 AAAA",
        })),
      },
      datapath: { mode: "native" },
    });
    for (const name of ["preflight-check", "one-k3s", "cilium-release", "workload-probe", "verification-run"]) {
      assert.match(stdout, new RegExp(`::${name}\\]`), name);
    }
    assert.match(stdout, /tunnel\s*: "disabled"/);
    assert.deepEqual(Object.keys(changeSummary), ["create"]);
  });
});

describe("a program with two labs", function () {
  this.timeout(120_000);
  let stack: InlineStack;
  before(async () => {
    stack = await InlineStack.create();
  });
  after(() => {
    stack.remove();
  });

  it("is told that each lab wants a stack of its own", async () => {
    const args = { machines: { kind: "namespaces" } } as const;
    const twoLabs = (): Promise<void> => {
      for (const name of ["one", "other"]) new DatapathLab(name, args);
      return Promise.resolve();
    };
    await assert.rejects(
      () => stack.preview(twoLabs),
      /This stack has the lab one already, and can have no lab other\.\n\s*Give each lab a stack of its own\./,
    );
  });
});
