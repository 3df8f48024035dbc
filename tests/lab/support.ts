import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { PreviewResult, UpResult } from "@pulumi/pulumi/automation/index.js";
import { openStack, projectName, root, type OpenStack } from "../../cli/workspace.ts";
import type { EmbeddedNode } from "../../components/embedded-lab.ts";
import type { VerificationSpec } from "../../verification/spec.ts";

const execute = promisify(execFile);

/** Runs a command and gives its standard output. Rejects where it fails. */
export async function command(...[program = "", ...rest]: readonly string[]): Promise<string> {
  return (await execute(program, rest, { maxBuffer: 64 * 1024 * 1024 })).stdout;
}

/** Runs a command and gives its exit status, whatever it is. */
export async function exitStatus(...words: readonly string[]): Promise<number> {
  try {
    await command(...words);
    return 0;
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "number") return error.code;
    throw error;
  }
}

export async function inNamespace(namespace: string, ...words: readonly string[]): Promise<string> {
  return command("ip", "netns", "exec", namespace, ...words);
}

/** Short samples: these tests look at what is in effect, not at how fast it is. */
export const quickly = {
  samples: 1,
  durationSeconds: 1,
  streams: [1],
  warmUpSeconds: 0,
  udpMegabitsPerSecond: 0,
  latencyUnderLoad: false,
  sameNode: false,
};

/** A stack of its own, with its state in a folder of its own. */
export class TestLab {
  public readonly stackName: string;
  public readonly folder: string;
  private opened: OpenStack | undefined;

  private constructor(stackName: string, folder: string) {
    this.stackName = stackName;
    this.folder = folder;
  }

  /** @param title part of the stack's name; this process's number is the other */
  static async create(title: string): Promise<TestLab> {
    return new TestLab(`test-${title}-${process.pid}`, await mkdtemp(path.join(tmpdir(), "datapath-lab-test-")));
  }

  get prefix(): string {
    return `${projectName}:${this.stackName}:`;
  }

  get runsFolder(): string {
    return path.join(this.folder, "runs");
  }

  async open(config: Readonly<Record<string, unknown>>): Promise<OpenStack> {
    const runsFolder = path.relative(root, this.runsFolder);
    const verification = { ...quickly, runsFolder, ...(config["verification"] as object | undefined) };
    this.opened = await openStack(this.stackName, { ...config, verification }, () => undefined, this.folder);
    return this.opened;
  }

  async up(config: Readonly<Record<string, unknown>>): Promise<UpResult> {
    const { stack, configFile } = await this.open(config);
    return stack.up({ configFile, showSecrets: false, color: "never" });
  }

  async preview(config: Readonly<Record<string, unknown>>): Promise<PreviewResult> {
    const { stack, configFile } = await this.open(config);
    return stack.preview({ configFile, diff: true, suppressOutputs: true, color: "never" });
  }

  /** Starts `up` as a process of its own, to be killed. Its group is its own too. */
  startUp(configFile: string, environment: Record<string, string>): ChildProcess {
    const words = ["up", "--yes", "--skip-preview", "--stack", this.stackName, "--config-file", configFile];
    return spawn("pulumi", words, { cwd: root, env: environment, stdio: "ignore", detached: true });
  }

  async destroy(): Promise<void> {
    const opened = this.opened ?? (await this.open({}));
    await opened.stack.destroy({ configFile: opened.configFile, showSecrets: false, color: "never" });
  }

  /** Removes the lab by the engine where that is possible, and what is left by hand where it is not. */
  async dispose(): Promise<void> {
    try {
      await this.destroy();
    } finally {
      for (const name of this.namespaces()) await exitStatus("ip", "netns", "del", name);
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  /** Namespaces of this lab that stand. */
  namespaces(): string[] {
    return existsSync("/run/netns") ? readdirSync("/run/netns").filter((name) => name.startsWith(this.prefix)) : [];
  }

  /** Everything of this lab that is left on the machine: namespaces, what was written down of them, processes. */
  async leftovers(): Promise<string[]> {
    const markers = existsSync("/run/datapath-lab") ? readdirSync("/run/datapath-lab") : [];
    const processes = (await command("ps", "-eo", "pid,args")).split("\n");
    return [
      ...this.namespaces(),
      ...markers.filter((name) => name.startsWith(this.prefix)),
      ...processes.filter((line) => line.includes(this.prefix) && !line.includes("mocha")),
    ];
  }
}

/** The nodes that an update's outputs name. */
export function nodesOf({ outputs }: UpResult): EmbeddedNode[] {
  const nodes: unknown = outputs["nodes"]?.value;
  assert(Array.isArray(nodes));
  return nodes as EmbeddedNode[];
}

/** What stays the same while a namespace lives. */
export function identity(namespace: string): number {
  return statSync(path.join("/run/netns", namespace)).ino;
}

/** Waits until `condition` holds. Rejects after `seconds`, naming what was waited for. */
export async function until(what: string, seconds: number, condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface Verified {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the verification program as its command resource does. */
export async function verify(spec: VerificationSpec): Promise<Verified> {
  const child = spawn(process.execPath, ["--import", "tsx", "verification/main.ts"], { cwd: root });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(JSON.stringify(spec));
  await once(child, "close");
  return { exitCode: child.exitCode, stdout, stderr };
}

/** What the verification program of a standing lab is given. */
export function specOf(lab: TestLab, { outputs }: UpResult): VerificationSpec {
  return {
    lab: { project: "datapath-lab", stack: lab.stackName, kind: "namespaces" },
    datapath: outputs["datapath"]?.value as VerificationSpec["datapath"],
    pool: "10.42.0.0/16",
    nodes: nodesOf({ outputs } as UpResult),
    plan: outputs["plan"]?.value as VerificationSpec["plan"],
    features: [],
    settings: { ...quickly, enforce: true },
    runsFolder: lab.runsFolder,
  };
}
