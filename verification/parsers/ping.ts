/** Round-trip times in milliseconds that `ping` printed, one a reply. */
export function parseRoundTrips(text: string): number[] {
  return [...text.matchAll(/ time=(?<time>[\d.]+) ms/g)].map((match) => Number(match.groups?.["time"]));
}
