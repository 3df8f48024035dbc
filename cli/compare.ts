import { duration } from "./progress.ts";
import type { Run } from "../datapath/run/run.ts";

/** The lab that a comparison switches from datapath to datapath. */
export interface SwitchedLab {
  /** Brings the lab to a datapath and proves and measures it anew. Rejects where that fails or the datapath is contradicted. */
  readonly measure: (datapath: string, occasion: string) => Promise<Run>;
  /** Brings the lab back to what it was before the first `measure`. */
  readonly restore: () => Promise<void>;
}

export interface CompareOptions {
  readonly datapaths: readonly string[];
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Milliseconds from any fixed moment; the clock unless a test gives its own. */
  readonly now?: () => number;
}

/** One turn of a comparison, also where it failed. */
export type Turn = { readonly datapath: string; readonly round: number } & (
  { readonly run: Run } | { readonly failure: string }
);

/**
 * The order of a comparison: every datapath once a round, and in the opposite order in every second round, so that what
 * drifts on the machines drifts over all of them alike.
 */
export function turns(datapaths: readonly string[], rounds: number): { datapath: string; round: number }[] {
  return Array.from({ length: rounds }, (_, index) => index + 1).flatMap((round) =>
    (round % 2 === 1 ? datapaths : datapaths.toReversed()).map((datapath) => ({ datapath, round })),
  );
}

/** What a comparison came to. */
export interface Taken {
  readonly taken: readonly Turn[];
  /** Whether the lab is as it was again. */
  readonly restored: boolean;
}

/**
 * Measures each datapath in its turn and leaves the lab as it was. A turn that fails is kept as failed and the others go on;
 * once `signal` aborts no further turn begins. Where the lab can't be brought back, that is said and what was measured is kept.
 */
export async function takeTurns(lab: SwitchedLab, options: CompareOptions): Promise<Taken> {
  const { datapaths, rounds, signal, log, now = performance.now.bind(performance) } = options;
  const beganAt = now();
  const planned = turns(datapaths, rounds);
  const taken: Turn[] = [];
  for (const [index, { datapath, round }] of planned.entries()) {
    if (signal.aborted) {
      log(`Interrupted: ${planned.length - index} of ${planned.length} turns were not taken.`);
      break;
    }
    // What a turn takes is known from the first on.
    const left = ((now() - beganAt) / 1000 / index) * (planned.length - index);
    const estimate = index === 0 ? "" : ` (about ${duration(left)} left)`;
    log(`Turn ${index + 1} of ${planned.length}: ${datapath}, round ${round} of ${rounds}${estimate}`);
    try {
      taken.push({ datapath, round, run: await lab.measure(datapath, `${Date.now()}-${index}`) });
    } catch (error) {
      const failure = messageOf(error);
      taken.push({ datapath, round, failure });
      log(`${datapath}, round ${round}: ${failure}`);
    }
  }
  log("Leaving the lab as it was …");
  try {
    await lab.restore();
    return { taken, restored: true };
  } catch (error) {
    log(`The lab could not be left as it was: ${messageOf(error)}`);
    return { taken, restored: false };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
