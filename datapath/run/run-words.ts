import { z } from "zod";
import type { Path, Run } from "./run.ts";

/** How packets between pods on different nodes had to look on the wire, as every node's plan says. */
const plannedWire = z.discriminatedUnion("pods", [
  z.object({ pods: z.literal("encapsulated"), protocol: z.enum(["vxlan", "geneve"]), port: z.int() }),
  z.object({ pods: z.literal("encrypted"), protocol: z.enum(["wireguard", "ipsec"]) }),
  z.object({ pods: z.literal("bare") }),
]);
export type PlannedWire = z.infer<typeof plannedWire>;

/** The planned wire of a run; absent where its plan does not say. */
export function wireOf(run: Pick<Run, "plan">): PlannedWire | undefined {
  return plannedWire.safeParse(run.plan[0]?.["wire"]).data;
}

const encryption = z.enum(["wireguard", "ipsec"]);

/** What encrypts packets between nodes, as it was asked for. */
export function encryptionOf({ datapath }: Pick<Run, "datapath">): z.infer<typeof encryption> | undefined {
  return encryption.safeParse(datapath["encryption"]).data;
}

const carriedRoutes = z.object({ kind: z.string() }).or(z.string().transform((kind) => ({ kind })));

/** Who carries the routes in native mode, where it is not each node itself: `router`, `bgp`. */
export function routesCarrier({ datapath }: Pick<Run, "datapath">): string | undefined {
  const kind = carriedRoutes.safeParse(datapath["routes"]).data?.kind;
  return datapath["mode"] !== "native" || kind === "direct" ? undefined : kind;
}

/** The datapath's short name, as options of the command line take it: `vxlan`, `native`, `native:router`. */
export function datapathName(run: Pick<Run, "datapath" | "plan">): string {
  const mode = z.string().safeParse(run.datapath["mode"]).data;
  const carrier = routesCarrier(run);
  if (mode !== undefined) return carrier === undefined ? mode : `${mode}:${carrier}`;
  const wire = wireOf(run);
  if (wire === undefined) return "datapath";
  return wire.pods === "bare" ? "native" : wire.protocol;
}

const properNames: Readonly<Record<string, string>> = {
  vxlan: "VXLAN",
  geneve: "Geneve",
  wireguard: "WireGuard",
  ipsec: "IPsec",
};

/** A short name as it is written in a text: `VXLAN`, `native:router`, `WireGuard`. */
export function inText(name: string): string {
  return properNames[name] ?? name;
}

const pathNames: Readonly<Record<Path, string>> = {
  podToPod: "pod to pod",
  nodeToNode: "node to node",
  podToPodSameNode: "pod to pod, same node",
};

/** In the order in which paths are shown. */
export const paths: readonly Path[] = ["podToPod", "nodeToNode", "podToPodSameNode"];

export function pathName(path: Path): string {
  return pathNames[path];
}

export function streamsName(streams: number): string {
  return streams === 1 ? "1 stream" : `${streams} streams`;
}
