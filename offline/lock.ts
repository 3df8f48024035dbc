import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** How often a waiting process looks whether the lock is free. */
const pollMilliseconds = 250;

/**
 * Runs `work` while no other process that uses the same lock file does. The file names its owner by process id and start
 * time, so that a lock whose owner was killed is taken over.
 * @param onWait called once, with the owner's process id, when another process holds the lock
 */
export async function withLock<Result>(
  file: string,
  work: () => Promise<Result>,
  onWait: (ownerId: number) => void,
): Promise<Result> {
  const own = `${process.pid} ${startTime(process.pid)}`;
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, own);
  try {
    let told = false;
    while (!tryLink(draft, file)) {
      const owner = readOwner(file);
      if (owner === undefined) continue;
      if (startTime(owner.id) !== owner.startTime) {
        removeStale(file, owner.text);
        continue;
      }
      if (!told) onWait(owner.id);
      told = true;
      await delay(pollMilliseconds);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

function readOwner(file: string): { id: number; startTime: string; text: string } | undefined {
  try {
    const text = readFileSync(file, "utf8");
    const [id = "", started = ""] = text.split(" ");
    return { id: Number(id), startTime: started, text };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Two processes may find the same stale lock; only the text that was judged may be removed. */
function removeStale(file: string, text: string): void {
  if (readOwner(file)?.text === text) rmSync(file, { force: true });
}

/** When the process was started, in the kernel's clock ticks since boot; "" when there is no such process. */
function startTime(processId: number): string {
  try {
    const status = readFileSync(`/proc/${processId}/stat`, "utf8");
    // The second field is the program's name in brackets and may hold spaces; the 22nd is the start time (proc(5)).
    return status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
