import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  LocalWorkspace,
  PulumiCommand,
  type EngineEvent,
  type PulumiFn,
  type Stack,
} from "@pulumi/pulumi/automation/index.js";
import { stateIn } from "../../cli/workspace.ts";
import { ensureEngine } from "../../offline/engine.ts";

export type { EngineEvent } from "@pulumi/pulumi/automation/index.js";

/** One stack with a file backend in a folder of its own, run by the real engine with a program in this process. */
export class InlineStack {
  readonly #folder: string;
  readonly #stack: Stack;

  private constructor(folder: string, stack: Stack) {
    this.#folder = folder;
    this.#stack = stack;
  }

  static async create(): Promise<InlineStack> {
    const engine = await ensureEngine({ log: (line) => console.error(line) });
    const folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-engine-"));
    const temporary = path.join(folder, "tmp");
    mkdirSync(temporary);
    const stack = await LocalWorkspace.createOrSelectStack(
      { stackName: "test", projectName: "providers", program: () => Promise.resolve() },
      {
        pulumiCommand: await PulumiCommand.get({ root: engine.pulumiRoot }),
        workDir: folder,
        projectSettings: { name: "providers", runtime: "nodejs", backend: { url: stateIn(folder) } },
        envVars: { ...engine.environment, PULUMI_CONFIG_PASSPHRASE: "test", TMPDIR: temporary },
      },
    );
    return new InlineStack(folder, stack);
  }

  /** What providers left among temporary files. */
  temporaryFiles(): string[] {
    return readdirSync(this.file("tmp"));
  }

  /** A path in the stack's folder. */
  file(name: string): string {
    return path.join(this.#folder, name);
  }

  /** The stack's outputs after `pulumi up`. @throws Error with what the CLI printed */
  async up(program: PulumiFn, options: UpOptions = {}): Promise<Record<string, unknown>> {
    const result = await this.#stack.up({ program, ...options });
    return Object.fromEntries(
      Object.entries(result.outputs).map(([name, { value }]): [string, unknown] => [name, value]),
    );
  }

  /** What `pulumi up` would do, by operation. */
  async preview(program: PulumiFn, options: UpOptions = {}): Promise<Partial<Record<string, number>>> {
    const { changeSummary } = await this.#stack.preview({ program, ...options });
    return changeSummary;
  }

  /** Reads every resource anew into the state. */
  async refresh(options: UpOptions = {}): Promise<void> {
    await this.#stack.refresh(options);
  }

  async destroy(): Promise<void> {
    await this.#stack.destroy();
  }

  /** Takes away the lock that a killed engine left. */
  async cancel(): Promise<void> {
    await this.#stack.cancel();
  }

  /** The stack's state as it lies on disk. */
  state(): string {
    const folder = this.file(path.join(".pulumi", "stacks", "providers"));
    const name = readdirSync(folder).find((file) => file === "test.json");
    return name === undefined ? "" : readFileSync(path.join(folder, name), "utf8");
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface UpOptions {
  onEvent?: (event: EngineEvent) => void;
  signal?: AbortSignal;
}

/** Waits until the condition holds. @throws Error that says what was waited for */
export async function waitFor(what: string, condition: () => boolean, limitSeconds = 20): Promise<void> {
  const deadline = Date.now() + limitSeconds * 1000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${limitSeconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Whether a process with this id runs (and is no zombie). */
export function isRunning(processId: number): boolean {
  try {
    const status = readFileSync(`/proc/${processId}/stat`, "utf8");
    return !/^\) Z/.test(status.slice(status.lastIndexOf(")")));
  } catch {
    return false;
  }
}

/** The id of the process that started this one. */
export function parentOf(processId: number): number {
  const status = readFileSync(`/proc/${processId}/stat`, "utf8");
  return Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
}
