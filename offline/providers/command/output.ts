import { StringDecoder } from "node:string_decoder";
import type { Operation } from "../definition.ts";
import { withoutFinalNewline } from "../go-text.ts";

/** What is shown while a command runs; the outputs always hold both streams. */
export type Logging = "stdout" | "stderr" | "stdoutAndStderr" | "none";

type Stream = "stdout" | "stderr";

/** Collects what a command prints, and shows it line by line while the command runs. */
export class CommandOutput {
  readonly #operation: Operation;
  readonly #shown: Record<Stream, boolean>;
  readonly #decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
  readonly #texts: Record<Stream, string> = { stdout: "", stderr: "" };
  readonly #unfinishedLines: Record<Stream, string> = { stdout: "", stderr: "" };
  #interleaved = "";

  constructor(operation: Operation, logging: Logging = "stdoutAndStderr") {
    this.#operation = operation;
    this.#shown = {
      stdout: logging === "stdout" || logging === "stdoutAndStderr",
      stderr: logging === "stderr" || logging === "stdoutAndStderr",
    };
  }

  add(stream: Stream, chunk: Buffer): void {
    this.#append(stream, this.#decoders[stream].write(chunk));
  }

  /** Shows the last line of each stream also when no newline ends it. */
  finish(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.#append(stream, this.#decoders[stream].end());
      if (this.#unfinishedLines[stream] !== "") this.#show(stream, this.#unfinishedLines[stream]);
      this.#unfinishedLines[stream] = "";
    }
  }

  /** Both streams in the order in which they came, for error messages. */
  get interleaved(): string {
    return this.#interleaved;
  }

  /** The `stdout` and `stderr` outputs: without the final newline. */
  outputs(): { stdout: string; stderr: string } {
    return { stdout: withoutFinalNewline(this.#texts.stdout), stderr: withoutFinalNewline(this.#texts.stderr) };
  }

  #append(stream: Stream, text: string): void {
    if (text === "") return;
    this.#texts[stream] += text;
    this.#interleaved += text;
    const lines = (this.#unfinishedLines[stream] + text).split("\n");
    this.#unfinishedLines[stream] = lines.pop() ?? "";
    for (const line of lines) this.#show(stream, line);
  }

  #show(stream: Stream, line: string): void {
    if (this.#shown[stream]) this.#operation.log("info", line.replace(/\r$/, ""), { ephemeral: true });
  }
}
