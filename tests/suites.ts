import { embeddedLabTools, ensurePackages, ensureTools } from "../cli/tools.ts";
import { ensureHelm } from "../offline/kubernetes/helm.ts";
import { ensureEngine } from "../offline/engine.ts";

/** How many checks of a suite passed and failed, or why it was not run. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly leftOut?: string;
}

export type Step = { readonly command: readonly string[] } | { readonly mocha: readonly string[] };

export interface Suite {
  readonly name: string;
  readonly about: string;
  /** Why the suite runs only where it is asked for by name. */
  readonly onRequest?: string;
  /** Brings what the suite needs. Rejects with the reason where this machine can't have it. */
  readonly prepare?: (log: (line: string) => void) => Promise<void>;
  readonly steps: readonly Step[];
}

async function engine(log: (line: string) => void): Promise<void> {
  await ensureEngine({ log });
}

function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new Error("needs root: run it as sudo npm test");
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
      { command: ["sh", "-c", "git ls-files -z -- .ci scripts 'tests/*/harness/scripts' | xargs -0 shellcheck"] },
      { command: [...node, "cli/generate.ts", "--check"] },
    ],
  },
  {
    name: "unit",
    about: "pure functions, components under mocks",
    steps: [
      { mocha: ["tests/datapath"] },
      { mocha: ["tests/verification", "tests/cli"] },
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
      await ensureTools(embeddedLabTools, log);
      await engine(log);
    },
    steps: [{ mocha: ["tests/lab"] }],
  },
  {
    name: "cluster",
    about: "a real Kubernetes 1.26 of three nodes in network namespaces, with a stand-in for Cilium's agent",
    prepare: async (log) => {
      requireRoot();
      await engine(log);
      await ensureHelm(log);
    },
    steps: [{ mocha: ["tests/cluster"] }],
  },
  {
    name: "vm",
    about: "virtual machines by libvirt, with a small Debian image in the place of Ubuntu's",
    onRequest: "takes a quarter of an hour by software emulation; run it by: npm test -- vm",
    prepare: async (log) => {
      requireRoot();
      await engine(log);
    },
    steps: [{ mocha: ["tests/vm"] }],
  },
];
