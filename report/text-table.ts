/** One column of a table in text. */
export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  /** Left out, the highest number first, where the table is wider than it may be; a column without stays. */
  readonly optional?: number;
}

const gap = "  ";

/**
 * Lays out a table in aligned columns, without a border.
 * @param columns width of the terminal in characters: optional columns go until the table fits, the others stay
 * @returns lines without trailing blanks, the titles first
 */
export function textTable(table: readonly Column[], rows: readonly (readonly string[])[], columns: number): string[] {
  const widths = table.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => (row[index] ?? "").length)),
  );
  const widthOf = (indices: readonly number[]): number =>
    indices.reduce((sum, index) => sum + (widths[index] ?? 0) + gap.length, -gap.length);
  const byLeast = table
    .flatMap(({ optional }, index) => (optional === undefined ? [] : [{ index, optional }]))
    .toSorted((a, b) => b.optional - a.optional);
  let shown = table.map((_, index) => index);
  for (const { index } of byLeast) {
    if (widthOf(shown) <= columns) break;
    shown = shown.filter((other) => other !== index);
  }
  const line = (cells: readonly string[]): string =>
    shown
      .map((index) => {
        const cell = cells[index] ?? "";
        const width = widths[index] ?? 0;
        return table[index]?.align === "right" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join(gap)
      .trimEnd();
  return [line(table.map(({ title }) => title)), ...rows.map(line)];
}

/** Breaks text at blanks into lines of at most `columns` characters; a longer word stands alone. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(" ")) {
    if (current !== "" && current.length + 1 + word.length > columns) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  }
  return [...lines, current];
}
