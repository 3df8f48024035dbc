// Errors that a person can cause, caused, as far as that takes no virtual machine, no cluster and no missing Go. Rules of the config have tables of their own (tests/datapath/rules), so have the
// image (tests/machines/image.test.ts), the preflight (tests/machines/preflight.test.ts) and the API (tests/cluster).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { describeNeeds, needsOf } from "../../cli/doctor/index.ts";
import { labProgram } from "../../cli/program.ts";
import { ensurePackages } from "../../offline/packages.ts";
import { kubeconfigOf } from "../../cli/commands/kubeconfig.ts";
import { isLocked, projectName, root } from "../../cli/workspace.ts";
import { checksumOf } from "../../components/local-file.ts";
import { ownPrivateKey } from "../../components/machines/private-key.ts";
import { compareRuns } from "../../datapath/run/comparison.ts";
import { parseLabConfig } from "../../datapath/config/index.ts";
import { rolloutState } from "../../datapath/cilium/rollout.ts";
import { clientConfig } from "../../verification/client-config.ts";
import { contradictedRun, madeRun } from "../made-runs.ts";

interface Case {
  readonly when: string;
  /** Causes it, and gives all that a person is told. */
  readonly cause: () => Promise<string> | string;
  /** What the person looks for: the key, file or word that is wrong. */
  readonly names: string;
  /** What is wrong with it. */
  readonly wrong: string;
  /** What to do; where that goes without saying, what else the person has to know. */
  readonly wayOut: string;
}

let folder: string;
const stackName = `test-errors-${process.pid}`;
const stackFile = path.join(root, `Pulumi.${stackName}.yaml`);

/** What `npm run lab --` with these words says. It has to fail. */
async function lab(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  let said = "";
  const status = await labProgram(words, {
    signal: new AbortController().signal,
    environment,
    log: (line) => (said += `${line}\n`),
    print: (printed) => (said += printed),
  });
  assert.notEqual(status, 0, said);
  return said;
}

/** The same for a stack whose file has this content. */
async function labOfStack(content: string, ...words: readonly string[]): Promise<string> {
  await writeFile(stackFile, content);
  return lab([...words, "--stack", stackName]);
}

async function file(name: string, content: string): Promise<string> {
  const whole = path.join(folder, name);
  await writeFile(whole, content);
  return whole;
}

/** The message of what is thrown, now or later. */
async function thrown(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
  return assert.fail("nothing was thrown");
}

/** A folder of programs to be PATH: real ones by name, and others as shell scripts. */
async function programs(real: readonly string[], fakes: Readonly<Record<string, string>> = {}): Promise<string> {
  const bin = await mkdtemp(path.join(folder, "bin-"));
  const places = (process.env["PATH"] ?? "").split(path.delimiter);
  for (const name of real) {
    const place = places.find((candidate) => existsSync(path.join(candidate, name)));
    assert.ok(place !== undefined, `no ${name} on PATH`);
    await symlink(path.join(place, name), path.join(bin, name));
  }
  for (const [name, script] of Object.entries(fakes)) {
    await writeFile(path.join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(bin, name), 0o755);
  }
  return bin;
}

