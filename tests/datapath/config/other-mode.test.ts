import assert from "node:assert/strict";
import { inOtherMode } from "../../../datapath/config/other-mode.ts";

const strict = { kubeProxyReplacement: { mode: "strict", k8sServiceHost: "192.0.2.1" }, hubble: { enabled: false } };

describe("inOtherMode", () => {
  it("keeps the tuning, so that what is compared differs in nothing else", () => {
    const native = { mode: "native", routes: { kind: "bgp" }, ipv4NativeRoutingCIDR: "10.0.0.0/8", ...strict };
    assert.deepEqual(inOtherMode(native, { mode: "vxlan" }), { mode: "vxlan", ...strict });
    assert.deepEqual(
      inOtherMode({ mode: "vxlan", tunnelPort: 8473, ...strict }, { mode: "native", routes: "router" }),
      {
        mode: "native",
        routes: "router",
        ...strict,
      },
    );
  });

  it("keeps everything where the mode stays, but for the routes that are named", () => {
    const native = { mode: "native", routes: { kind: "direct" }, ipv4NativeRoutingCIDR: "10.0.0.0/8" };
    assert.deepEqual(inOtherMode(native, { mode: "native" }), native);
    assert.deepEqual(inOtherMode(native, { mode: "native", routes: "router" }), { ...native, routes: "router" });
  });
});
