import { chown, mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { run as runSchema, type Run } from "../datapath/run/run.ts";

/**
 * Writes a run into `folder` as ID.json, whole or not at all, and gives the file's path. Throws where the run does not have
 * the documented shape.
 */
export async function keepRun(run: Run, folder: string): Promise<string> {
  const file = path.join(folder, `${run.id}.json`);
  const made = await mkdir(folder, { recursive: true });
  await writeFile(`${file}.partial`, `${JSON.stringify(runSchema.parse(run), undefined, 2)}\n`);
  await rename(`${file}.partial`, file);
  // Under sudo the files belong to the person who called it, not to root.
  const owner = { user: Number(process.env["SUDO_UID"]), group: Number(process.env["SUDO_GID"]) };
  if (Number.isInteger(owner.user) && Number.isInteger(owner.group)) {
    const entries = made === undefined ? [folder, file] : [made, folder, file];
    await Promise.all(entries.map((entry) => chown(entry, owner.user, owner.group)));
  }
  return file;
}
