import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import type { LibvirtLab } from "../../datapath/libvirt/lab.ts";
import { marksOf } from "../../datapath/libvirt/xml.ts";

/** Which making of each part of a lab stands on a libvirt host. What does not stand has a new one, which makes the engine build it. */
export interface Standing {
  /** Whether libvirt answered; where it did not, everything is taken for gone. */
  readonly isKnown: boolean;
  readonly network: string;
  readonly base: string;
  readonly machines: ReadonlyMap<string, { readonly incarnation: string; readonly start: string }>;
}

const answerLimitMilliseconds = 20_000;

/**
 * Looks what stands of a lab, since command resources never look at what they made. A machine stands where its domain is defined
 * and its disk and seed are there; one that is only turned off keeps its disk and is started again. Makes nothing.
 */
export function standingOf(lab: LibvirtLab, uri: string): Standing {
  const isKnown = virsh(["uri"]) !== undefined;
  const network = marksOfResource(["net-dumpxml", "--inactive", lab.network.name]);
  const isNetworkUp = network !== undefined && names(["net-list", "--name"]).includes(lab.network.name);
  const domains = new Set(names(["list", "--all", "--name"]));
  const running = new Set(names(["list", "--name"]));
  // A pool tells of files that are gone only when it looked again.
  virsh(["pool-refresh", lab.pool.name]);
  const volumes = names(["vol-list", lab.pool.name]).map((line) => line.split(/\s/)[0] ?? "");
  const base = volumes.find((volume) => volume.startsWith(lab.basePrefix));
  return {
    isKnown,
    network: (isNetworkUp ? network["incarnation"] : undefined) ?? randomUUID(),
    base: base?.slice(base.lastIndexOf("-") + 1) ?? randomUUID().slice(0, 8),
    machines: new Map(
      lab.machines.map(({ name, domain, disk, seed }) => {
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
