import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import path from "node:path";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { kubeconfigKey } from "../datapath/config/existing-cluster.ts";
import { labSections, secretSections } from "../datapath/config/stack-values.ts";
import { verification } from "../datapath/config/verification.ts";
import { ConfigError } from "../datapath/findings.ts";
import { ensureEngine } from "../offline/engine.ts";
import { readConfigFile } from "./config-file.ts";

export const root = path.resolve(import.meta.dirname, "..");
export const projectName = "datapath-lab";
/** State, passphrase, runs and reports; git ignores it. A test has one of its own. */
export const labFolder = path.resolve(process.env["DATAPATH_LAB_FOLDER"] ?? path.join(root, ".lab"));

const stackFile = z.looseObject({ config: z.record(z.string(), z.unknown()).default({}) });

/** Config of a stack as its committed file has it, without the project's name in front. Throws where there is no such file. */
export async function readStackConfig(stack: string): Promise<Record<string, unknown>> {
  const file = path.join(root, `Pulumi.${stack}.yaml`);
  if (!existsSync(file)) {
    const known = (await readdir(root)).flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []);
    throw new Error(`There is no Pulumi.${stack}.yaml. Stacks here: ${known.join(", ")}.`);
  }
  const { config } = await readStackFile(file);
  if (config[`${projectName}:${kubeconfigKey}`] !== undefined) {
    throw new Error(
      `Pulumi.${stack}.yaml keeps a kubeconfig as a secret of a Pulumi backend that this command does not open. ` +
        `Run pulumi itself there, or write the kubeconfig's path as machines.kubeconfig.`,
    );
  }
  const sections = labSections(config, projectName);
  const secrets = secretSections(Object.keys(sections).filter((section) => hasSecret(sections[section])));
  if (secrets.length > 0) throw new ConfigError(secrets, projectName);
  return sections;
}

const secretValue = z.strictObject({ secure: z.string() });

/** Whether something in a value was set with --secret. */
function hasSecret(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return secretValue.safeParse(value).success || Object.values(value).some(hasSecret);
}

async function readStackFile(file: string): Promise<z.infer<typeof stackFile>> {
  const name = path.basename(file);
  const checked = stackFile.safeParse((await readConfigFile(file, name)) ?? {});
  if (checked.success) return checked.data;
  throw new Error(
    `${name} is no stack's config: below \`config:\` stands no map of keys.\n` +
      `Write keys as Pulumi.local.yaml has them: ${projectName}:machines, ${projectName}:datapath.`,
  );
}

const keepsRuns = z.looseObject({
  verification: z.looseObject({ runsFolder: verification.shape.runsFolder }).prefault({}),
});

/** Where a lab with this config keeps its runs. Throws where the config names no folder but something else. */
export function runsFolderOf(config: Readonly<Record<string, unknown>>): string {
  const found = keepsRuns.safeParse(config);
  if (!found.success) {
    throw new Error(
      `${projectName}:verification.runsFolder names no folder.\nWrite a path relative to Pulumi.yaml, or leave it out.`,
    );
  }
  return path.resolve(root, found.data.verification.runsFolder);
}

/**
 * Address of a Pulumi backend that keeps its state in a folder. Pulumi replaces a state file at once, but not the `.attrs` file
 * that its storage library writes beside it: an engine killed between making and filling one leaves a state that can't be
 * read any more ("failed to load checkpoint: EOF"). So none is written: `metadata` of gocloud.dev/blob/fileblob.
 */
export function stateIn(folder: string): string {
  return `file://${folder}?metadata=skip`;
}

export interface OpenStack {
  readonly stack: Stack;
  /** Stack config of this call: the committed file's with the overrides. Operations are given it as `configFile`. */
  readonly configFile: string;
}

/**
 * Opens a stack whose state lies in `folder`, with a config that holds for this call. No committed file is written: what
 * Pulumi adds to a stack's config (its encryption salt) goes to a copy.
 * @param config sections of the lab's config, without the project's name in front
 */
export async function openStack(
  stackName: string,
  config: Readonly<Record<string, unknown>>,
  log: (line: string) => void,
  folder: string = labFolder,
): Promise<OpenStack> {
  const engine = await ensureEngine({ log });
  const project = path.join(folder, "project");
  const state = path.join(folder, "state");
  await mkdir(project, { recursive: true });
  await mkdir(state, { recursive: true });

  const envVars = {
    ...engine.environment,
    PULUMI_BACKEND_URL: process.env["PULUMI_BACKEND_URL"] ?? stateIn(state),
    PULUMI_CONFIG_PASSPHRASE: process.env["PULUMI_CONFIG_PASSPHRASE"] ?? (await passphrase(folder)),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const pulumiCommand = await PulumiCommand.get({ root: engine.pulumiRoot, skipVersionCheck: true });

  // A stack is made from a project file of the same name beside the copy of its config.
  const configFile = path.join(project, `Pulumi.${stackName}.yaml`);
  await writeFile(path.join(project, "Pulumi.yaml"), stringify({ name: projectName, runtime: "nodejs" }));
  await LocalWorkspace.createOrSelectStack({ stackName, workDir: project }, { pulumiCommand, envVars });
  const used = existsSync(configFile)
    ? stackFile.parse(parse(await readFile(configFile, "utf8")) ?? {})
    : { config: {} };
  const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`${projectName}:${key}`, value]);
  await writeFile(`${configFile}.new`, stringify({ ...used, config: Object.fromEntries(entries) }));
  await rename(`${configFile}.new`, configFile);

  const stack = await LocalWorkspace.selectStack({ stackName, workDir: root }, { pulumiCommand, envVars });
  if (envVars.PULUMI_BACKEND_URL === stateIn(state)) await releaseAbandonedLock(stack, state, configFile, log);
  return { stack, configFile };
}

