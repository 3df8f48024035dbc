import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { run as runShape, runSchemaVersion, type Run } from "../datapath/run/run.ts";

/** A run and the file it was read from. */
export interface KeptRun {
  readonly file: string;
  readonly run: Run;
}

const versioned = z.object({ schemaVersion: z.int() });

/**
 * Parses the text of a run file.
 * @param file name for error messages
 * @throws an Error that names the file and each place in it that is wrong; a file of a newer shape says so
 */
export function parseRun(text: string, file: string): Run {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(
      `${file} is no run file: ${text.trim() === "" ? "it is empty" : `its JSON is broken (${String(error)})`}. ` +
        "Measure again: npm run lab",
      { cause: error },
    );
  }
  const version = versioned.safeParse(value).data?.schemaVersion;
  if (version === undefined) {
    throw new Error(`${file} is no run file: it has no schemaVersion. Runs are kept in .lab/runs.`);
  }
  if (version > runSchemaVersion) {
    throw new Error(
      `${file} has the shape of schema version ${version}; this program reads up to ${runSchemaVersion}. ` +
        "Read it with the version of the program that wrote it, or a newer one.",
    );
  }
  const parsed = runShape.safeParse(value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path: at, message }) => `  ${at.join(".") || "(top)"}: ${message}`);
    throw new Error(
      `${file} is no run file: ${issues.length === 1 ? "1 place" : `${issues.length} places`} in it ` +
        `${issues.length === 1 ? "is" : "are"} wrong (docs/run-schema.md describes the shape).\n${issues.join("\n")}`,
    );
  }
  return parsed.data;
}

/** Reads one run file. Rejects as parseRun throws, and where the file can't be read. */
export async function readRun(file: string): Promise<KeptRun> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${file} can't be read: ${reason}. Runs are kept in .lab/runs.`, { cause: error });
  });
  return { file, run: parseRun(text, file) };
}

/**
 * Reads every run in a folder, the newest first. Files that hold no readable run are named to `skipped` and left out.
 * Rejects where the folder has no run at all.
 */
export async function readRuns(folder: string, skipped: (reason: string) => void): Promise<KeptRun[]> {
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => name.endsWith(".json")).map((name) => path.join(folder, name));
  const read = await Promise.allSettled(files.map(readRun));
  const runs = read.flatMap((result) => {
    if (result.status === "fulfilled") return [result.value];
    skipped(result.reason instanceof Error ? result.reason.message : String(result.reason));
    return [];
  });
  if (runs.length === 0) throw new Error(`There is no run in ${folder} yet. Measure one: npm run lab`);
  return runs.toSorted((a, b) => b.run.time.localeCompare(a.run.time));
}
