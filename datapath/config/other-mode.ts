/** Keys of the section `datapath` that only tunnels or only native routing have. */
const ofOneMode = ["tunnelPort", "ipv4NativeRoutingCIDR", "ipv6NativeRoutingCIDR", "routes"];

/** A datapath by its mode, and for native by who carries the routes. */
export interface NamedDatapath {
  readonly mode: string;
  readonly routes?: unknown;
}

/** The section in another mode, or with other routes: the tuning stays, what only the mode before has goes. */
export function inOtherMode(
  section: Readonly<Record<string, unknown>>,
  { mode, routes }: NamedDatapath,
): NamedDatapath {
  const kept = Object.entries(section).filter(([key]) => section["mode"] === mode || !ofOneMode.includes(key));
  return { ...Object.fromEntries(kept), mode, ...(routes === undefined ? {} : { routes }) };
}