/** Where the config of a stack's last `up` is kept: other calls open the stack with a config of their own, and apply nothing. */
function appliedConfigFile(stack: string): string {
  return path.join(labFolder, "applied", `${stack}.json`);
}

/** Keeps the config of an `up` that begins: also one that fails leaves the stack nearer to it than to what was before. */
export async function keepAppliedConfig(stack: string, config: Readonly<Record<string, unknown>>): Promise<void> {
  const file = appliedConfigFile(stack);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify(config));
  await rename(`${file}.new`, file);
}

/** The config of the stack's last `up`; nothing where it had none here. */
export async function appliedConfig(stack: string): Promise<Record<string, unknown> | undefined> {
  const file = appliedConfigFile(stack);
  return existsSync(file) ? z.looseObject({}).parse(JSON.parse(await readFile(file, "utf8"))) : undefined;
}

const exportedState = z.object({
  resources: z.array(z.object({ custom: z.boolean().default(false), type: z.string() })).default([]),
});

/** Whether a stack has made anything that still stands, also where its only `up` failed and there are no outputs. */
export async function stands(stack: Pick<Stack, "exportStack">): Promise<boolean> {
  const { resources } = exportedState.parse((await stack.exportStack()).deployment);
  return resources.some(({ custom, type }) => custom && !type.startsWith("pulumi:"));
}

/** The passphrase of a state folder: made once, readable by its owner only. */
async function passphrase(folder: string): Promise<string> {
  const file = path.join(folder, "passphrase");
  if (!existsSync(file)) {
    await writeFile(file, randomBytes(24).toString("base64url"), { mode: 0o600 });
    await chmod(file, 0o600);
  }
  return (await readFile(file, "utf8")).trim();
}

const lock = z.object({ pid: z.int(), hostname: z.string() });

/** A stack's state, as the engine's storage in a folder keeps it. */
const stateFile = z.object({
  checkpoint: z.object({
    latest: z.object({ pending_operations: z.array(z.unknown()).nullish() }).nullish(),
  }),
});

/**
 * An engine that was killed leaves its lock and its half-done operations. Where the process is gone the lock is released, what
 * was half done is read anew, and creations of unknown outcome are taken off the books: every script of the lab can be run again over what it left.
 * That they stand in the state has the next call read them, where this one could not.
 * @throws an error that names the process where an update is under way
 */
async function releaseAbandonedLock(
  stack: Stack,
  state: string,
  configFile: string,
  log: (line: string) => void,
): Promise<void> {
  if (!(await isLocked(stack.name, state)) && !(await isHalfDone(stack.name, state))) return;
  log(`An earlier run of stack ${stack.name} was killed: releasing its lock and going on from what it left.`);
  await stack.cancel();
  await stack.refresh({ clearPendingCreates: true, configFile, showSecrets: false });
}

/**
 * Whether a stack whose state lies in a folder has locks that nobody holds any more.
 * @throws an error that names the process where an update is under way
 */
export async function isLocked(stackName: string, state: string): Promise<boolean> {
  const folder = path.join(state, ".pulumi", "locks", "organization", projectName, stackName);
  const files = (existsSync(folder) ? await readdir(folder) : []).filter((name) => name.endsWith(".json"));
  for (const file of files) {
    const owner = lock.parse(JSON.parse(await readFile(path.join(folder, file), "utf8")));
    if (owner.hostname !== hostname() || isEngine(owner.pid)) {
      throw new Error(
        `Stack ${stackName} is being changed by process ${owner.pid} on ${owner.hostname}. Wait for it, or stop it; if it is gone, run: pulumi cancel ${stackName}`,
      );
    }
  }
  return files.length > 0;
}

/** Whether operations stand in a stack's state that began and did not end. */
async function isHalfDone(stackName: string, state: string): Promise<boolean> {
  const file = path.join(state, ".pulumi", "stacks", projectName, `${stackName}.json`);
  if (!existsSync(file)) return false;
  const { checkpoint } = stateFile.parse(JSON.parse(await readFile(file, "utf8")));
  return (checkpoint.latest?.pending_operations ?? []).length > 0;
}

/** Whether a process is a Pulumi engine; its number may be another process's by now. */
function isEngine(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("pulumi");
  } catch {
    return false;
  }
}
