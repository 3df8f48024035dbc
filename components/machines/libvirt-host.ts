import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { allMachines, type LibvirtLab } from "../../datapath/libvirt/lab.ts";
import { libvirtProblem, type LibvirtProblem } from "../../datapath/libvirt/reach.ts";
import { marksOf } from "../../datapath/libvirt/xml.ts";

/** Which making of each part of a lab stands on a libvirt host. What does not stand has a new one, which makes the engine build it. */
export interface Standing {
  /** Why it can't be known what stands: everything is taken for gone then. */
  readonly problem?: LibvirtProblem;
  readonly network: string;
  readonly base: string;
  readonly machines: ReadonlyMap<string, { readonly incarnation: string; readonly start: string }>;
}

const answerLimitMilliseconds = 20_000;

/** What virsh prints. Throws where it fails: what can't be asked for is not gone. */
function virsh(uri: string, ...words: readonly string[]): string {
  return execFileSync("virsh", ["--quiet", "--connect", uri, ...words], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: answerLimitMilliseconds,
  });
}

/** What virsh said as it failed; nothing where there is none. */
function saidBy(error: unknown): string | undefined {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOENT") return undefined;
  return ("stderr" in error && String(error.stderr)) || error.message;
}

/** Why libvirt can't be asked; nothing where it answers. */
export function askLibvirt(uri: string): LibvirtProblem | undefined {
  try {
    virsh(uri, "uri");
    return undefined;
  } catch (error) {
    return libvirtProblem(uri, saidBy(error));
  }
}

/** What is found on a libvirt host, by name. */
interface Found {
  readonly network: Readonly<Record<string, string>> | undefined;
  readonly domains: readonly string[];
  readonly running: readonly string[];
  readonly volumes: readonly string[];
}

const nothing: Found = { network: undefined, domains: [], running: [], volumes: [] };

/** What keeps it from being known what stands, with a way out of its own. */
class Unknown extends Error {
  readonly problem: LibvirtProblem;

  constructor(problem: LibvirtProblem) {
    super(problem.found);
    this.problem = problem;
  }
}

/**
 * Looks what stands of a lab, since command resources never look at what they made. A machine stands where its domain is defined
 * and its disk and seed are there; one that is only turned off keeps its disk and is started again. Makes nothing.
 */
export function standingOf(lab: LibvirtLab, uri: string): Standing {
  try {
    return standing({
      network: marksWhere("net-dumpxml", lab.network.name, names("net-list")),
      domains: names("list", "--all"),
      running: names("list"),
      volumes: names("pool-list", "--all").includes(lab.pool.name) ? volumes() : [],
    });
  } catch (error) {
    const problem = error instanceof Unknown ? error.problem : libvirtProblem(uri, saidBy(error));
    return { problem, ...standing() };
  }

  function standing({ network, domains, running, volumes }: Found = nothing): Standing {
    const base = volumes.find((volume) => volume.startsWith(lab.basePrefix));
    return {
      network: network?.["incarnation"] ?? randomUUID(),
      base: base?.slice(base.lastIndexOf("-") + 1) ?? randomUUID().slice(0, 8),
      machines: new Map(
        allMachines(lab).map(({ name, domain, disk, seed }) => {
          const isWhole = volumes.includes(disk) && volumes.includes(seed);
          const marks = isWhole ? marksWhere("dumpxml", domain, domains) : undefined;
          const incarnation = marks?.["incarnation"] ?? randomUUID();
          const start = (running.includes(domain) ? marks?.["start"] : undefined) ?? randomUUID();
          return [name, { incarnation, start }];
        }),
      ),
    };
  }

  /** Names in one of virsh's lists. */
  function names(list: string, ...words: readonly string[]): string[] {
    return virsh(uri, list, "--name", ...words)
      .split("\n")
      .flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  }

  /** What the lab wrote into what bears a name, where it is listed; nothing where it is not, or is another's. */
  function marksWhere(
    dump: string,
    name: string,
    listed: readonly string[],
  ): Readonly<Record<string, string>> | undefined {
    return listed.includes(name) ? marksOf(virsh(uri, dump, "--inactive", name), lab) : undefined;
  }

  function volumes(): string[] {
    const { name } = lab.pool;
    if (!names("pool-list").includes(name)) throw closedPool("it is not active");
    try {
      // A pool tells of files that are gone only when it looked again.
      virsh(uri, "pool-refresh", name);
    } catch (error) {
      const said = saidBy(error) ?? "";
      // It can't look while a volume of it is made or filled.
      if (!/asynchronous/.test(said)) throw closedPool(said.trim().replaceAll(/\s*\n\s*/g, "; "));
    }
    return virsh(uri, "vol-list", name)
      .split("\n")
      .map((line) => line.trim().split(/\s/)[0] ?? "");
  }

  function closedPool(reason: string): Unknown {
    const { name } = lab.pool;
    return new Unknown({
      found: `nobody knows which disks are in the pool ${name}: ${reason}`,
      wayOut: `Start it: virsh --connect '${uri}' pool-build ${name}; virsh --connect '${uri}' pool-start ${name}`,
    });
  }
}
