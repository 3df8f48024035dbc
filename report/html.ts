import type { Outcome } from "../datapath/run/comparison.ts";
import type { Run } from "../datapath/run/run.ts";
import { datapathTitle, kernelsOf, labTitle } from "./format.ts";
import { html } from "./markup.ts";
import { comparisonSections, glanceSection } from "./page/comparison.ts";
import { conditionSection, repeatSection } from "./page/conditions.ts";
import { latencySection } from "./page/latency.ts";
import { capitalised, day } from "./page/parts.ts";
import { checkSection, datapathSection, featureSection } from "./page/proof.ts";
import { throughputSection } from "./page/throughput.ts";
import { seriesOf, verdictLines } from "./series.ts";
import { style } from "./style.ts";

/**
 * One self-contained page about runs: no script, no reference to anything outside, readable on a phone and in the dark.
 * @param runs at least one; runs of the same datapath are shown together
 * @param outcomes what may be said of two datapaths each, or why nothing may be
 */
export function reportHtml(runs: readonly [Run, ...Run[]], outcomes: readonly Outcome[] = []): string {
  const series = seriesOf(runs);
  const [first] = runs;
  const title = new Intl.ListFormat("en-GB").format(
    series.map(({ runs: [run] }, index) => (index === 0 ? datapathTitle(run) : inSentence(datapathTitle(run)))),
  );
  const isProven = runs.every(({ verdict }) => verdict === "confirmed");
  const proof = [datapathSection(series), featureSection(series), checkSection(series)];
  const numbers = [throughputSection(series), latencySection(series)];
  const body = html`<header>
      <h1>${title}</h1>
      <p class="lead">
        ${capitalised(labTitle(first))}. ${first.nodes.length} nodes, kernel
        ${[...new Set(runs.map(kernelsOf))].join(" and ")}, ${day(first.time)}.
      </p>
      <ul class="verdicts">
        ${verdictLines(runs).map(
          ({ verdict, sentence }) =>
            html`<li>
              <strong class="verdict ${verdict}">${verdict}</strong>
              <span>${sentence}</span>
            </li>`,
        )}
      </ul>
    </header>
    <main>
      ${comparisonSections(outcomes)} ${glanceSection(series)} ${isProven ? [numbers, proof] : [proof, numbers]}
      ${conditionSection(series)} ${repeatSection(runs)}
    </main>
    <footer>
      <p>
        Intervals are 95 % confidence intervals by Student&#39;s t: of the mean; of pod divided by node on the
        logarithms, paired by round; of one datapath divided by another on the logarithms, by Welch. Failed samples are
        counted and are in no figure. CPU is iperf3&#39;s own count, in percent of one core.
      </p>
    </footer>`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${html`${title}`.text} – Datapath Lab</title>
<style>${style}</style>
</head>
<body>
${body.text}
</body>
</html>
`;
}

/** A title as it stands within a sentence: `native routing`, but still `VXLAN`. */
function inSentence(title: string): string {
  return title.startsWith("Native") ? `n${title.slice(1)}` : title;
}
