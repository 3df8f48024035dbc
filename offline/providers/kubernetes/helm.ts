import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as z from "zod/mini";
import { ensureHelm } from "../../kubernetes/helm.ts";
import type { Operation } from "../definition.ts";
import type { Connection } from "./connection.ts";

/** A release's inputs in plain: what the official plugin's Check completes, with its defaults. */
export const releaseInputs = z.object({
  atomic: z._default(z.boolean(), false),
  chart: z.string(),
  cleanupOnFail: z._default(z.boolean(), false),
  createNamespace: z._default(z.boolean(), false),
  dependencyUpdate: z._default(z.boolean(), false),
  description: z._default(z.string(), ""),
  devel: z._default(z.boolean(), false),
  disableCRDHooks: z._default(z.boolean(), false),
  disableOpenapiValidation: z._default(z.boolean(), false),
  disableWebhooks: z._default(z.boolean(), false),
  forceUpdate: z._default(z.boolean(), false),
  keyring: z._default(z.string(), ""),
  maxHistory: z.optional(z.number()),
  name: z.string(),
  namespace: z.string(),
  postrender: z._default(z.string(), ""),
  renderSubchartNotes: z._default(z.boolean(), false),
  replace: z._default(z.boolean(), false),
  repositoryOpts: z.optional(
    z.object({
      repo: z._default(z.string(), ""),
      caFile: z._default(z.string(), ""),
      certFile: z._default(z.string(), ""),
      keyFile: z._default(z.string(), ""),
      username: z._default(z.string(), ""),
      password: z._default(z.string(), ""),
    }),
  ),
  resetValues: z._default(z.boolean(), false),
  reuseValues: z._default(z.boolean(), false),
  skipAwait: z._default(z.boolean(), false),
  skipCrds: z._default(z.boolean(), false),
  timeout: z._default(z.number(), 0),
  values: z._default(z.record(z.string(), z.unknown()), {}),
  verify: z._default(z.boolean(), false),
  version: z._default(z.string(), ""),
  waitForJobs: z._default(z.boolean(), false),
});
export type ReleaseInputs = z.infer<typeof releaseInputs>;

const revisionStatus = z.object({
  version: z.number(),
  manifest: z._default(z.string(), ""),
  config: z.optional(z.nullable(z.record(z.string(), z.unknown()))),
  info: z.object({ status: z.string(), description: z._default(z.string(), "") }),
});
/** `helm status` leaves out the chart. */
const chartMetadata = z.object({ chart: z.string(), version: z.string(), appVersion: z._default(z.string(), "") });

/** A revision of a release as Helm keeps it in the cluster. */
export interface Revision {
  number: number;
  /** Such as `deployed`, `failed`, `pending-install`. */
  status: string;
  /** How it came to that. */
  description: string;
  /** Those given, without the chart's own. */
  values: Record<string, unknown>;
  manifest: string;
  chart: { name: string; version: string; appVersion: string };
}

/** The official plugin's default, in seconds. */
export const defaultTimeoutSeconds = 300;

/** An error of the Helm CLI, in its own words. */
export class HelmError extends Error {}

/** The Helm CLI against one cluster. */
export class Helm {
  readonly #connection: Connection;
  readonly #operation: Operation;

  constructor(connection: Connection, operation: Operation) {
    this.#connection = connection;
    this.#operation = operation;
  }

  /** The version that a chart's constraint leads to. @throws HelmError when the chart can't be had */
  async chartVersion(release: ReleaseInputs): Promise<string> {
    const metadata = await this.#run(["show", "chart", ...chartArguments(release)], { release, withCluster: false });
    const version = /^version:\s*["']?([^"'\s]+)/m.exec(metadata)?.[1];
    if (version === undefined) throw new HelmError(`the chart ${release.chart} has no version in its Chart.yaml`);
    return version;
  }

  async install(release: ReleaseInputs): Promise<void> {
    await this.#run(
      [
        ...["install", release.name, ...chartArguments(release), ...deployArguments(release)],
        ...option(release.createNamespace, "--create-namespace"),
        ...option(release.replace, "--replace"),
        ...option(release.skipCrds, "--skip-crds"),
        ...option(release.disableWebhooks, "--no-hooks"),
      ],
      { release },
    );
  }

