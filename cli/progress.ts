import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { clearLine, cursorTo } from "node:readline";
import type { Writable } from "node:stream";

/** How much will be measured. */
export interface PlannedWork {
  /** iperf3 samples in all, over every path, protocol and number of streams. */
  readonly samples: number;
  /** What one sample sends for, with its warm-up. */
  readonly durationSeconds: number;
}

/** The terminal that a live view is on. */
export interface Terminal {
  readonly stream: Writable;
  /** Its width in characters; asked anew for each line. */
  readonly columns: () => number;
  readonly planned?: PlannedWork;
  /** Milliseconds from any fixed moment; the clock unless a test gives its own. */
  readonly now?: () => number;
}

/** What an iperf3 sample takes beside its duration: connecting, the first packets, the exchange of results. */
const secondsBesideSample = 0.1;

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

/** Programs of this project print their progress with the seconds since they began in front (verification/program.ts). */
const ownLine = /^\[ *[\d.]+ s\] (?<text>.*)$/;
const ownLines = /^\[ *[\d.]+ s\] .*\n/gm;
const measuringLine = /^measuring: (?<samples>\d+) samples of (?<seconds>\d+) s$/;
const sampleLine = /^sample (?<done>\d+) of (?<samples>\d+): (?<text>.*)$/;
const bars = 20;
const refreshMilliseconds = 250;
const shownSeverities = ["error", "warning", "info", "info#err"];
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/**
 * Shows on a terminal what an operation of the engine does at this moment and how long it will still take, in one line that
 * is written anew; above it stay the steps of the verification, warnings and errors. Give `event` to the operation, and call
 * `end` when it is over: nothing of the live line is left behind.
 */
