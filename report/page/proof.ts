import type { Check, Feature, Run } from "../../datapath/run/run.ts";
import { packetDiagram, pathDiagram, whyNoPacket } from "../diagram.ts";
import { agentWarnings, countChecks, datapathTitle } from "../format.ts";
import { html, type Markup } from "../markup.ts";
import type { Series } from "../series.ts";
import { drawings, list, scrolling, section, table, type Cell } from "./parts.ts";

/** Each datapath as the checks found it, drawn from its first run. */
export function datapathSection(series: readonly Series[]): Markup | undefined {
  const drawn = (title: string, drawing: Markup | undefined): { caption: string; drawing: Markup }[] =>
    drawing === undefined ? [] : [{ caption: title, drawing }];
  const ways = series.flatMap(({ runs: [run] }, index) => drawn(datapathTitle(run), pathDiagram(run, `path-${index}`)));
  const packets = series.flatMap(({ runs: [run] }, index) =>
    drawn(`${datapathTitle(run)}: on the wire`, packetDiagram(run, `packet-${index}`)),
  );
  // Ways beside ways and packets beside packets, so that datapaths compare at a glance; a single one's beside each other.
  const grids = series.length === 1 ? [[...ways, ...packets]] : [ways, packets];
  const missing = ways.length === 0 ? [] : series.flatMap(({ runs: [run] }) => whyNoPacket(run) ?? []);
  return section("datapaths", "The datapath as found", [
    ...grids.map(drawings),
    ...missing.map((why) => html`<p class="note">${why}</p>`),
  ]);
}

/** Feature by feature, datapaths beside each other: what was asked for, what is in effect, and why not the same. */
export function featureSection(series: readonly Series[]): Markup | undefined {
  const runs = series.map(({ runs: [run] }) => run);
  const names = [...new Set(runs.flatMap(({ features = [] }) => features.map(({ name }) => name)))];
  if (names.length === 0) return undefined;
  const cells = (feature: Feature | undefined): Markup =>
    html`<td>${feature?.requested ?? ""}</td>
      <td>${feature === undefined ? "" : inEffect(feature)}</td>`;
  const rows = names.map(
    (name) =>
      html`<tr>
        <th scope="row">${name}</th>
        ${runs.map(({ features = [] }) => cells(features.find((feature) => feature.name === name)))}
      </tr>`,
  );
  const both = html`<th scope="col">Requested</th>
    <th scope="col">In effect</th>`;
  const head =
    series.length === 1
      ? html`<tr>
          <th scope="col">Feature</th>
          ${both}
        </tr>`
      : html`<tr>
            <th scope="col" rowspan="2">Feature</th>
            ${series.map(({ name }) => html`<th scope="colgroup" colspan="2">${name}</th>`)}
          </tr>
          <tr>
            ${series.map(() => both)}
          </tr>`;
  const warnings = series.flatMap(({ name, runs: some }) =>
    [...new Set(some.flatMap(agentWarnings))].map((text) => `${name}, ${text}`),
  );
  return section("features", "Requested and in effect", [
    scrolling("Features of the datapath", head, rows),
    ...(warnings.length === 0 ? [] : [html`<h3>What agents logged</h3>`, list(warnings)]),
  ]);
}

function inEffect({ requested, effective, reason }: Feature): Cell {
  const why = reason === undefined ? undefined : html`<span class="why">${reason}</span>`;
  if (effective === requested) return html`${effective}${why}`;
  return effective === undefined
    ? html`<span class="unknown">not seen</span>${why}`
    : html`<span class="failed">${effective} (differs)</span>${why}`;
}

const outcome = (ok: Check["ok"]): Markup =>
  ok === true
    ? html`<span class="held">holds</span>`
    : ok === false
      ? html`<span class="failed">fails</span>`
      : html`<span class="unknown">not judged</span>`;

/** Every check of every run: those that don't hold open and first, the others behind one line a run. */
export function checkSection(series: readonly Series[]): Markup | undefined {
  return section(
    "checks",
    "Checks",
    series.flatMap(({ runs }) => {
      const [first] = runs;
      const counts = [...new Set(runs.map((run) => `${countChecks(run).held} of ${countChecks(run).all} hold`))];
      const times = runs.length === 1 ? "" : counts.length === 1 ? `, in each of ${runs.length} runs` : "";
      return [html`<h3>${datapathTitle(first)}: ${counts.join("; ")}${times}</h3>`, ...runs.map(checksOf)];
    }),
  );
}

function checksOf(run: Run): Markup {
  const headings = ["Node", "Check", "Expected", "Found", "Outcome"].map((text) => ({ text }));
  const row = ({ node, name, expected, found, ok }: Check): Cell[] => [node, name, expected, found, outcome(ok)];
  const failed = run.checks.filter(({ ok }) => ok === false);
  const unknown = run.checks.filter(({ ok }) => ok === null);
  const open =
    failed.length + unknown.length > 0
      ? table(`${run.id}: what does not hold`, headings, [...failed, ...unknown].map(row))
      : undefined;
  return html`${open}
    <details>
      <summary>The ${countChecks(run).held} checks that hold (${run.id})</summary>
      ${table(`${run.id}: what holds`, headings, run.checks.filter(({ ok }) => ok === true).map(row))}
    </details>`;
}