  async upgrade(release: ReleaseInputs): Promise<void> {
    await this.#run(
      [
        ...["upgrade", release.name, ...chartArguments(release), ...deployArguments(release)],
        ...option(release.cleanupOnFail, "--cleanup-on-fail"),
        ...option(release.forceUpdate, "--force"),
        ...option(release.resetValues, "--reset-values"),
        ...option(release.reuseValues, "--reuse-values"),
        ...option(release.disableCRDHooks, "--no-hooks"),
        `--history-max=${release.maxHistory ?? 0}`,
      ],
      { release },
    );
  }

  async uninstall(
    release: Pick<ReleaseInputs, "name" | "namespace" | "atomic" | "skipAwait" | "timeout">,
  ): Promise<void> {
    const waits = release.atomic || !release.skipAwait;
    await this.#run(["uninstall", release.name, ...option(waits, "--wait", `--timeout=${seconds(release.timeout)}`)], {
      release,
    });
  }

  /** The newest revision of a release; undefined when there is none. */
  async newestRevision(release: Pick<ReleaseInputs, "name" | "namespace">): Promise<Revision | undefined> {
    try {
      const status = revisionStatus.parse(
        JSON.parse(await this.#run(["status", release.name, "--output=json"], { release })),
      );
      const metadata = ["get", "metadata", release.name, `--revision=${status.version}`, "--output=json"];
      const { chart, version, appVersion } = chartMetadata.parse(JSON.parse(await this.#run(metadata, { release })));
      return {
        number: status.version,
        status: status.info.status,
        description: status.info.description,
        values: status.config ?? {},
        manifest: status.manifest,
        chart: { name: chart, version, appVersion },
      };
    } catch (error) {
      if (error instanceof HelmError && error.message.includes("release: not found")) return undefined;
      throw error;
    }
  }

  /** Everything that may be secret reaches Helm by files that only this user can read, not by its arguments. */
  async #run(
    helmArguments: string[],
    { release, withCluster = true }: { release: Partial<ReleaseInputs> & { namespace: string }; withCluster?: boolean },
  ): Promise<string> {
    const program = await ensureHelm((line) => this.#operation.log("info", line));
    const folder = privateFolder();
    try {
      const file = (name: string, content: string): string => {
        const target = path.join(folder, name);
        writeFileSync(target, content, { mode: 0o600 });
        return target;
      };
      const cluster = withCluster
        ? [`--kubeconfig=${file("kubeconfig", this.#connection.kubeconfig())}`, `--namespace=${release.namespace}`]
        : [];
      const takesValues = ["install", "upgrade"].includes(helmArguments[0] ?? "");
      const values = takesValues ? [`--values=${file("values.json", JSON.stringify(release.values ?? {}))}`] : [];
      const repository = repositoryWithPassword(release);
      if (repository === undefined) return await this.#spawn(program, [...helmArguments, ...values, ...cluster]);
      const settings = [
        `--repository-config=${file("repositories.yaml", JSON.stringify(repository))}`,
        `--repository-cache=${folder}`,
      ];
      const fetchesChart = takesValues || helmArguments[0] === "show";
      if (fetchesChart) await this.#spawn(program, ["repo", "update", ...settings]);
      return await this.#spawn(program, [...helmArguments, ...values, ...cluster, ...settings]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async #spawn(program: string, helmArguments: string[]): Promise<string> {
    const { signal } = this.#operation;
    signal.throwIfAborted();
    const child = spawn(program, helmArguments, { stdio: ["ignore", "pipe", "pipe"] });
    // Helm ends an operation on this signal by itself, and marks the release as failed.
    const cancel = (): void => void child.kill("SIGTERM");
    signal.addEventListener("abort", cancel, { once: true });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    try {
      const status = await new Promise<number | null>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", resolve);
      });
      if (status === 0) return output;
      const message = errors
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("WARNING:"))
        .join("\n")
        // What the command line alone puts before Helm's own words.
        .replace(/^Error: ((INSTALLATION|UPGRADE) FAILED: )?/, "");
      throw new HelmError(message || `helm ${helmArguments[0] ?? ""} ended with status ${status ?? "none"}`);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }
}

/** A folder for this process's secrets. Those of processes that were killed go first: nobody else would remove them. */
function privateFolder(): string {
  for (const name of readdirSync(tmpdir())) {
    const owner = /^datapath-lab-helm-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || runs(Number(owner))) continue;
    try {
      rmSync(path.join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another person's.
    }
  }
  return mkdtempSync(path.join(tmpdir(), `datapath-lab-helm-${process.pid}-`));
}

/** Whether a process is there; another person's is, for all that we may do about its files. */
function runs(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

function option(wanted: boolean, ...flags: string[]): string[] {
  return wanted ? flags : [];
}

function seconds(timeout: number): string {
  return `${timeout || defaultTimeoutSeconds}s`;
}

function isUrl(text: string): boolean {
  return /^[a-z]+:\/\//.test(text);
}

function chartArguments(release: ReleaseInputs): string[] {
  const { repo = "", caFile = "", certFile = "", keyFile = "" } = release.repositoryOpts ?? {};
  const byUrl = isUrl(repo) && !isUrl(release.chart);
  const withPassword = byUrl && repositoryWithPassword(release) !== undefined;
  // A repository without a URL is the name of one that the user added.
  const ofNamed = repo !== "" && !isUrl(repo) && !release.chart.includes("/");
  return [
    withPassword ? `${repositoryName}/${release.chart}` : ofNamed ? `${repo}/${release.chart}` : release.chart,
    ...option(byUrl && !withPassword, `--repo=${repo}`),
    ...option(!withPassword && caFile !== "", `--ca-file=${caFile}`),
    ...option(!withPassword && certFile !== "", `--cert-file=${certFile}`),
    ...option(!withPassword && keyFile !== "", `--key-file=${keyFile}`),
    ...option(release.version !== "", `--version=${release.version.trim()}`),
    ...option(release.version === "" && release.devel, "--devel"),
    ...option(release.verify, "--verify"),
    ...option(release.verify && release.keyring !== "", `--keyring=${release.keyring}`),
  ];
}

function deployArguments(release: ReleaseInputs): string[] {
  return [
    ...option(!release.skipAwait, "--wait"),
    ...option(!release.skipAwait && release.waitForJobs, "--wait-for-jobs"),
    `--timeout=${seconds(release.timeout)}`,
    ...option(release.atomic, "--atomic"),
    ...option(release.description !== "", `--description=${release.description}`),
    ...option(release.dependencyUpdate, "--dependency-update"),
    ...option(release.disableOpenapiValidation, "--disable-openapi-validation"),
    ...option(release.renderSubchartNotes, "--render-subchart-notes"),
    ...option(release.postrender !== "", `--post-renderer=${release.postrender}`),
  ];
}

const repositoryName = "release";

/** The repository file for a repository that needs a password: Helm takes that from its arguments or from there. */
function repositoryWithPassword(release: Partial<ReleaseInputs>): unknown {
  const {
    repo = "",
    username = "",
    password = "",
    caFile = "",
    certFile = "",
    keyFile = "",
  } = release.repositoryOpts ?? {};
  if (!isUrl(repo) || password === "") return undefined;
  const entry = { name: repositoryName, url: repo, username, password, caFile, certFile, keyFile };
  return { apiVersion: "v1", repositories: [entry] };
}
