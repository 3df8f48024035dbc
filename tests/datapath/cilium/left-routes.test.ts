import assert from "node:assert/strict";
import { leftRoutes, routesLeftOn } from "../../../datapath/cilium/left-routes.ts";
import { datapath } from "../../../datapath/config/datapath.ts";

describe("Routes that a datapath before left", () => {
  it("are an agent's where the network routes now, and kube-router's where it does not run any more", () => {
    const owners = (routes?: unknown): string[] =>
      leftRoutes(datapath.parse(routes === undefined ? { mode: "vxlan" } : { mode: "native", routes }));
    assert.deepEqual(owners(), ["kube-router"]);
    assert.deepEqual(owners("direct"), ["kube-router"]);
    assert.deepEqual(owners("router"), ["agent", "kube-router"]);
    assert.deepEqual(owners("bgp"), ["agent"]);
    assert.deepEqual(owners({ kind: "bgp", speaker: "cilium", peer: { address: "192.0.2.1" } }), [
      "agent",
      "kube-router",
    ]);
  });

  it("are told by owner and next hop, for every peer's pod CIDR and never the node's own", () => {
    const peers = [1, 2].map((index) => ({
      name: `node-${index}`,
      address: `192.0.2.${index}`,
      podCidr: `10.42.${index}.0/24`,
    }));
    assert.deepEqual(routesLeftOn({ name: "node-1" }, peers, ["agent", "kube-router"]), [
      "10.42.2.0/24 via 192.0.2.2 proto boot",
      "10.42.2.0/24 proto 17",
    ]);
  });
});
