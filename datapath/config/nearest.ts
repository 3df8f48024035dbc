import { distance } from "fastest-levenshtein";

/**
 * The candidate that a mistyped word most likely meant: the one with the fewest changed letters, upper or lower case alike, if
 * at most a third of the word, or two letters, have to change.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > 200) return undefined;
  const ranked = candidates
    .map((candidate) => ({ candidate, changes: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((one, other) => one.changes - other.changes);
  const best = ranked[0];
  return best !== undefined && best.changes <= Math.max(word.length > 3 ? 2 : 1, Math.floor(word.length / 3))
    ? best.candidate
    : undefined;
}
