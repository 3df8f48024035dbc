import { setMaxListeners } from "node:events";

/**
 * The end of the engine, for a program that a command resource runs: aborts at a signal, and when whoever started this
 * process is gone. A killed engine signals nobody: that our parent changed, or that nobody reads us any more, is all there is
 * to see.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  // Every running command listens, and there may be many.
  setMaxListeners(0, controller.signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => controller.abort(new Error(`interrupted (${signal})`)));
  }
  const abandoned = (): void => controller.abort(new Error("the engine is gone"));
  process.stderr.on("error", abandoned);
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) abandoned();
  }, 500).unref();
  return controller.signal;
}

/** Prints progress on standard error, each line with the seconds since this was called. */
export function progressLines(): (line: string) => void {
  const began = Date.now();
  return (line) => {
    process.stderr.write(`[${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s] ${line}\n`);
  };
}
