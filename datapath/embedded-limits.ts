import type { Datapath } from "./config/datapath.ts";
import type { Finding } from "./findings.ts";

/** Why the embedded lab can't carry a datapath that its kernel could, or nothing where it can. */
export function notCarriedByEmbeddedLab(datapath: Datapath): Finding | undefined {
  if (datapath.mode !== "native" || datapath.routes.kind !== "bgp") return undefined;
  return {
    id: "embedded-lab-runs-no-bgp",
    severity: "error",
    key: "datapath.routes.kind",
    message: "No BGP daemon runs in the embedded lab yet, so nobody would carry the routes.",
    wayOut: "Write router: nodes on subnets of their own, with a router that knows every pod CIDR.",
  };
}
