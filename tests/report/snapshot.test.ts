import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { compareAll } from "../../datapath/run/comparison.ts";
import { reportHtml } from "../../report/html.ts";
import { reportMarkdown } from "../../report/markdown.ts";
import { summary } from "../../report/terminal.ts";
import { clusterRun, contradictedRun, madeRun } from "../made-runs.ts";
import { all, parsePage, textOf } from "./dom.ts";

const folder = path.join(import.meta.dirname, "..", "fixtures", "report");
const isUpdate = process.env["UPDATE_SNAPSHOTS"] === "true";

/** What a reader meets on the page, in its order, element by element. */
function outline(page: string): string {
  const elements = all(
    parsePage(page),
    "h1, h2, h3, p, li, caption, tr, figcaption, figure title, summary, dt, dd, pre",
  );
  return `${elements
    .map((element) => {
      const name = element.tagName.toLowerCase();
      return `${name}: ${name === "tr" ? all(element, "th, td").map(textOf).join(" | ") : textOf(element)}`;
    })
    .join("\n")}\n`;
}

describe("what reports say, whole (npm run test:snapshots writes them anew)", () => {
  const compared = [madeRun(), madeRun({ mode: "native", seed: 3, startedAt: "2026-11-23T09:05:00.000Z" })] as const;
  const plain = { colour: false, columns: 100 };
  const reports: readonly [name: string, text: string][] = [
    ["compared.html.txt", outline(reportHtml([...compared], compareAll(compared)))],
    ["compared.md.txt", reportMarkdown([...compared], compareAll(compared))],
    ["contradicted.html.txt", outline(reportHtml([contradictedRun()]))],
    ["cluster.html.txt", outline(reportHtml([clusterRun()]))],
    ["cluster.terminal.txt", summary(clusterRun(), plain)],
  ];
  for (const [name, text] of reports) {
    it(name, async () => {
      const file = path.join(folder, name);
      if (isUpdate) {
        await mkdir(folder, { recursive: true });
        await writeFile(file, text);
      }
      assert.equal(text, await readFile(file, "utf8"));
    });
  }
});
