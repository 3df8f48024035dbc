import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import typescript from "typescript";

/** A folder of the project, and what its code may know of. */
export interface Room {
  readonly folder: string;
  readonly about: string;
  /** Rooms and single files that its code may import; its own files always. */
  readonly mayImport: readonly string[];
  /** The only packages that it may import; any where absent. */
  readonly packages?: readonly string[];
  /** Packages that it must not import, `@pulumi/*` for all of a scope. */
  readonly withoutPackages?: readonly string[];
  /** What has no place in it, in words. */
  readonly never: string;
}

const pulumi = "@pulumi/*";
/** Under which the component is imported by other programs (package.json, exports). */
const packageName = "datapath-lab";

/** Every room with TypeScript in it. A room below another stands before it. */
export const rooms: readonly Room[] = [
  {
    folder: "index.ts",
    about: "The program: one component and the stack's outputs.",
    mayImport: ["components"],
    packages: ["@pulumi/pulumi"],
    never: "logic",
  },
  {
    folder: "examples",
    about: "Programs of other people that use the component.",
    mayImport: ["components/index.ts"],
    never: "what another program could not import",
  },
  {
    folder: "components/machines",
    about: "One file per kind of machine: namespaces, libvirt, hosts.",
    mayImport: [
      "components/local-file.ts",
      "components/scripts.ts",
      "components/refusal.ts",
      "datapath",
      "offline/home.ts",
      "verification",
    ],
    withoutPackages: ["@pulumi/kubernetes", "@kubernetes/client-node"],
    never: "anything of K3s or Cilium",
  },
  {
    folder: "components",
    about: "Pulumi components: which resources there are, and what they wait for.",
    mayImport: ["components/machines", "datapath", "verification"],
    never: "networking decisions, CIDR maths, parsing",
  },
  {
    folder: "datapath",
    about: "The domain: config, rules, plan, Helm values, judgement, statistics. Pure functions.",
    mayImport: [],
    packages: [
      "fastest-levenshtein",
      "ipaddr.js",
      "node:crypto",
      "semver",
      "simple-statistics",
      "xmlbuilder2",
      "yaml",
      "zod",
    ],
    never: "Pulumi, files, network, processes, the clock",
  },
  {
    folder: "verification",
    about: "Programs that command resources run: read evidence, measure, wait for a roll-out, look at machines.",
    mayImport: ["datapath"],
    withoutPackages: [pulumi],
    never: "Pulumi; judging, which is datapath's",
  },
  {
    folder: "report",
    about: "Runs as terminal text, HTML, Markdown and pictures.",
    mayImport: ["datapath"],
    withoutPackages: [pulumi, "@kubernetes/client-node"],
    never: "Pulumi; figures of its own",
  },
  {
    folder: "offline",
    about: "What this machine lacks: the CLI and providers that can't be downloaded, Debian packages.",
    mayImport: [],
    never: "anything of this lab",
  },
  {
    folder: "cli",
    about: "`npm run lab`: the same program through the Automation API; generators.",
    mayImport: ["components/local-file.ts", "components/machines", "datapath", "verification", "report", "offline"],
    never: "decisions about the datapath",
  },
  {
    folder: "bench",
    about: "What the lab costs beside a minimal equivalent.",
    mayImport: ["cli", "components", "datapath", "offline", "tests/vm/harness.ts"],
    never: "other tests",
  },
  {
    folder: "tests",
    about: "Mirrors the rooms; engine, lab, cluster and vm drive the real thing.",
    mayImport: [
      "bench",
      "cli",
      "components",
      "components/machines",
      "datapath",
      "examples",
      "index.ts",
      "offline",
      "report",
      "verification",
    ],
    never: "a test that can't fail",
  },
];

/** What stands in the folders of the largest room, in the order in which a datapath goes through them. */
export const datapathFolders: Readonly<Record<string, string>> = {
  config: "Shape, defaults and descriptions of every config key.",
  rules: "What contradicts itself, what the agent exits on, what it does instead: one row per rule, with its source.",
  plan: "What must be true on every node, before there is one and after, and what that is for a bare kernel.",
  machines: "What is known of machines, and what a datapath needs of them: kernel floors, preflight.",
  libvirt: "Domains, networks and cloud-init seeds, rendered.",
  k3s: "K3s's config file and kubeconfig, rendered.",
  cilium: "The chart's values, what the agent makes of them, and what it says of itself.",
  bgp: "Who announces pod CIDRs to whom: BIRD, kube-router, Cilium's speaker, rendered.",
  proof: "Evidence judged against the plan.",
  run: "A run, its samples and figures, and what two runs allow to be said.",
  reference: "Pages and JSON schemas that follow from config and rules.",
};

export function datapathFoldersTable(): string {
  const rows = Object.entries(datapathFolders).map(
    ([folder, about]) => `| ${code([`datapath/${folder}`])} | ${about} |`,
  );
  return ["| folder | what lives there |", "| --- | --- |", ...rows].join("\n");
}

