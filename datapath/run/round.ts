import type { Path } from "./run.ts";

/** What decides how many samples a round has. */
export interface RoundSettings {
  /** Numbers of parallel TCP streams. */
  readonly streams: readonly number[];
  /** 0: no UDP samples. */
  readonly udpMegabitsPerSecond: number;
}

/** One kind of sample: what every round takes once. */
export interface SampleKind {
  readonly path: Path;
  readonly protocol: "tcp" | "udp";
  readonly streams: number;
}

/**
 * Every kind of sample in a round, in its order: TCP with each number of streams and UDP between the nodes. Within a node the
 * least number of streams is enough to tell what a pod's own devices cost.
 */
export function kindsOfRound(paths: readonly Path[], settings: RoundSettings): SampleKind[] {
  const across = paths.filter((path) => path !== "podToPodSameNode");
  const within = paths.filter((path) => path === "podToPodSameNode");
  const least = Math.min(...settings.streams);
  const tcp = settings.streams.flatMap((streams) =>
    [...across, ...(streams === least ? within : [])].map((path): SampleKind => ({ path, protocol: "tcp", streams })),
  );
  const udp = across.map((path): SampleKind => ({ path, protocol: "udp", streams: 1 }));
  return settings.udpMegabitsPerSecond === 0 ? tcp : [...tcp, ...udp];
}
