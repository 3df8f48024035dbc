import { execFile, spawn, type ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { waitFor } from "../../engine/inline-stack.ts";

const run = promisify(execFile);
const folderPrefix = "datapath-lab-vm-";

/** Programs that the machines need, by the Debian package that brings each. */
export const libvirtTools = [
  { tool: "libvirtd", package: "libvirt-daemon" },
  { tool: "virsh", package: "libvirt-clients" },
  { tool: "virt-xml-validate", package: "libvirt-clients" },
  { tool: "xmllint", package: "libxml2-utils" },
  { tool: "qemu-system-x86_64", package: "qemu-system-x86" },
  { tool: "qemu-img", package: "qemu-utils" },
  { tool: "genisoimage", package: "genisoimage" },
  { tool: "dnsmasq", package: "dnsmasq-base" },
  { tool: "iptables", package: "iptables" },
  { tool: "ssh-keygen", package: "openssh-client" },
  { tool: "ssh", package: "openssh-client" },
] as const;

/** A libvirt daemon of the tests' own, in a network of its own. */
export interface PrivateLibvirt {
  /** As virsh takes it. */
  readonly uri: string;
  /** Everything that it and the tests write; gone with it. */
  readonly folder: string;
  /** Runs a program in its network; gives what it prints. */
  run(program: string, ...programArguments: readonly string[]): Promise<string>;
  virsh(...words: readonly string[]): Promise<string>;
  /** Words that run a program in its network, and end it with the process that started it. */
  readonly inNetwork: readonly string[];
  /** The same, where its socket and its folders stand at their usual places: what runs so is on the libvirt host. */
  readonly inHost: readonly string[];
  stop(): Promise<void>;
}

/**
 * Starts libvirtd with a network, a process tree and folders of its own. All of it, guests too, ends with this process, also
 * where that is killed; folders of killed ones are removed by the next start.
 * @throws an error with the end of its log where it does not answer
 */
export async function startLibvirt(): Promise<PrivateLibvirt> {
  removeAbandoned();
  const folder = mkdtempSync(path.join(tmpdir(), folderPrefix));
  // Guests run as a user of their own, which has to reach their disks.
  chmodSync(folder, 0o711);
  writeFileSync(path.join(folder, "owner"), `${process.pid}`);
  const script = path.join(import.meta.dirname, "scripts", "libvirtd");
  // unshare itself takes no signal but KILL while its child runs.
  const daemon = spawn("setpriv", ["--pdeathsig", "KILL", script], {
    env: { ...process.env, FOLDER: folder },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const uri = `qemu+unix:///system?socket=${folder}/run/libvirt-sock`;
  try {
    await waitFor("libvirtd to answer", () => existsSync(path.join(folder, "run", "libvirt-sock")), 60);
    await run("virsh", ["--connect", uri, "version"], { timeout: 60_000 });
  } catch (error) {
    await end(daemon);
    const log = path.join(folder, "libvirtd.log");
    const said = existsSync(log) ? readFileSync(log, "utf8").split("\n").slice(-20).join("\n") : "it wrote no log";
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`libvirtd does not start:\n${said}`, { cause: error });
  }
  const namespaces = `/proc/${childOf(daemon.pid ?? 0)}/ns`;
  const inNetwork = ["setpriv", "--pdeathsig", "KILL", "nsenter", `--net=${namespaces}/net`];
  return {
    uri,
    folder,
    inNetwork,
    inHost: [...inNetwork, `--mount=${namespaces}/mnt`],
    async run(program, ...programArguments) {
      const [first = "", ...rest] = [...inNetwork, program, ...programArguments];
      return (await run(first, rest, { maxBuffer: 64 * 1024 * 1024 })).stdout;
    },
    async virsh(...words) {
      return (await run("virsh", ["--quiet", "--connect", uri, ...words])).stdout;
    },
    async stop() {
      await end(daemon);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function end(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const inside = childOf(daemon.pid ?? 0);
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  daemon.kill("SIGKILL");
  await ended;
  // The process tree goes a moment later than its parent, and its files with it.
  await waitFor("the guests to end", () => !existsSync(`/proc/${inside}`), 30);
}

/** The only child of a process: the first process of the daemon's process tree. */
function childOf(processId: number): number {
  return Number(readFileSync(`/proc/${processId}/task/${processId}/children`, "utf8").trim().split(" ")[0]);
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(folderPrefix))) {
    const folder = path.join(tmpdir(), name);
    const owner = path.join(folder, "owner");
    if (existsSync(owner) && existsSync(`/proc/${readFileSync(owner, "utf8")}`)) continue;
    rmSync(folder, { recursive: true, force: true });
  }
}