/** One import, or one program that a room has the engine run. */
export interface Reference {
  /** Relative to the project. */
  readonly file: string;
  /** A package's name, or the file relative to the project. */
  readonly target: string;
  readonly kind: "package" | "file" | "run";
}

/** The room that a file of the project stands in; undefined outside of all. */
function roomOf(file: string): Room | undefined {
  return rooms.find(({ folder }) => file === folder || file.startsWith(`${folder}/`));
}

function sourceFiles(root: string): string[] {
  return [...new Set(rooms.map(({ folder }) => folder.split("/")[0] ?? folder))].flatMap((place) => {
    const whole = path.join(root, place);
    if (!existsSync(whole)) return [];
    if (place.endsWith(".ts")) return [place];
    return readdirSync(whole, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|mjs)$/.test(name) && !/(^|\/)node_modules\//.test(name))
      .map((name) => path.join(place, name))
      .sort();
  });
}

/** What a source file imports, and which scripts and programs it names for the engine (components/scripts.ts). */
export function referencesOf(file: string, text: string): Reference[] {
  const imported = typescript.preProcessFile(text, true, true).importedFiles.map(({ fileName }): Reference => {
    if (fileName.startsWith(".")) {
      return { file, target: path.normalize(path.join(path.dirname(file), fileName)), kind: "file" };
    }
    if (fileName === packageName) return { file, target: "components/index.ts", kind: "file" };
    const words = fileName.split("/");
    const name = words.slice(0, fileName.startsWith("@") ? 2 : 1).join("/");
    return { file, target: name, kind: "package" };
  });
  const run = [...text.matchAll(/\b(as[A-Z]\w*|nodeAs\w+|scriptText)\(\s*["`]([\w./-]+)/g)].map(
    ([, how = "", target = ""]): Reference => ({
      file,
      target: how.startsWith("nodeAs") ? target : `scripts/${target}`,
      kind: "run",
    }),
  );
  return [...imported, ...run];
}

/** Every reference in the project's TypeScript. */
export function projectReferences(root: string): Reference[] {
  return sourceFiles(root).flatMap((file) => referencesOf(file, readFileSync(path.join(root, file), "utf8")));
}

function isNamed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => (pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

/** Why a reference breaks the table of rooms; undefined where it doesn't. */
export function crossedLine({ file, target, kind }: Reference): string | undefined {
  const from = roomOf(file);
  if (from === undefined || kind === "run") return undefined;
  if (kind === "package") {
    const { packages, withoutPackages = [] } = from;
    const isAllowed = (packages === undefined || isNamed(target, packages)) && !isNamed(target, withoutPackages);
    return isAllowed ? undefined : `${file} imports ${target}: ${from.folder} must not`;
  }
  const to = roomOf(target);
  if (to === from || from.mayImport.includes(target) || (to !== undefined && from.mayImport.includes(to.folder))) {
    return undefined;
  }
  return `${file} imports ${target}: ${from.folder} may import ${from.mayImport.join(", ") || "none of this project's folders"}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function code(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

/** The table of rooms, as Markdown. */
export function roomsTable(): string {
  const rows = rooms.map(({ folder, about, mayImport, packages, withoutPackages, never }) => [
    code([folder]),
    about,
    code(mayImport) || "none of this project's folders",
    [
      ...(packages === undefined ? [] : [`other packages than ${code(packages)}`]),
      ...(withoutPackages === undefined ? [] : [code(withoutPackages)]),
      never,
    ].join("; "),
  ]);
  return [["folder", "what lives there", "may import", "never"], ["---", "---", "---", "---"], ...rows]
    .map((cells) => `| ${cells.map(cell).join(" | ")} |`)
    .join("\n");
}

/** Which room knows of which, as a Mermaid flowchart drawn from the imports that are there. Tests, which know all, are left out. */
export function roomsDiagram(references: readonly Reference[]): string {
  const edges = new Set<string>();
  for (const { file, target, kind } of references) {
    const from = roomOf(file)?.folder;
    const to = target.startsWith("scripts/") ? "scripts" : roomOf(target)?.folder;
    if (kind === "package" || from === undefined || to === undefined || from === to) continue;
    if (["tests", "bench"].includes(from)) continue;
    edges.add(`  ${id(from)} ${kind === "run" ? "-. runs .->" : "-->"} ${id(to)}`);
  }
  const drawn = [...edges].sort();
  const shown = [...rooms.map(({ folder }) => folder), "scripts"].filter((folder) =>
    drawn.some((edge) => edge.trim().split(" ").includes(id(folder))),
  );
  return [
    "```mermaid",
    "flowchart TD",
    ...shown.map((folder) => `  ${id(folder)}["${folder}${folder.endsWith(".ts") ? "" : "/"}"]`),
    ...drawn,
    "```",
  ].join("\n");
}

function id(folder: string): string {
  return folder.replaceAll(/[^a-z]/g, "_");
}
