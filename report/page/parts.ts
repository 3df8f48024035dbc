import { html, type Markup } from "../markup.ts";

/** A part of the page with its own heading; nothing where there is nothing in it. */
export function section(id: string, title: string, content: readonly (Markup | undefined)[]): Markup | undefined {
  const parts = content.filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    ${parts}
  </section>`;
}

export interface Heading {
  readonly text: string;
  readonly isNumber?: boolean;
}

/** Headings of a table whose first column names the row and whose others are numbers. */
export function numberHeadings(first: string, others: readonly string[]): Heading[] {
  return [{ text: first }, ...others.map((text) => ({ text, isNumber: true }))];
}

export type Cell = string | Markup;

/** A table that scrolls sideways by itself where it is wider than the page; the first cell of a row names it. */
export function table(caption: string, headings: readonly Heading[], rows: readonly (readonly Cell[])[]): Markup {
  const alignment = (index: number): Markup | undefined =>
    headings[index]?.isNumber === true ? html` class="number"` : undefined;
  return scrolling(
    caption,
    html`<tr>
      ${headings.map(({ text }, index) => html`<th scope="col" ${alignment(index)}>${text}</th>`)}
    </tr>`,
    rows.map(
      ([name = "", ...cells]) =>
        html`<tr>
          <th scope="row">${name}</th>
          ${cells.map((cell, index) => html`<td${alignment(index + 1)}>${cell}</td>`)}
        </tr>`,
    ),
  );
}

/** The same with rows made elsewhere. */
export function scrolling(caption: string, head: Markup, body: readonly Markup[]): Markup {
  return html`<div class="scroll" role="group" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        ${head}
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div>`;
}

export function list(texts: readonly Cell[]): Markup {
  return html`<ul>
    ${texts.map((text) => html`<li>${text}</li>`)}
  </ul>`;
}

/** Drawings beside each other where there is room, each with its caption. */
export function drawings(
  figures: readonly { readonly caption: string; readonly drawing: Markup }[],
): Markup | undefined {
  if (figures.length === 0) return undefined;
  return html`<div class="${figures.length % 3 === 0 ? "grid of-three" : "grid"}">
    ${figures.map(
      ({ caption, drawing }) =>
        html`<figure>
          <figcaption>${caption}</figcaption>
          ${drawing}
        </figure>`,
    )}
  </div>`;
}

/** Tables of single runs, behind one line where a table of all of them stands above. */
export function folded(
  title: string,
  tables: readonly (Markup | undefined)[],
  isFolded: boolean,
): readonly (Markup | undefined)[] {
  const shown = tables.filter((one) => one !== undefined);
  if (!isFolded || shown.length === 0) return shown;
  return [
    html`<details>
      <summary>${title}</summary>
      ${shown}
    </details>`,
  ];
}

export function capitalised(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

/** Words as a sentence in which no line ends between a number and what belongs to it. */
export function sentence(words: string): string {
  return `${unbroken(capitalised(words))}.`;
}

function unbroken(words: string): string {
  return words.replaceAll(/(?<=\d) (?=%|Gbit|stream)/g, "\u00a0");
}

/** `2026-11-23 09:00 UTC` */
export function day(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}
