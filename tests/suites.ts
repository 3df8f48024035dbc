import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { bgpTools, embeddedLabTools } from "../cli/tools.ts";
import { ensurePackages } from "../offline/packages.ts";
import { ensureHelm } from "../offline/kubernetes/helm.ts";
import { ensureEngine } from "../offline/engine.ts";

/** How many checks of a suite passed and failed, or why it was not run. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly leftOut?: string;
}

export interface MochaStep {
  /** Test files, and folders of them. */
  readonly mocha: readonly string[];
  /** Tests whose title matches one of these regular expressions are left out. */
  readonly without?: readonly string[];
}

export type Step = { readonly command: readonly string[] } | MochaStep;

export interface Suite {
  readonly name: string;
  readonly about: string;
  /** The suite whose tests, or some of them, this one repeats: it runs only where it is asked for, and is missed by nobody. */
  readonly partOf?: string;
  /** Brings what the suite needs. Rejects with the reason where this machine can't have it. */
  readonly prepare?: (log: (line: string) => void) => Promise<void>;
  readonly steps: readonly Step[];
  /** What it should take at most on an idle machine; more is said, and fails nothing: machines are busy now and then. */
  readonly aimSeconds?: number;
  /** Steps that mostly wait run at the same time; what each prints comes when it ends. */
  readonly together?: true;
}

/** A file that is named, or the files called *.test.ts anywhere below a folder. */
export function testFiles(place: string): string[] {
  if (!statSync(place).isDirectory()) return [place];
  const entries = readdirSync(place, { recursive: true, encoding: "utf8" });
  return entries.filter((entry) => entry.endsWith(".test.ts")).map((entry) => path.join(place, entry));
}

/** What to say of a suite that took longer than it should; nothing where it did not. */
export function lateness({ name, aimSeconds }: Suite, seconds: number): string | undefined {
  if (aimSeconds === undefined || seconds <= aimSeconds) return undefined;
  return `WARNING: ${name} took ${seconds.toFixed(0)} s and should take less than ${aimSeconds} s. If this machine is idle, leave out of it what takes time (tests/suites.ts).`;
}

async function engine(log: (line: string) => void): Promise<void> {
  await ensureEngine({ log });
}

function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new Error("needs root: run it as sudo npm test");
}

async function cluster(log: (line: string) => void): Promise<void> {
  requireRoot();
  await engine(log);
  await ensureHelm(log);
  // What only some suites need is loaded by them: the others start sooner.
  const { clusterTools } = await import("./cluster/harness/cluster.ts");
  const { testImageArchive } = await import("./cluster/harness/image.ts");
  const { kubernetesPrograms } = await import("./cluster/harness/programs.ts");
  await ensurePackages(clusterTools, log);
  await kubernetesPrograms(log);
  await testImageArchive(log);
}

const node = [process.execPath, "--import", "tsx"];

/** All suites, quickest first. */
export const suites: readonly Suite[] = [
  {
    name: "static",
    about: "types, lint, format, shell scripts, generated files",
    prepare: (log) => ensurePackages([{ tool: "shellcheck", package: "shellcheck" }], log),
    steps: [
      { command: ["npx", "--no-install", "tsc", "--noEmit"] },
      { command: ["npx", "--no-install", "eslint", "--max-warnings=0", "."] },
      { command: ["npx", "--no-install", "prettier", "--check", "--log-level=warn", "."] },
      {
        command: [
          "sh",
          "-c",
          "git ls-files -z -- .ci scripts bench/virsh-machines 'tests/*/harness/scripts' | xargs -0 shellcheck",
        ],
      },
      { command: [...node, "cli/generate.ts", "--check"] },
    ],
  },
  {
    name: "fast",
    about: "the unit tests that take no time: for every save",
    partOf: "unit",
    aimSeconds: 20,
    together: true,
    steps: [
      {
        mocha: ["tests/datapath", "tests/verification", "tests/cli", "tests/docs", "tests/report"],
        // Thousands of made configs; a browser; programs of their own.
        without: ["Whatever", "in Chromium", "doctor"],
      },
      { mocha: ["tests/components"] },
    ],
  },
  {
    name: "unit",
    about: "pure functions, components under mocks",
    steps: [
      { mocha: ["tests/datapath"] },
      { mocha: ["tests/verification", "tests/cli", "tests/docs"] },
      { mocha: ["tests/machines"] },
      { mocha: ["tests/components"] },
      { mocha: ["tests/offline"] },
      { mocha: ["tests/report"] },
    ],
  },
  {
    name: "engine",
    about: "the real Pulumi engine and its providers",
    prepare: engine,
    steps: [{ mocha: ["tests/engine"] }],
  },
  {
    name: "lab",
    about: "the embedded lab for real, in network namespaces",
    prepare: async (log) => {
      requireRoot();
      await ensurePackages([...embeddedLabTools, ...bgpTools], log);
      await engine(log);
    },
    together: true,
    steps: [
      { mocha: ["tests/lab/bgp.test.ts", "tests/lab/compare.test.ts", "tests/lab/example.test.ts"] },
      { mocha: ["tests/lab/contradictions.test.ts", "tests/lab/datapaths.test.ts"] },
      { mocha: ["tests/lab/faults.test.ts"] },
    ],
  },
  {
    name: "cluster",
    about:
      "a real Kubernetes 1.26 in network namespaces, its provider, and Cilium, by a stand-in for its agent, released and verified",
    prepare: cluster,
    together: true,
    steps: [
      { mocha: ["tests/cluster/cilium.test.ts"] },
      { mocha: ["tests/cluster/verify.test.ts"] },
      { mocha: ["tests/cluster/harness.test.ts", "tests/cluster/kubernetes-provider.test.ts"] },
    ],
  },
  {
    name: "vm",
    about:
      "virtual machines by libvirt, with a small Debian image in the place of Ubuntu's, and K3s on them, by a stand-in for its binary",
    prepare: async (log) => {
      requireRoot();
      await engine(log);
      const { imageTools, libvirtTools, testCloudImage } = await import("./vm/harness.ts");
      await ensurePackages([...libvirtTools, ...imageTools], log);
      await testCloudImage(log);
    },
    steps: [{ mocha: ["tests/vm"] }],
  },
];
