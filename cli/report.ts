import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { compareAll, type Outcome } from "../datapath/run/comparison.ts";
import { datapathName } from "../datapath/run/run-words.ts";
import type { Run } from "../datapath/run/run.ts";
import { reportHtml } from "../report/html.ts";
import { reportMarkdown } from "../report/markdown.ts";
import { pictures } from "../report/picture.ts";
import { readRun, readRuns, type KeptRun } from "../report/run-file.ts";
import { comparisonText, summary, verdictText } from "../report/terminal.ts";

/** What to report on, and where to. */
export interface ReportOptions {
  /** Run files; none: the newest run of each datapath of the stack that was measured last. */
  readonly files: readonly string[];
  readonly runsFolder: string;
  /** Folder of report.html, report.md and the pictures. */
  readonly outputFolder: string;
  readonly colour: boolean;
  /** Width of the terminal in characters. */
  readonly columns: number;
  readonly json: boolean;
  /** Results, on standard output. */
  readonly print: (text: string) => void;
  /** A line for a person, on standard error. */
  readonly log: (line: string) => void;
}

/**
 * Writes the report of kept runs as HTML, Markdown and pictures, and prints it for the terminal, or as JSON.
 * @returns the file of the HTML page
 * @throws where there is no run, or a named file is none; a comparison that is refused is in the report with its reasons
 */
export async function report(options: ReportOptions): Promise<string> {
  const { files, runsFolder, outputFolder, log, print } = options;
  const kept =
    files.length > 0 ? await Promise.all(files.map(readRun)) : newestOfEachDatapath(await readRuns(runsFolder, log));
  const [first, ...others] = kept.map(({ run }) => run);
  if (first === undefined) throw new Error(`There is no run in ${runsFolder} yet. Measure one: npm run lab`);
  const runs: [Run, ...Run[]] = [first, ...others];
  const outcomes = compareAll(runs);
  const page = path.join(outputFolder, "report.html");
  await mkdir(outputFolder, { recursive: true });
  await writeWhole(page, reportHtml(runs, outcomes));
  await writeWhole(path.join(outputFolder, "report.md"), reportMarkdown(runs, outcomes));
  const drawn = pictures(runs);
  for (const { name, svg } of drawn) await writeWhole(path.join(outputFolder, name), svg);
  print(
    options.json ? `${JSON.stringify(jsonOf(outcomes, page, kept), undefined, 2)}\n` : textOf(kept, outcomes, options),
  );
  const beside = ["report.md for a pull request", ...drawn.map(({ name }) => name)];
  log(`Report: ${asSeenFromHere(page)} (and beside it ${beside.join(", ")})`);
  return page;
}

/** The newest run of each datapath, of the stack of the newest run: the oldest of them first. */
export function newestOfEachDatapath(newestFirst: readonly KeptRun[]): KeptRun[] {
  const stack = newestFirst[0]?.run.lab.stack;
  const newest = new Map<string, KeptRun>();
  for (const kept of newestFirst) {
    const name = datapathName(kept.run);
    if (kept.run.lab.stack === stack && !newest.has(name)) newest.set(name, kept);
  }
  return [...newest.values()].toReversed();
}

/** A single run at length; of several their verdicts and what may be said of them, the rest stands in the page. */
function textOf(kept: readonly KeptRun[], outcomes: readonly Outcome[], { colour, columns }: ReportOptions): string {
  const show = kept.length === 1 ? summary : verdictText;
  return [
    kept.map(({ run, file }) => show(run, { colour, columns, file: asSeenFromHere(file) })).join(""),
    ...outcomes.map((outcome) => comparisonText(outcome, { colour, columns })),
  ].join("\n");
}

/** A file below the working folder by its way from there, any other as it is. */
function asSeenFromHere(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith("..") ? file : relative;
}

function jsonOf(outcomes: readonly Outcome[], page: string, kept: readonly KeptRun[]): unknown {
  return {
    page,
    runs: kept.map(({ file, run: { id, verdict, datapath } }) => ({ file, id, verdict, datapath })),
    comparisons: outcomes.map((outcome) => {
      if ("refused" in outcome) return outcome;
      const { a, b, differences, caveats } = outcome;
      return { a: a.name, b: b.name, differences, caveats };
    }),
  };
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.partial`, text);
  await rename(`${file}.partial`, file);
}
