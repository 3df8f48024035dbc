import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";

/** Where the scripts write down in which incarnation they made a namespace (scripts/namespaces/lib.sh). */
const markers = "/run/datapath-lab";
const namespaces = "/run/netns";

/**
 * Tells whether a namespace that an earlier `up` made still stands, and those that came with it. Gives the incarnation
 * written down beside it, or a new one where any is gone (a reboot, somebody's `ip netns del`): command resources never
 * look at what they made, so the changed value is what makes the engine build it again.
 */
export function incarnationOf(namespace: string, ...withIt: readonly string[]): string {
  try {
    const fileSystem = statSync("/proc/self/ns/net").dev;
    // A name whose namespace is gone is an ordinary file, on another file system than namespaces are.
    const stands = [namespace, ...withIt].every((name) => statSync(path.join(namespaces, name)).dev === fileSystem);
    const recorded = readFileSync(path.join(markers, namespace), "utf8").trim();
    if (stands && recorded !== "") return recorded;
  } catch {
    // No such namespace.
  }
  return randomUUID();
}

/**
 * Tells whether the BGP daemon that an earlier `up` started in a namespace still lives (scripts/namespaces/bgp.sh). Gives the
 * incarnation written down beside it, or a new one where it is gone.
 */
export function bgpIncarnationOf(namespace: string): string {
  try {
    const files = path.join(markers, `${namespace}.bird`);
    const process = readFileSync(`${files}.pid`, "utf8").trim();
    const recorded = readFileSync(files, "utf8").trim();
    if (readFileSync(`/proc/${process}/comm`, "utf8").trim() === "bird" && recorded !== "") return recorded;
  } catch {
    // No such daemon.
  }
  return randomUUID();
}

/**
 * Why this machine's kernel can't make links of a kind, or nothing where it can. Tried in a namespace that goes at once;
 * where that isn't allowed (no root), nothing is known and nothing is said: the check before the first resource is made
 * finds it then.
 */
export function missingLinkKind(kind: "vxlan" | "geneve"): string | undefined {
  try {
    execFileSync("unshare", ["--net", "true"], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  try {
    execFileSync("unshare", ["--net", "ip", "link", "add", "probe", "type", kind, "external"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    return `this machine's kernel has no ${kind} links (${said})`;
  }
}
