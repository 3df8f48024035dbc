import type { Outcome } from "../../datapath/run/comparison.ts";
import { inText } from "../../datapath/run/run-words.ts";
import { glanceRows } from "../glance.ts";
import { html, type Markup } from "../markup.ts";
import type { Series } from "../series.ts";
import { capitalised, list, numberHeadings, section, sentence, table } from "./parts.ts";

/** What may be said of two datapaths each, or why nothing may be. */
export function comparisonSections(outcomes: readonly Outcome[]): (Markup | undefined)[] {
  const numbered = (id: string, index: number): string => (index === 0 ? id : `${id}-${index + 1}`);
  return outcomes.map((outcome, index) => {
    // What has to be known of several comparisons is said once, with the last of them.
    const later = outcomes.slice(index + 1).flatMap((other) => ("refused" in other ? [] : other.caveats));
    return comparisonSection(outcome, numbered("comparison", index), outcomes.length, later);
  });
}

function comparisonSection(
  comparison: Outcome,
  id: string,
  count: number,
  saidLater: readonly string[],
): Markup | undefined {
  if ("refused" in comparison) {
    const which = `${inText(comparison.b)} and ${inText(comparison.a)}`;
    return section(id, count === 1 ? "Not comparable" : `Not comparable: ${which}`, [
      html`<p>These runs are shown beside each other, but no difference between them means anything:</p>`,
      list(comparison.refused),
    ]);
  }
  const { a, b, differences, caveats } = comparison;
  const [headline, ...others] = differences.filter(({ path }) => path === "podToPod");
  return section(id, count === 1 ? "What the numbers allow to say" : `${capitalised(b.label)} against ${a.label}`, [
    headline === undefined ? undefined : html`<p class="headline">${sentence(headline.words)}</p>`,
    others.length === 0 ? undefined : list(others.map(({ words }) => sentence(words))),
    ...caveats.filter((caveat) => !saidLater.includes(caveat)).map((caveat) => html`<p class="note">${caveat}</p>`),
  ]);
}

/** Every datapath's medians in one small table. */
export function glanceSection(series: readonly Series[]): Markup | undefined {
  const rows = series.length < 2 ? [] : glanceRows(series);
  if (rows.length === 0) return undefined;
  const names = series.map(({ name }) => name);
  return section("glance", "At a glance", [
    table(
      `Medians of ${series.length} datapaths`,
      numberHeadings("Median", names),
      rows.map(({ name, cells }) => [name, ...cells]),
    ),
  ]);
}
