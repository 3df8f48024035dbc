import { constants } from "node:os";

/**
 * The text as Go's `%q` prints it; error messages of the official plugin quote commands like this.
 * Printable characters outside ASCII stay as they are.
 */
export function goQuoted(text: string): string {
  const escapes: Record<string, string> = {
    '"': '\\"',
    "\\": "\\\\",
    "\u0007": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
  };
  const escaped = Array.from(text, (character) => {
    const known = escapes[character];
    if (known !== undefined) return known;
    if (!/[\p{C}\p{Z}]/u.test(character) || character === " ") return character;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return `"${escaped.join("")}"`;
}

const signalTexts: Partial<Record<NodeJS.Signals, string>> = {
  SIGABRT: "aborted",
  SIGALRM: "alarm clock",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
  SIGHUP: "hangup",
  SIGILL: "illegal instruction",
  SIGINT: "interrupt",
  SIGKILL: "killed",
  SIGPIPE: "broken pipe",
  SIGQUIT: "quit",
  SIGSEGV: "segmentation fault",
  SIGTERM: "terminated",
  SIGTRAP: "trace/breakpoint trap",
};

/** How a process ended, in Go's words: `exit status 3`, `signal: killed`. */
export function goExitText(status: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `exit status ${status ?? -1}`;
  return `signal: ${signalTexts[signal] ?? `signal ${constants.signals[signal]}`}`;
}

/** The text without one newline at its end, as Go's strings.TrimSuffix(text, "\n"). */
export function withoutFinalNewline(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
