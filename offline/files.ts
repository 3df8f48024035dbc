import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

export function searchPath(): string[] {
  return (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
}

export function onPath(program: string): string | undefined {
  return searchPath()
    .map((folder) => path.join(folder, program))
    .find(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export function removeDrafts(goal: string): void {
  const folder = path.dirname(goal);
  if (!existsSync(folder)) return;
  const drafts = readdirSync(folder).filter((name) => name.startsWith(`${path.basename(goal)}.`));
  for (const name of drafts) rmSync(path.join(folder, name), { recursive: true, force: true });
}

export function replaceLink(target: string, link: string): void {
  if (existsSync(link) && realpathSync(link) === realpathSync(target)) return;
  const draft = `${link}.${process.pid}`;
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  renameSync(draft, link);
}

export function writeAtomically(file: string, text: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}