/** What a program of the project says on standard error. It has to fail. */
async function program(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const [command = "", ...rest] = words;
  const child = spawn(command, rest, { cwd: root, env: { ...environment }, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end();
  const [said, , status] = await Promise.all([
    text(child.stderr),
    text(child.stdout),
    new Promise((resolve) => child.on("close", resolve)),
  ]);
  assert.notEqual(status, 0, said);
  return said;
}

/** A virsh that finds what nobody of this lab made, and knows no state but this one of every domain. */
function foreignVirsh(state = "running"): string {
  return `case "$*" in *domstate*) echo ${state} ;; *metadata*) exit 1 ;; esac`;
}

/** What verify says of a cluster whose API server answers by this table: status and body by method and path. */
async function verifyOn(answers: Readonly<Record<string, readonly [status: number, body: object]>>): Promise<string> {
  const server = createServer((request, response) => {
    const asked = `${request.method ?? ""} ${(request.url ?? "").replace(/\/?(\?.*)?$/, "")}`;
    const [status, body] = answers[asked] ?? [404, { kind: "Status", message: "not found", code: 404 }];
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  try {
    const cluster = {
      name: "c",
      cluster: { server: `http://127.0.0.1:${address.port}`, "insecure-skip-tls-verify": true },
    };
    const contexts = [{ name: "dev", context: { cluster: "c", user: "u" } }];
    const users = [{ name: "u", user: { token: "t" } }];
    const config = { clusters: [cluster], users, contexts, "current-context": "dev" };
    return await lab(["verify", "--kubeconfig", await file(`api-${address.port}`, JSON.stringify(config))]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const ciliumConfig = "GET /api/v1/namespaces/kube-system/configmaps/cilium-config";
const version = { "GET /version": [200, { gitVersion: "v1.26.6", major: "1", minor: "26" }] } as const;

/** Runs `work` as if this were no root. */
async function asOrdinaryUser<Result>(work: () => Promise<Result>): Promise<Result> {
  const { getuid } = process;
  process.getuid = () => 1000;
  try {
    return await work();
  } finally {
    if (getuid !== undefined) process.getuid = getuid;
  }
}

const libvirt = { LAB_ID: "lab", LAB_OWNER: "0123", LAB_URI: "qemu:///system", LAB_POOL: "lab" };
const native = madeRun({ mode: "native", seed: 3, startedAt: "2026-11-23T09:05:00.000Z" });

const groups: Readonly<Record<string, readonly Case[]>> = {
  "at the command line": [
    {
      when: "a command is mistyped",
      cause: () => lab(["destory"]),
      names: "destory",
      wrong: "There is no command",
      wayOut: "Did you mean destroy?",
    },
    {
      when: "a command does not exist",
      cause: () => lab(["frobnicate"]),
      names: "frobnicate",
      wrong: "There is no command",
      wayOut: "npm run lab -- --help",
    },
    {
      when: "an option is mistyped",
      cause: () => lab(["--stak", "dev"]),
      names: "--stak",
      wrong: "There is no option",
      wayOut: "Did you mean --stack?",
    },
    {
      when: "an option has no value",
      cause: () => lab(["up", "--stack"]),
      names: "--stack",
      wrong: "argument missing",
      wayOut: "npm run lab -- --help",
    },
    {
      when: "npm takes the lab's option for its own",
      cause: () => lab(["up"], { npm_lifecycle_event: "lab", npm_config_stack: "dev" }),
      names: "--stack",
      wrong: "npm took",
      wayOut: "npm run lab -- --stack",
    },
    {
      when: "an option belongs to another command",
      cause: () => lab(["up", "--rounds", "3"]),
      names: "--rounds",
      wrong: "up takes no",
      wayOut: "It is for compare.",
    },
    {
      when: "a stack is named without its option",
      cause: () => lab(["up", "dev"]),
      names: "dev",
      wrong: "would be left unread",
      wayOut: "--stack dev",
    },
    {
      when: "the number of rounds is none",
      cause: () => lab(["compare", "--rounds", "many"]),
      names: "--rounds",
      wrong: "not many",
      wayOut: "takes a whole number from 1 to 100",
    },
    {
      when: "a stack does not exist",
      cause: () => lab(["explain", "--stack", "prod"]),
      names: "Pulumi.prod.yaml",
      wrong: "There is no",
      wayOut: "Stacks here: cluster, dev, hosts, local",
    },
    {
      when: "a datapath has a carrier that is none",
      cause: () => lab(["explain", "--datapath", "native:ospf"]),
      names: "native:ospf",
      wrong: "There is no datapath",
      wayOut: "native:direct, native:router, native:bgp",
    },
    {
      when: "a datapath is mistyped",
      cause: () => lab(["explain", "--datapath", "nativ"]),
      names: "datapath.mode",
      wrong: '"nativ" is not one of',
      wayOut: "Did you mean native?",
    },
    {
      when: "the kubeconfig of a lab without a cluster is asked for",
      cause: () => lab(["kubeconfig"]),
      names: "Stack local",
      wrong: "its lab makes no cluster",
      wayOut: "kubeconfig --stack dev",
    },
    {
      when: "datapaths are to be compared on a cluster whose Cilium is somebody else's",
      cause: () => lab(["compare", "--stack", "cluster"]),
      names: "datapath-lab:cilium.manage",
      wrong: "compare switches the datapath of stack cluster",
      wayOut: "compare A.json B.json",
    },
    {
      when: "one datapath is to be compared with itself",
      cause: () => lab(["compare", "--datapaths", "vxlan,vxlan"]),
      names: "--datapaths",
      wrong: "A comparison needs two datapaths",
      wayOut: "--datapaths vxlan,native",
    },
    {
      when: "one run is to be compared",
      cause: () => lab(["compare", "one.json"]),
      names: "compare",
      wrong: "A comparison needs two run files",
      wayOut: "compare A.json B.json",
    },
    {
      when: "a test suite does not exist",
      cause: () => program([process.execPath, "--import", "tsx", "tests/run.ts", "units"], { PATH: "" }),
      names: "units",
      wrong: "There is no suite",
      wayOut: "Suites: static",
    },
    {
      when: "Node.js is too old",
      cause: () => {
        const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.0" } });';
        return program([
          process.execPath,
          "--import",
          `data:text/javascript,${encodeURIComponent(old)}`,
          "cli/bootstrap.mjs",
        ]);
      },
      names: "Node.js",
      wrong: "needs Node.js 20.19 or newer; this is",
      wayOut: "https://nodejs.org",
    },
  ],
  "in a config file": [
    {
      when: "it is not there",
      cause: () => lab(["explain", "--file", path.join(folder, "none.yaml")]),
      names: "none.yaml",
      wrong: "can't be read: ENOENT",
      wayOut: "Write the path of a YAML or JSON file, or - for standard input.",
    },
    {
      when: "its syntax is broken",
      cause: async () =>
        lab(["explain", "--file", await file("broken.yaml", "datapath:\n  mode: vxlan\n mode: native\n")]),
      names: "broken.yaml",
      wrong: "is neither YAML nor JSON",
      wayOut: "at line 3",
    },
    {
      when: "it is a list",
      cause: async () => lab(["explain", "--file", await file("list.yaml", "- datapath\n")]),
      names: "error: datapath-lab:",
      wrong: "is not a map of keys",
      wayOut: "Write a map of keys",
    },
    {
      when: "a key is mistyped",
      cause: async () => lab(["explain", "--file", await file("typo.yaml", "datapth:\n  mode: vxlan\n")]),
      names: "datapath-lab:datapth",
      wrong: "There is no such key",
      wayOut: "Did you mean datapath?",
    },
    {
      when: "a key is one of a later chart",
      cause: async () =>
        lab(["explain", "--file", await file("later.yaml", "datapath:\n  mode: vxlan\n  routingMode: native\n")]),
      names: "datapath-lab:datapath.routingMode",
      wrong: "There is no such key",
      wayOut: "mode",
    },
    {
      when: "a key belongs to another mode",
      cause: async () =>
        lab(["explain", "--file", await file("other.yaml", "datapath:\n  mode: native\n  tunnelPort: 4789\n")]),
      names: "datapath-lab:datapath.tunnelPort",
      wrong: "There is no such key",
      wayOut: "it belongs to mode: vxlan and mode: geneve",
    },
    {
      when: "addresses overlap",
      cause: async () =>
        lab(["explain", "--file", await file("overlap.yaml", "machines: {kind: namespaces, network: 10.42.0.0/24}\n")]),
      names: "datapath-lab:datapath.ipam.clusterPoolIPv4PodCIDR",
      wrong: "The pod pool 10.42.0.0/16 and the node network 10.42.0.0/24 (machines.network) have addresses in common",
      wayOut: "Choose a network that overlaps with neither of the others.",
    },
  ],
  "in a stack's file": [
    {
      when: "its syntax is broken",
      cause: () => labOfStack("config: {datapath-lab:machines: [\n", "explain"),
      names: `Pulumi.${stackName}.yaml`,
      wrong: "is neither YAML nor JSON",
      wayOut: "at line",
    },
    {
      when: "its config is no map",
      cause: () => labOfStack("config: native\n", "explain"),
      names: `Pulumi.${stackName}.yaml`,
      wrong: "below `config:` stands no map of keys",
      wayOut: "Write keys as Pulumi.local.yaml has them",
    },
    {
      when: "it keeps a kubeconfig as a secret",
      cause: () => labOfStack("config:\n  datapath-lab:kubeconfig:\n    secure: AAAA\n", "explain"),
      names: `Pulumi.${stackName}.yaml`,
      wrong: "keeps a kubeconfig as a secret of a Pulumi backend that this command does not open",
      wayOut: "write the kubeconfig's path as machines.kubeconfig",
    },
    {
      when: "a section was set as a secret",
      cause: () => labOfStack("config:\n  datapath-lab:machines:\n    uri:\n      secure: AAAA\n", "explain"),
      names: "datapath-lab:machines",
      wrong: "Was set with --secret",
      wayOut: "Set it again without --secret.",
    },
    {
      when: "its folder of runs is none",
      cause: () => labOfStack("config:\n  datapath-lab:verification:\n    runsFolder: 3\n", "report"),
      names: "datapath-lab:verification.runsFolder",
      wrong: "names no folder",
      wayOut: "Write a path relative to Pulumi.yaml",
    },
    {
      when: "up would lack what it needs",
      cause: () => {
        const known = { address: "127.0.0.1", port: 1, privateKeyFile: "~/no-such-key" };
        const hosts = [
          { ...known, name: "one" },
          { ...known, name: "two", address: "127.0.0.2" },
        ];
        const machines = { kind: "hosts", hosts };
        return labOfStack(JSON.stringify({ config: { "datapath-lab:machines": machines } }), "up");
      },
      names: `Stack ${stackName}`,
      wrong: "can't be made yet; nothing was changed.",
      wayOut: "Write the file's path as privateKeyFile",
    },
    {
      when: "another process changes the stack",
      cause: async () => {
        const state = path.join(folder, "locked");
        const locks = path.join(state, ".pulumi", "locks", "organization", projectName, "dev");
        await mkdir(locks, { recursive: true });
        await writeFile(path.join(locks, "one.json"), JSON.stringify({ pid: 4711, hostname: "elsewhere" }));
        return thrown(() => isLocked("dev", state));
      },
      names: "Stack dev",
      wrong: "is being changed by process 4711 on elsewhere",
      wayOut: "if it is gone, run: pulumi cancel dev",
    },
    {
      when: "its cluster was not made yet and its kubeconfig is asked for",
      cause: () => thrown(() => kubeconfigOf("dev", {})),
      names: "Stack dev",
      wrong: "has no kubeconfig yet: its cluster was not made",
      wayOut: "Make it: npm run lab -- up --stack dev",
    },
    {
      when: "nothing was measured in it yet",
      cause: () => {
        const runs = path.relative(root, path.join(folder, "no-runs"));
        return labOfStack(`config:\n  datapath-lab:verification:\n    runsFolder: ${runs}\n`, "report");
      },
      names: "no-runs",
      wrong: "There is no run in",
      wayOut: "Measure one: npm run lab",
    },
  ],
  "in a run file": [
    {
      when: "it is not there",
      cause: () => lab(["report", path.join(folder, "none.json")]),
      names: "none.json",
      wrong: "can't be read: ENOENT",
      wayOut: "Runs are kept in .lab/runs",
    },
    {
      when: "it is empty",
      cause: async () => lab(["report", await file("empty.json", "")]),
      names: "empty.json",
      wrong: "is no run file: it is empty",
      wayOut: "Measure again: npm run lab",
    },
    {
      when: "it is cut short",
      cause: async () => lab(["report", await file("cut.json", JSON.stringify(native).slice(0, 1000))]),
      names: "cut.json",
      wrong: "its JSON is broken",
      wayOut: "Measure again: npm run lab",
    },
    {
      when: "it is some other JSON",
      cause: async () => lab(["report", await file("other.json", "{}")]),
      names: "other.json",
      wrong: "it has no schemaVersion",
      wayOut: "Runs are kept in .lab/runs",
    },
    {
      when: "a newer program wrote it",
      cause: async () => lab(["report", await file("newer.json", JSON.stringify({ ...native, schemaVersion: 99 }))]),
      names: "newer.json",
      wrong: "has the shape of schema version 99",
      wayOut: "Read it with the version of the program that wrote it, or a newer one.",
    },
    {
      when: "somebody changed it",
      cause: async () => lab(["report", await file("changed.json", JSON.stringify({ ...native, verdict: "fine" }))]),
      names: "changed.json",
      wrong: "verdict:",
      wayOut: "docs/run-schema.md describes the shape",
    },
    {
      when: "runs are compared of which one is contradicted",
      cause: () => thrown(() => compareRuns([native], [contradictedRun()])),
      names: contradictedRun().id,
      wrong: "is contradicted",
      wayOut: "npm run lab -- compare",
    },
    {
      when: "runs of different kernels are compared",
      cause: () => thrown(() => compareRuns([native], [{ ...madeRun(), kernel: "5.4.0" }])),
      names: "kernel",
      wrong: "differ",
      wayOut: "Measure both datapaths on the same nodes with the same settings",
    },
  ],
  "on this machine": [
    {
      when: "a tool is missing and this is no root",
      cause: () =>
        asOrdinaryUser(() =>
          thrown(() => ensurePackages([{ tool: "no-such-tool", package: "its-package" }], () => undefined)),
        ),
      names: "no-such-tool",
      wrong: "Missing tools",
      wayOut: "sudo apt-get install -y --no-install-recommends its-package",
    },
    {
      when: "it is no root, and has no sudo",
      cause: async () => program(["scripts/as-root", "true"], { PATH: await programs([], { id: "echo 1000" }) }),
      names: "root",
      wrong: "Network namespaces need root",
      wayOut: "run as root, or allow this user sudo without a password",
    },
    {
      when: "sudo asks for a password",
      cause: async () =>
        program(["scripts/as-root", "true"], { PATH: await programs([], { id: "echo 1000", sudo: "exit 1" }) }),
      names: "root",
      wrong: "Network namespaces need root",
      wayOut: "run as root, or allow this user sudo without a password",
    },
    {
      when: "the lab's tools went away",
      cause: async () =>
        program(["scripts/namespaces/check"], { PATH: await programs([]), LAB_LINK_KINDS: "", LAB_TOOLS: "" }),
      names: "iperf3",
      wrong: "Missing tools:",
      wayOut: "apt-get install -y iproute2 nftables iperf3",
    },
    {
      when: "the kernel has no such tunnel",
      cause: async () => {
        const nothing = Object.fromEntries(
          ["ip", "nft", "iperf3", "tcpdump", "ping", "setpriv"].map((name) => [name, ""]),
        );
        const unshare = 'case "$*" in *geneve*) echo "Error: Unknown device type." >&2; exit 2 ;; esac';
        const bin = await programs(["uname"], { ...nothing, unshare });
        return program(["scripts/namespaces/check"], { PATH: bin, LAB_LINK_KINDS: "geneve", LAB_TOOLS: "" });
      },
      names: "geneve",
      wrong: "has no geneve links: Error: Unknown device type.",
      wayOut: "kernel",
    },
    {
      when: "a private key is not there",
      cause: () => thrown(() => ownPrivateKey("~/no-such-key", "machines.hosts[0].privateKeyFile")),
      names: "machines.hosts[0].privateKeyFile: ~/no-such-key",
      wrong: "can't be read: ENOENT",
      wayOut: "Write the path of a file that is on this machine",
    },
    {
      when: "a binary is not there",
      cause: () => thrown(() => checksumOf("no-such-k3s", "k3s.source.binary")),
      names: "k3s.source.binary: no-such-k3s",
      wrong: "can't be read: ENOENT",
      wayOut: "Write the path of a file that is on this machine",
    },
  ],
  "of virtual machines": [
    {
      when: "virsh is not installed",
      cause: async () =>
        program(["scripts/libvirt/pool-up"], { ...libvirt, PATH: await programs(["bash", "dirname"]) }),
      names: "virsh",
      wrong: "is not installed here",
      wayOut: "sudo apt-get install libvirt-clients",
    },
    {
      when: "this user may not speak to libvirt",
      cause: async () => {
        const reason = "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied";
        const bin = await programs(["bash", "dirname", "cat", "tail"], {
          virsh: `echo "error: ${reason}" >&2; exit 1`,
        });
        return program(["scripts/libvirt/pool-up"], { ...libvirt, PATH: bin });
      },
      names: "qemu:///system",
      wrong: "Permission denied",
      wayOut: "join the group libvirt",
    },
    {
      when: "a machine never answers",
      cause: async () => {
        const virsh =
          'case "$*" in *domstate*) echo running ;; *vol-download*) eval "out=\\${$#}"; echo "kernel panic" >"$out" ;; esac';
        const tools = ["bash", "dirname", "mktemp", "rm", "sed", "tr", "grep", "tail", "cut", "head", "cat", "sleep"];
        const bin = await programs(tools, { virsh, timeout: "exit 1" });
        return program(["scripts/libvirt/wait-for-ssh"], {
          ...libvirt,
          PATH: bin,
          LAB_DOMAIN: "lab-node-1",
          LAB_SERIAL_LOG: "node-1.log",
          LAB_LIMIT_SECONDS: "0",
          LAB_ADDRESS: "127.0.0.1",
        });
      },
      names: "lab-node-1",
      wrong: "did not answer on SSH in 0 s",
      wayOut: "machines.bootLimitSeconds",
    },
    {
      when: "a machine ends while it boots",
      cause: async () => {
        const tools = ["bash", "dirname", "mktemp", "rm", "sed", "tr", "grep", "tail", "cut", "head", "cat", "sleep"];
        const bin = await programs(tools, { virsh: foreignVirsh("crashed"), timeout: "exit 1" });
        const about = { LAB_DOMAIN: "lab-node-1", LAB_SERIAL_LOG: "node-1.log", LAB_LIMIT_SECONDS: "60" };
        return program(["scripts/libvirt/wait-for-ssh"], { ...libvirt, ...about, PATH: bin, LAB_ADDRESS: "127.0.0.1" });
      },
      names: "lab-node-1",
      wrong: "does not run any more: it is crashed",
      wayOut: "The end of its serial log (node-1.log)",
    },
    {
      when: "a domain of that name is somebody else's",
      cause: async () => {
        const bin = await programs(["bash", "dirname", "cat", "sed", "head", "sha256sum", "cut"], {
          virsh: foreignVirsh(),
        });
        const about = { LAB_ID: "datapath-lab/dev", LAB_DOMAIN: "lab-node-1", LAB_NETWORK_INCARNATION: "1" };
        return program(["scripts/libvirt/domain-up"], { ...libvirt, ...about, PATH: bin });
      },
      names: "lab-node-1",
      wrong: "There is a domain lab-node-1 already",
      wayOut: "this lab did not make it",
    },
    {
      when: "a network of that name is somebody else's",
      cause: async () => {
        const bin = await programs(["bash", "dirname", "cat", "sed", "head", "grep"], { virsh: foreignVirsh() });
        const about = { LAB_ID: "datapath-lab/dev", LAB_NETWORK: "lab-dev" };
        return program(["scripts/libvirt/network-up"], { ...libvirt, ...about, PATH: bin });
      },
      names: "lab-dev",
      wrong: "There is a network lab-dev already",
      wayOut: "this lab did not make it",
    },
    {
      when: "the image is larger than the machines' disks",
      cause: async () => {
        const image = await file("large.img", "not qcow2");
        const size = `echo '    "virtual-size": 5368709120,'`;
        const bin = await programs(["bash", "sha256sum", "cut", "head", "od", "tr", "sed", "tail"], {
          "qemu-img": size,
        });
        return program(["scripts/libvirt/image"], {
          PATH: bin,
          LAB_IMAGE_PATH: image,
          LAB_IMAGE_SHA256: checksumOf(image, "machines.image.path"),
          LAB_IMAGE_FORMAT: "raw",
          LAB_IMAGE_DISK_BYTES: String(3 * 1024 ** 3),
          LAB_CACHE: folder,
        });
      },
      names: "machines.diskGibibytes",
      wrong: "The image has a disk of 5121 MiB, machines.diskGibibytes asks for less",
      wayOut: "set it to 6 or more",
    },
    {
      when: "nothing makes ISO files",
      cause: async () => {
        const bin = await programs(["bash", "dirname"], { virsh: foreignVirsh() });
        const about = { LAB_VOLUME: "node-1-seed.iso", LAB_META_DATA: "{}", LAB_NETWORK_CONFIG: "{}" };
        return program(["scripts/libvirt/seed-up"], { ...libvirt, ...about, PATH: bin });
      },
      names: "genisoimage",
      wrong: "is not installed here",
      wayOut: "sudo apt-get install genisoimage",
    },
    {
      when: "K3s does not run on the machine's processor",
      cause: async () => {
        const bin = await programs(["sh"], { uname: "echo riscv64" });
        const about = { LAB_NODE: "node-1", LAB_VERSION: "v1.26.6+k3s1", LAB_LIMIT_SECONDS: "1", LAB_ROOT: folder };
        return program(["sh", "-c", "cd scripts/k3s && . ./bring-binary"], { ...about, PATH: bin });
      },
      names: "node-1",
      wrong: "K3s has no release for riscv64",
      wayOut: "riscv64",
    },
    {
      when: "K3s can't be downloaded",
      cause: async () => {
        const real = ["sh", "date", "mkdir", "rm", "sleep", "kill", "stat", "awk"];
        const bin = await programs(real, { uname: "echo x86_64", curl: "exit 6" });
        const about = { LAB_NODE: "node-1", LAB_VERSION: "v1.26.6+k3s1", LAB_LIMIT_SECONDS: "9", LAB_ROOT: folder };
        const urls = { LAB_URLS: "https://mirror.example/k3s" };
        return program(["sh", "-c", "cd scripts/k3s && . ./bring-binary"], { ...about, ...urls, PATH: bin });
      },
      names: "https://mirror.example/k3s",
      wrong: "curl ended with status 6",
      wayOut: "No URL gave K3s v1.26.6+k3s1 (k3s.source); nothing was installed.",
    },
    {
      when: "the image is no cloud image",
      cause: async () =>
        program(["sh", "scripts/machine/wait-for-cloud-init"], {
          PATH: await programs(["sh"]),
          LAB_LIMIT_SECONDS: "1",
        }),
      names: "cloud-init",
      wrong: "its image is no cloud image",
      wayOut: "Set machines.image",
    },
    {
      when: "cloud-init fails",
      cause: async () => {
        const bin = await programs(["sh", "tr", "grep", "sed", "mktemp", "rm", "cat", "sleep", "cut"], {
          "cloud-init": "exit 1",
          sudo: "exit 0",
          timeout: 'shift; echo "status: error"; exit 1',
        });
        return program(["sh", "scripts/machine/wait-for-cloud-init"], { PATH: bin, LAB_LIMIT_SECONDS: "1" });
      },
      names: "cloud-init failed",
      wrong: "status: error",
      wayOut: "The end of /var/log/cloud-init-output.log",
    },
  ],
  "of a cluster": [
    {
      when: "the kubeconfig is not there",
      cause: async () => {
        const machines = { kind: "none", kubeconfig: path.join(folder, "no-kubeconfig") };
        const checks = await needsOf(parseLabConfig({ machines, cilium: { manage: false } }).config, "errors");
        return describeNeeds(checks.filter(({ state }) => state === "error"));
      },
      names: "no-kubeconfig",
      wrong: "ENOENT",
      wayOut: "Write its path as machines.kubeconfig",
    },
    {
      when: "the kubeconfig is empty",
      cause: () => thrown(() => clientConfig({ kubeconfig: "" })),
      names: "kubeconfig",
      wrong: "it is empty",
      wayOut: "Check the file that --kubeconfig, machines.kubeconfig or KUBECONFIG names.",
    },
    {
      when: "the kubeconfig is some other text",
      cause: () => thrown(() => clientConfig({ kubeconfig: "hello" })),
      names: "kubeconfig",
      wrong: "names no context",
      wayOut: "Check the file that --kubeconfig, machines.kubeconfig or KUBECONFIG names.",
    },
    {
      when: "its context is mistyped",
      cause: () => {
        const contexts = ["dev", "prod"].map((name) => ({ name, context: { cluster: "c", user: "u" } }));
        const kubeconfig = JSON.stringify({ clusters: [], users: [], contexts });
        return thrown(() => clientConfig({ kubeconfig, context: "prdo" }));
      },
      names: "machines.context",
      wrong: 'has no context "prdo"',
      wayOut: "it has dev, prod",
    },
    {
      when: "the kubeconfig of verify is not there",
      cause: () => lab(["verify", "--kubeconfig", path.join(folder, "no-kubeconfig")]),
      names: "no-kubeconfig",
      wrong: "can't be read (ENOENT)",
      wayOut: "--kubeconfig FILE",
    },
    {
      when: "the API server of verify does not answer",
      cause: async () => {
        const cluster = { name: "c", cluster: { server: "https://127.0.0.1:1" } };
        const context = { name: "dev", context: { cluster: "c", user: "u" } };
        const users = [{ name: "u", user: { token: "t" } }];
        const config = { clusters: [cluster], users, contexts: [context], "current-context": "dev" };
        return lab(["verify", "--kubeconfig", await file("closed", JSON.stringify(config))]);
      },
      names: "https://127.0.0.1:1",
      wrong: "does not answer: connect ECONNREFUSED",
      wayOut: "name another context or kubeconfig",
    },
    {
      when: "the cluster of verify has no Cilium",
      cause: () => verifyOn(version),
      names: "kube-system/cilium-config",
      wrong: "The cluster has no ConfigMap",
      wayOut: "no Cilium stands there",
    },
    {
      when: "the cluster of verify has the config of a later Cilium",
      cause: () => verifyOn({ ...version, [ciliumConfig]: [200, { data: { "routing-mode": "native" } }] }),
      names: "routing-mode or tunnel-protocol",
      wrong: "1.13 agents ignore them",
      wayOut: "Say what should hold with --datapath.",
    },
    {
      when: "the cluster of verify lets nobody make its pods",
      cause: () => {
        const refused = { kind: "Status", message: "namespaces is forbidden: User u cannot create", code: 403 };
        return verifyOn({
          ...version,
          [ciliumConfig]: [200, { data: { tunnel: "vxlan" } }],
          "POST /api/v1/namespaces": [403, refused],
        });
      },
      names: "namespaces is forbidden: User u cannot create",
      wrong: "refuses the pods to verify with",
      wayOut: "Use a kubeconfig that may create namespaces and privileged DaemonSets.",
    },
    {
      when: "the file of verify has a setting of the wrong type",
      cause: async () => lab(["verify", "--file", await file("type.json", '{"verification":{"samples":"many"}}')]),
      names: "datapath-lab:verification.samples",
      wrong: '"many" is not a number',
      wayOut: "Write a number (Rounds:",
    },
    {
      when: "the file of verify has a mistyped section",
      cause: async () => lab(["verify", "--file", await file("section.json", '{"verifcation":{}}')]),
      names: "datapath-lab:verifcation",
      wrong: "There is no such key",
      wayOut: "Did you mean verification?",
    },
    {
      when: "the file of verify is no map",
      cause: async () => lab(["verify", "--file", await file("list.json", "[1]")]),
      names: "datapath-lab:",
      wrong: "[1] is not a map of keys",
      wayOut: "Write a map of keys.",
    },
    {
      when: "the datapath of verify is mistyped",
      cause: () => lab(["verify", "--datapath", "nativ"]),
      names: "datapath.mode",
      wrong: '"nativ" is not one of',
      wayOut: "Did you mean native?",
    },
    {
      when: "an agent ends on its configuration",
      cause: () => {
        const line = 'level=fatal msg="auto-direct-node-routes cannot be used with tunneling" subsys=daemon';
        const at = { createdAt: 2000, revision: "r", deleting: false, ready: false };
        const { missing } = rolloutState({
          daemonSet: { generation: 1, observedGeneration: 1, desired: 1, updated: 1, revision: "r" },
          configuredAt: 1000,
          pods: [{ ...at, name: "cilium-1", uid: "1", node: "node-1", restarts: 2, lastLines: [line] }],
          nodes: [{ name: "node-1", ready: false }],
          missingDefinitions: [],
        });
        return missing.join("\n");
      },
      names: "node-1",
      wrong: "the agent ended 3 times with: auto-direct-node-routes cannot be used with tunneling",
      wayOut: "autoDirectNodeRoutes goes with tunnel: disabled alone.",
    },
    {
      when: "a node has no network yet",
      cause: () => {
        const at = { createdAt: 2000, revision: "r", deleting: false, ready: true };
        const { missing } = rolloutState({
          daemonSet: { generation: 1, observedGeneration: 1, desired: 1, updated: 1, revision: "r" },
          configuredAt: 1000,
          pods: [{ ...at, name: "cilium-1", uid: "1", node: "node-1", restarts: 0, lastLines: [] }],
          nodes: [
            { name: "node-1", ready: false, why: "container runtime network not ready: cni plugin not initialized" },
          ],
          missingDefinitions: [],
        });
        return missing.join("\n");
      },
      names: "node-1",
      wrong: "agent Ready, node not",
      wayOut: "cni plugin not initialized",
    },
  ],
};

describe("What a person can do wrong", function () {
  this.timeout("60s");
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-errors-"));
    await mkdir(path.join(folder, "no-runs"));
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(stackFile, { force: true });
  });

  for (const [where, cases] of Object.entries(groups)) {
    describe(where, () => {
      for (const { when, cause, names, wrong, wayOut } of cases) {
        it(`is told where ${when}, with what is wrong and the way out`, async () => {
          const said = await cause();
          for (const part of [names, wrong, wayOut]) assert.ok(said.includes(part), `not said: ${part}\n${said}`);
          assert.doesNotMatch(
            said,
            /^\s+at .*[:(]\d+|\bundefined\b|\[object Object\]|"code":/m,
            "a stack trace, or raw data",
          );
        });
      }
    });
  }

  it("is nothing where all tools are there", async () => {
    await ensurePackages([], () => assert.fail("nothing has to be installed"));
  });
});
