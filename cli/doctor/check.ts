/** One thing that a stack will need, and whether it is there. */
export interface NeedCheck {
  readonly name: string;
  /** error: `up` could not succeed. warning: it may, another way or more slowly. */
  readonly state: "ok" | "warning" | "error";
  readonly found: string;
  /** What to do about it; nothing where all is well. */
  readonly wayOut?: string;
}

export function ok(name: string, found: string): NeedCheck {
  return { name, state: "ok", found };
}

export function warning(name: string, found: string, wayOut: string): NeedCheck {
  return { name, state: "warning", found, wayOut };
}

export function missing(name: string, found: string, wayOut: string): NeedCheck {
  return { name, state: "error", found, wayOut };
}

/** `errors` leaves out what takes time and could end in a warning at worst. */
export type Depth = "errors" | "all";
