import { cursorTo, clearLine } from "node:readline";
import type { Writable } from "node:stream";

/** How much will be measured, as the run's settings plan it. */
export interface PlannedWork {
  /** iperf3 samples in all, over every path, protocol and number of streams. */
  readonly samples: number;
  readonly durationSeconds: number;
}

/** Where progress is shown. */
export interface ProgressView {
  readonly stream: Writable;
  /** A live line that is written anew on a terminal; plain lines everywhere else. */
  readonly isTerminal: boolean;
  /** Width of the terminal in characters. */
  readonly columns: number;
  readonly planned?: PlannedWork;
  /** Milliseconds from any fixed moment; the clock unless a test gives its own. */
  readonly now?: () => number;
}

/** What an iperf3 sample takes beside its duration: connecting, the first packets, the exchange of results. */
const secondsBesideSample = 0.3;

/**
 * How long the samples that are left will take, in seconds: as long as those before took where any is done, else as planned.
 * @param done samples that are done
 * @param elapsedSeconds since the first sample began
 */
export function secondsLeft({ samples, durationSeconds }: PlannedWork, done: number, elapsedSeconds: number): number {
  const each = done > 0 ? elapsedSeconds / done : durationSeconds + secondsBesideSample;
  return Math.max(0, samples - done) * each;
}

/** `1:05`, or `8 s` below a minute. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const sampleLine = /\bsample (?<done>\d+) of (?<samples>\d+)\b/;
const bars = 20;
const refreshMilliseconds = 250;

/**
 * Shows progress lines until they end: each line for good, and on a terminal below them how much is done and how long the
 * rest takes. The count is read from lines that say `sample 3 of 12`; the estimate is the plan's until a sample is done.
 * Leaves nothing of the live line behind, also where the lines end in an error, which it rethrows.
 */
export async function showProgress(lines: AsyncIterable<string>, view: ProgressView): Promise<void> {
  const { stream, isTerminal, columns, now = performance.now.bind(performance) } = view;
  let planned = view.planned;
  let done = 0;
  let previousAt = now();
  let beganAt = previousAt;
  let current = "";
  const erase = (): void => {
    if (!isTerminal) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  const draw = (): void => {
    if (!isTerminal || current === "") return;
    erase();
    const left = planned === undefined ? undefined : secondsLeft(planned, done, (previousAt - beganAt) / 1000);
    const passed = (now() - previousAt) / 1000;
    const share = planned === undefined ? 0 : done / planned.samples;
    const bar = `${"█".repeat(Math.round(share * bars))}${"░".repeat(bars - Math.round(share * bars))}`;
    const status =
      left === undefined || planned === undefined
        ? `… ${duration(passed)}`
        : `${bar} ${done}/${planned.samples}  about ${duration(Math.max(0, left - passed))} left`;
    // A line as wide as the terminal would wrap, and then not be erased whole.
    stream.write(status.slice(0, Math.max(0, columns - 1)));
  };
  const timer = isTerminal ? setInterval(draw, refreshMilliseconds) : undefined;
  try {
    for await (const line of lines) {
      erase();
      stream.write(`${line}\n`);
      current = line;
      const at = now();
      const sample = sampleLine.exec(line)?.groups;
      if (sample === undefined) {
        // Until the first sample is done, the last line before it is when it began.
        if (done === 0) beganAt = at;
      } else {
        done = Number(sample["done"]);
        planned = { durationSeconds: planned?.durationSeconds ?? 0, samples: Number(sample["samples"]) };
      }
      previousAt = at;
      draw();
    }
  } finally {
    clearInterval(timer);
    erase();
  }
}
