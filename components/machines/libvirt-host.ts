import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { allMachines, type LibvirtLab } from "../../datapath/libvirt/lab.ts";
import { libvirtProblem, type LibvirtProblem } from "../../datapath/libvirt/reach.ts";
import { marksOf } from "../../datapath/libvirt/xml.ts";

/** Which making of each part of a lab stands on a libvirt host. What does not stand has a new one, which makes the engine build it. */
export interface Standing {
  /** Why libvirt did not answer: everything is taken for gone then. */
  readonly problem?: LibvirtProblem;
  readonly network: string;
  readonly base: string;
  readonly machines: ReadonlyMap<string, { readonly incarnation: string; readonly start: string }>;
}

const answerLimitMilliseconds = 20_000;

/** Why libvirt can't be asked; nothing where it answers. */
export function askLibvirt(uri: string): LibvirtProblem | undefined {
  try {
    execFileSync("virsh", ["--quiet", "--connect", uri, "uri"], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: answerLimitMilliseconds,
    });
    return undefined;
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return libvirtProblem(
      uri,
      isMissing ? undefined : error instanceof Error && "stderr" in error ? String(error.stderr) : String(error),
    );
  }
}

/**
 * Looks what stands of a lab, since command resources never look at what they made. A machine stands where its domain is defined
 * and its disk and seed are there; one that is only turned off keeps its disk and is started again. Makes nothing.
 */
export function standingOf(lab: LibvirtLab, uri: string): Standing {
  const before = askLibvirt(uri);
  const network = marksOfResource(["net-dumpxml", "--inactive", lab.network.name]);
  const isNetworkUp = network !== undefined && names(["net-list", "--name"]).includes(lab.network.name);
  const domains = new Set(names(["list", "--all", "--name"]));
  const running = new Set(names(["list", "--name"]));
  // A pool tells of files that are gone only when it looked again.
  virsh(["pool-refresh", lab.pool.name]);
  const volumes = names(["vol-list", lab.pool.name]).map((line) => line.split(/\s/)[0] ?? "");
  const base = volumes.find((volume) => volume.startsWith(lab.basePrefix));
  // What ended while it was asked would have everything look gone.
  const problem = before ?? askLibvirt(uri);
  return {
    ...(problem === undefined ? {} : { problem }),
    network: (isNetworkUp ? network["incarnation"] : undefined) ?? randomUUID(),
    base: base?.slice(base.lastIndexOf("-") + 1) ?? randomUUID().slice(0, 8),
    machines: new Map(
      allMachines(lab).map(({ name, domain, disk, seed }) => {
        const isWhole = domains.has(domain) && volumes.includes(disk) && volumes.includes(seed);
        const marks = isWhole ? marksOfResource(["dumpxml", "--inactive", domain]) : undefined;
        const incarnation = marks?.["incarnation"] ?? randomUUID();
        const start = (running.has(domain) ? marks?.["start"] : undefined) ?? randomUUID();
        return [name, { incarnation, start }];
      }),
    ),
  };

  /** What virsh prints; nothing where it fails: no such thing, no virsh, no libvirt. Commands that need them say so when they run. */
  function virsh(words: readonly string[]): string | undefined {
    try {
      return execFileSync("virsh", ["--quiet", "--connect", uri, ...words], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        timeout: answerLimitMilliseconds,
      });
    } catch {
      return undefined;
    }
  }

  function names(words: readonly string[]): string[] {
    return (virsh(words) ?? "").split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  }

  function marksOfResource(words: readonly string[]): Readonly<Record<string, string>> | undefined {
    const xml = virsh(words);
    return xml === undefined ? undefined : marksOf(xml, lab);
  }
}
