import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import path from "node:path";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { ensureEngine } from "../offline/engine.ts";

export const root = path.resolve(import.meta.dirname, "..");
export const projectName = "datapath-lab";
/** State, passphrase, runs and reports; git ignores it. */
export const labFolder = path.join(root, ".lab");
export const runsFolder = path.join(labFolder, "runs");

const stackFile = z.looseObject({ config: z.record(z.string(), z.unknown()).default({}) });

/** Config of a stack as its committed file has it, without the project's name in front. Throws where there is no such file. */
export async function readStackConfig(stack: string): Promise<Record<string, unknown>> {
  const file = path.join(root, `Pulumi.${stack}.yaml`);
  if (!existsSync(file)) {
    const known = (await readdir(root)).flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []);
    throw new Error(`There is no Pulumi.${stack}.yaml. Stacks here: ${known.join(", ")}.`);
  }
  const { config } = stackFile.parse(parse(await readFile(file, "utf8")) ?? {});
  const prefix = `${projectName}:`;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.startsWith(prefix) ? key.slice(prefix.length) : key, value]),
  );
}

export interface OpenStack {
  readonly stack: Stack;
  /** Stack config of this call: the committed file's with the overrides. Operations are given it as `configFile`. */
  readonly configFile: string;
}

/**
 * Opens a stack in the state folder of this clone, with the config of its committed file and `overrides` on top. The
 * committed file itself is never written: what Pulumi adds to a stack's config (its encryption salt) goes to a copy.
 */
export async function openStack(
  stackName: string,
  overrides: Readonly<Record<string, unknown>>,
  log: (line: string) => void,
): Promise<OpenStack> {
  const config = { ...(await readStackConfig(stackName)), ...overrides };
  const engine = await ensureEngine({ log });
  const project = path.join(labFolder, "project");
  const state = path.join(labFolder, "state");
  await mkdir(project, { recursive: true });
  await mkdir(state, { recursive: true });

  const envVars = {
    ...engine.environment,
    PULUMI_BACKEND_URL: process.env["PULUMI_BACKEND_URL"] ?? `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE: process.env["PULUMI_CONFIG_PASSPHRASE"] ?? (await passphrase()),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const pulumiCommand = await PulumiCommand.get({ root: engine.pulumiRoot, skipVersionCheck: true });
  const configFile = path.join(project, `Pulumi.${stackName}.yaml`);

  // A stack is made from a project file of the same name beside the copy of its config.
  await writeFile(path.join(project, "Pulumi.yaml"), stringify({ name: projectName, runtime: "nodejs" }));
  const written = existsSync(configFile)
    ? stackFile.parse(parse(await readFile(configFile, "utf8")) ?? {})
    : { config: {} };
  await LocalWorkspace.createOrSelectStack({ stackName, workDir: project }, { pulumiCommand, envVars });
  const withSalt = existsSync(configFile) ? stackFile.parse(parse(await readFile(configFile, "utf8")) ?? {}) : written;
  const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`${projectName}:${key}`, value]);
  await writeFile(`${configFile}.new`, stringify({ ...withSalt, config: Object.fromEntries(entries) }));
  await rename(`${configFile}.new`, configFile);

  const stack = await LocalWorkspace.selectStack({ stackName, workDir: root }, { pulumiCommand, envVars });
  if (envVars.PULUMI_BACKEND_URL === `file://${state}`) await releaseAbandonedLock(stack, state, configFile, log);
  return { stack, configFile };
}

/** The passphrase of this clone's state: made once, readable by its owner only. */
async function passphrase(): Promise<string> {
  const file = path.join(labFolder, "passphrase");
  if (!existsSync(file)) {
    await mkdir(labFolder, { recursive: true });
    await writeFile(file, randomBytes(24).toString("base64url"), { mode: 0o600 });
    await chmod(file, 0o600);
  }
  return (await readFile(file, "utf8")).trim();
}

const lock = z.object({ pid: z.int(), hostname: z.string() });

/**
 * An engine that was killed leaves its lock and its half-done operations. Where the process is gone the lock is released and
 * creations of unknown outcome are taken off the books: every script of the lab can be run again over what it left.
 * @throws an error that names the process where an update is under way
 */
async function releaseAbandonedLock(
  stack: Stack,
  state: string,
  configFile: string,
  log: (line: string) => void,
): Promise<void> {
  const folder = path.join(state, ".pulumi", "locks", "organization", projectName, stack.name);
  const files = existsSync(folder) ? await readdir(folder) : [];
  if (files.length === 0) return;
  for (const file of files) {
    const owner = lock.parse(JSON.parse(await readFile(path.join(folder, file), "utf8")));
    if (owner.hostname !== hostname() || existsSync(`/proc/${owner.pid}`)) {
      throw new Error(
        `Stack ${stack.name} is being changed by process ${owner.pid} on ${owner.hostname}. Wait for it, or stop it; if it is gone, run: pulumi cancel ${stack.name}`,
      );
    }
  }
  log(`An earlier run of stack ${stack.name} was killed: releasing its lock and going on from what it left.`);
  await stack.cancel();
  await stack.refresh({ clearPendingCreates: true, configFile });
}
