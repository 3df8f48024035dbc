import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { stateIn } from "../../../cli/workspace.ts";
import { ensureEngine } from "../../../offline/engine.ts";
import type { PrivateLibvirt } from "./libvirtd.ts";

const run = promisify(execFile);
const stackFile = z.looseObject({});
interface Options {
  readonly pulumiCommand: PulumiCommand;
  readonly envVars: Record<string, string>;
}

const previewed = z.object({ changeSummary: z.record(z.string(), z.number()) });

/** A stack whose engine, providers and program run in the network of a private libvirt, so that they reach its machines. */
export class NetworkedStack {
  readonly #stack: Stack;
  readonly #project: string;
  readonly #configFile: string;
  readonly #program: string;
  readonly #environment: Record<string, string>;
  readonly #workDir: string;
  #config: Readonly<Record<string, unknown>> = {};

  private constructor(stack: Stack, options: Options, project: string, configFile: string, workDir: string) {
    this.#stack = stack;
    this.#program = options.pulumiCommand.command;
    this.#environment = options.envVars;
    this.#project = project;
    this.#configFile = configFile;
    this.#workDir = workDir;
  }

  /**
   * @param workDir the folder with the program and its Pulumi.yaml
   * @param project its name
   */
  static async create(
    libvirt: PrivateLibvirt,
    workDir: string,
    project: string,
    name: string,
  ): Promise<NetworkedStack> {
    const engine = await ensureEngine({ log: (line) => console.error(line) });
    const root = path.join(libvirt.folder, "pulumi");
    const state = path.join(libvirt.folder, "state");
    mkdirSync(path.join(root, "bin"), { recursive: true });
    mkdirSync(state, { recursive: true });
    const wrapper = path.join(root, "bin", "pulumi");
    writeFileSync(wrapper, `#!/bin/sh\nexec ${libvirt.inNetwork.join(" ")} '${engine.pulumiRoot}/bin/pulumi' "$@"\n`);
    chmodSync(wrapper, 0o755);
    const made = path.join(libvirt.folder, "project");
    mkdirSync(made, { recursive: true });
    const options = {
      pulumiCommand: await PulumiCommand.get({ root, skipVersionCheck: true }),
      envVars: {
        ...engine.environment,
        PULUMI_BACKEND_URL: stateIn(state),
        PULUMI_CONFIG_PASSPHRASE: "test",
        XDG_CACHE_HOME: path.join(libvirt.folder, "cache-home"),
      },
    };
    // What Pulumi writes into a stack's config (its encryption salt) stays out of the program's folder.
    writeFileSync(path.join(made, "Pulumi.yaml"), stringify({ name: project, runtime: "nodejs" }));
    await LocalWorkspace.createOrSelectStack({ stackName: name, workDir: made }, options);
    const configFile = path.join(made, `Pulumi.${name}.yaml`);
    const stack = await LocalWorkspace.selectStack({ stackName: name, workDir }, options);
    return new NetworkedStack(stack, options, project, configFile, workDir);
  }

  /** What was configured last. */
  get config(): Readonly<Record<string, unknown>> {
    return this.#config;
  }

  /** Config of the operations that follow. */
  configure(config: Readonly<Record<string, unknown>>): void {
    this.#config = config;
    const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`${this.#project}:${key}`, value]);
    const written = stackFile.parse(parse(readFileSync(this.#configFile, "utf8")) ?? {});
    writeFileSync(this.#configFile, stringify({ ...written, config: Object.fromEntries(entries) }));
  }

  /**
   * @param onOutput takes what the CLI prints, as it prints it
   * @throws an error with what the CLI printed
   */
  async up(onOutput?: (text: string) => void): Promise<UpResult> {
    const seen: string[] = [];
    const result = await this.#stack.up({
      configFile: this.#configFile,
      onOutput: (text) => {
        seen.push(text);
        onOutput?.(text);
      },
    });
    return {
      outputs: Object.fromEntries(
        Object.entries(result.outputs).map(([name, { value }]): [string, unknown] => [name, value]),
      ),
      changes: result.summary.resourceChanges ?? {},
      printed: seen.join(""),
    };
  }

  async preview(): Promise<Partial<Record<string, number>>> {
    // The events of the Automation API come by TCP, which does not lead out of the engine's network.
    const words = ["preview", "--json", "--stack", this.#stack.name, "--config-file", this.#configFile];
    const { stdout } = await run(this.#program, [...words, "--non-interactive"], {
      cwd: this.#workDir,
      env: { ...process.env, ...this.#environment },
      maxBuffer: 64 * 1024 * 1024,
    });
    return previewed.parse(JSON.parse(stdout)).changeSummary;
  }

  /** Takes up the stack after its engine was killed. */
  async takeUp(): Promise<void> {
    await this.#stack.cancel();
    await this.#stack.refresh({ clearPendingCreates: true, configFile: this.#configFile });
  }

  async destroy(): Promise<void> {
    await this.#stack.destroy({ configFile: this.#configFile });
  }
}

export interface UpResult {
  readonly outputs: Record<string, unknown>;
  /** Number of resources by operation. */
  readonly changes: Partial<Record<string, number>>;
  /** What the CLI printed. */
  readonly printed: string;
}