export class LiveView {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #beganAt: number;
  readonly #timer: NodeJS.Timeout;
  /** Names of what is being made, changed or removed, by URN. */
  readonly #running = new Map<string, string>();
  readonly #shown = new Set<string>();
  #finished = 0;
  /** What a running command said last. */
  #said = "";
  #planned: PlannedWork | undefined;
  #samplesDone = 0;
  #samplingBeganAt: number | undefined;
  #sampleEndedAt = 0;
  #frame = 0;
  #hasShownError = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#now = terminal.now ?? performance.now.bind(performance);
    this.#beganAt = this.#now();
    this.#planned = terminal.planned;
    this.#timer = setInterval(() => this.#draw(), refreshMilliseconds);
    this.#draw();
  }

  /** Whether the engine said what went wrong, if anything did. */
  get hasShownError(): boolean {
    return this.#hasShownError;
  }

  /** Takes in what a program of this project does, where no engine runs it: its name, then each of its lines of progress. */
  readonly begin = (name: string): void => {
    this.#running.set(name, name);
    this.#draw();
  };

  readonly progress = (text: string): void => {
    this.#progress(text);
    this.#draw();
  };

  /** Takes in one event of the engine. */
  readonly event = (event: EngineEvent): void => {
    const { resourcePreEvent, resOutputsEvent, resOpFailedEvent, diagnosticEvent } = event;
    if (resourcePreEvent !== undefined) {
      const { op, urn, new: made, old } = resourcePreEvent.metadata;
      // Components do nothing themselves, and a provider's own name says nothing to a person.
      const isPlugins = (made ?? old)?.custom === true && !urn.includes("::pulumi:providers:");
      if (isPlugins && !["same", "read", "refresh"].includes(op)) this.#running.set(urn, urn.split("::").at(-1) ?? urn);
    }
    const over = (resOutputsEvent ?? resOpFailedEvent)?.metadata.urn;
    if (over !== undefined && this.#running.delete(over)) this.#finished += 1;
    if (this.#running.size === 0) this.#said = "";
    if (diagnosticEvent !== undefined) this.#diagnose(diagnosticEvent);
    this.#draw();
  };

  /** Writes a line that stays. */
  print(line: string): void {
    this.erase();
    this.#terminal.stream.write(`${line}\n`);
    this.#draw();
  }

  /** Takes the live line away until it is next written: somebody else is about to write. */
  readonly erase = (): void => {
    cursorTo(this.#terminal.stream, 0);
    clearLine(this.#terminal.stream, 0);
  };

  end(): void {
    clearInterval(this.#timer);
    this.erase();
  }

  #diagnose({ severity, message, urn, ephemeral }: NonNullable<EngineEvent["diagnosticEvent"]>): void {
    const plain = message.replaceAll(/<\{%[^%]*%\}>/g, "").trim();
    // A failed command's error repeats all that the command said.
    const text = severity === "error" ? plain.replaceAll(ownLines, "") : plain;
    // The SDK's debugging lines are events too; the type does not know them.
    if (text === "" || !shownSeverities.includes(severity)) return;
    if (severity === "error" || severity === "warning") {
      this.#hasShownError ||= severity === "error";
      // A command's output comes once as the command's error and once more as the update's.
      if (this.#shown.has(text)) return;
      this.#shown.add(text);
      const about = urn?.split("::").at(-1);
      this.print(`${severity}${about === undefined || about === "" ? "" : ` (${about})`}: ${text}`);
      return;
    }
    const own = ownLine.exec(text)?.groups?.["text"];
    if (own !== undefined) this.#progress(own);
    else if (ephemeral === true) this.#said = text;
    else this.print(text);
  }

  #progress(text: string): void {
    const at = this.#now();
    const measuring = measuringLine.exec(text)?.groups;
    const sample = sampleLine.exec(text)?.groups;
    if (measuring !== undefined) {
      const durationSeconds = this.#planned?.durationSeconds ?? Number(measuring["seconds"]);
      this.#planned = { samples: Number(measuring["samples"]), durationSeconds };
      this.#samplesDone = 0;
      this.#samplingBeganAt = this.#sampleEndedAt = at;
    }
    if (sample === undefined) {
      this.#said = "";
      this.print(`  ${text}`);
      return;
    }
    this.#samplesDone = Number(sample["done"]);
    this.#sampleEndedAt = at;
    this.#said = sample["text"] ?? "";
    if (/: failed:/.test(this.#said)) this.print(`  ${text}`);
  }

  #draw(): void {
    this.erase();
    // A line as wide as the terminal would wrap, and then not be erased whole.
    this.#terminal.stream.write(this.#status().slice(0, Math.max(0, this.#terminal.columns() - 1)));
  }

  #status(): string {
    const samplingBeganAt = this.#samplingBeganAt;
    const planned = this.#planned;
    if (planned !== undefined && samplingBeganAt !== undefined && this.#running.size > 0) {
      const left = secondsLeft(planned, this.#samplesDone, (this.#sampleEndedAt - samplingBeganAt) / 1000);
      const passed = (this.#now() - this.#sampleEndedAt) / 1000;
      const filled = Math.round((this.#samplesDone / planned.samples) * bars);
      return [
        `${"█".repeat(filled)}${"░".repeat(bars - filled)} ${this.#samplesDone}/${planned.samples}`,
        `about ${duration(Math.max(0, left - passed))} left`,
        ...(this.#said === "" ? [] : [this.#said]),
      ].join("  ");
    }
    this.#frame = (this.#frame + 1) % frames.length;
    const [first, second, ...others] = this.#running.values();
    const names = [first, second].flatMap((name) => name ?? []).join(", ");
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    return [
      [frames[this.#frame], ...(names === "" && this.#finished === 0 ? ["planning"] : [])].join(" "),
      ...(names === "" ? (samplingBeganAt === undefined ? [] : ["writing down what was made"]) : [`${names}${more}`]),
      ...(this.#said === "" ? [] : [this.#said]),
      ...(this.#finished === 0 ? [] : [`${this.#finished} done`]),
      duration((this.#now() - this.#beganAt) / 1000),
      ...(planned === undefined || samplingBeganAt !== undefined
        ? []
        : [`then about ${duration(secondsLeft(planned, 0, 0))} of measuring`]),
    ].join("  ");
  }
}
