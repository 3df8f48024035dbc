import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import { ensurePackages } from "../../offline/packages.ts";
import {
  imageTools,
  libvirtTools,
  NetworkedStack,
  startLibvirt,
  testCloudImage,
  type PrivateLibvirt,
  type UpResult,
} from "./harness.ts";

export const project = "lab-vm-test";
const root = path.resolve(import.meta.dirname, "..", "..");

const connected = z.array(
  z.object({
    name: z.string(),
    address: z.string(),
    connection: z.object({ user: z.string(), privateKey: z.string(), hostKey: z.string() }),
  }),
);

/** A machine as the program's outputs name it. */
export type Connected = z.infer<typeof connected>[number];

export type Section = Readonly<Record<string, unknown>>;

export function log(line: string): void {
  process.stderr.write(`      ${line}\n`);
}

/** The message of what went wrong; that nothing did is a failure of the test. */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : String(error);
}

/**
 * One libvirt and the three machines on it that all scenarios share, one after another: a boot by software emulation is what costs
 * most here.
 */
export class VmLab {
  machines: readonly Connected[] = [];
  #libvirt: PrivateLibvirt | undefined;
  #stack: NetworkedStack | undefined;
  #image = "";

  async start(): Promise<void> {
    await ensurePackages([...libvirtTools, ...imageTools], log);
    this.#image = await testCloudImage(log);
    this.#libvirt = await startLibvirt();
    this.#stack = await this.openStack("one");
  }

  async stop(): Promise<void> {
    await this.#libvirt?.stop();
  }

  get libvirt(): PrivateLibvirt {
    assert.ok(this.#libvirt);
    return this.#libvirt;
  }

  /** The stack that makes the machines. */
  get stack(): NetworkedStack {
    assert.ok(this.#stack);
    return this.#stack;
  }

  get image(): string {
    return this.#image;
  }

  /** A file or folder that goes with libvirt's own. */
  file(name: string): string {
    return path.join(this.libvirt.folder, name);
  }

  openStack(name: string): Promise<NetworkedStack> {
    return NetworkedStack.create(this.libvirt, path.join(import.meta.dirname, "program"), project, name);
  }

  /** Config of the three machines, the smallest that do. */
  made(more: Section = {}): Section {
    return {
      kind: "libvirt",
      uri: this.libvirt.uri,
      folder: this.file("images"),
      image: { path: this.image },
      vcpus: 1,
      memoryMebibytes: 512,
      diskGibibytes: 4,
      accelerator: "qemu",
      packages: [],
      aptMirror: null,
      ...more,
    };
  }

  /** The same machines as given ones. Behind a jump host where one is named. */
  given(machine: Connected, jump?: Connected): Section {
    const { name } = machine;
    const end = ({ address, connection, name }: Connected): Section => ({
      address,
      user: connection.user,
      privateKeyFile: this.file(`${name}.key`),
      hostKey: connection.hostKey,
    });
    return { name, ...end(machine), ...(jump === undefined ? {} : { jump: end(jump) }) };
  }

  /** The machines of a stack's outputs are the ones that scenarios go on with. */
  take({ outputs }: UpResult): void {
    this.machines = connected.parse(outputs["machineOutputs"]);
    for (const { name, address, connection } of this.machines) {
      writeFileSync(this.file(`${name}.key`), connection.privateKey, { mode: 0o600 });
      writeFileSync(this.file(`${name}.known`), `${address} ${connection.hostKey}\n`);
    }
  }

  machine(name: string): Connected {
    const found = this.machines.find((each) => each.name === name);
    assert.ok(found);
    return found;
  }

  /** Runs a script as root on a machine by ssh, which takes no host key but the pinned one, or that of another machine. */
  async on(name: string, script: string, hostKeyOf = name): Promise<string> {
    const { address, connection } = this.machine(name);
    const known = [
      `UserKnownHostsFile=${this.file(`${hostKeyOf}.known`)}`,
      `HostKeyAlias=${this.machine(hostKeyOf).address}`,
    ];
    const options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=60", ...known];
    const words = [...options.flatMap((option) => ["-o", option]), "-i", this.file(`${name}.key`)];
    const encoded = Buffer.from(script).toString("base64");
    const command = `echo ${encoded} | base64 -d | sudo sh`;
    return (await this.libvirt.run("ssh", ...words, `${connection.user}@${address}`, command)).trim();
  }

  onAll(script: string): Promise<string[]> {
    return Promise.all(this.machines.map(({ name }) => this.on(name, script)));
  }

  /** What `npm run lab -- doctor` prints of a stack with this config, from where the machines are reached. */
  async doctor(config: Section): Promise<string> {
    const name = `test-vm-${process.pid}`;
    const file = path.join(root, `Pulumi.${name}.yaml`);
    const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`datapath-lab:${key}`, value]);
    writeFileSync(file, stringify({ config: Object.fromEntries(entries) }));
    const words = ["--import", "tsx", path.join(root, "cli", "lab.ts"), "doctor", "--stack", name];
    try {
      return await this.libvirt.run(process.execPath, ...words);
    } catch (error) {
      // What is missing is its exit status.
      return z.object({ code: z.literal(1), stdout: z.string() }).parse(error).stdout;
    } finally {
      rmSync(file, { force: true });
    }
  }

  /** Updates a stack, and says how long it took. */
  async up(stack: NetworkedStack): Promise<UpResult> {
    const began = Date.now();
    try {
      return await stack.up();
    } finally {
      log(`up: ${((Date.now() - began) / 1000).toFixed(0)} s`);
    }
  }
}
