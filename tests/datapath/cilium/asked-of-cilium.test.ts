import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { datapathAskedOfCilium } from "../../../datapath/cilium/asked-of-cilium.ts";
import { datapath as datapathSchema } from "../../../datapath/config/datapath.ts";

const recorded = (folder: string): Record<string, string> =>
  z
    .record(z.string(), z.string())
    .parse(
      JSON.parse(readFileSync(path.join("tests", "fixtures", "cilium-1.13.4", folder, "cilium-config.json"), "utf8")),
    );

describe("what a cluster's cilium-config asks for", () => {
  for (const [folder, meant] of [
    ["vxlan", { mode: "vxlan", l7Proxy: false }],
    ["native-direct", { mode: "native", l7Proxy: false }],
    ["native-bpf-masquerade-without-kpr", { mode: "native", l7Proxy: false, masquerade: { implementation: "bpf" } }],
  ] as const) {
    it(`is the datapath of which the real chart wrote it: ${folder}`, () => {
      assert.deepEqual(datapathAskedOfCilium(recorded(folder)), datapathSchema.parse(meant));
    });
  }

  const strictTuned = {
    tunnel: "disabled",
    "ipv4-native-routing-cidr": "10.0.0.0/8",
    "kube-proxy-replacement": "strict",
    "enable-bpf-masquerade": "true",
    "enable-bandwidth-manager": "true",
    "enable-bbr": "true",
    "bpf-lb-mode": "dsr",
    mtu: "9000",
    ipam: "kubernetes",
  };
  it("takes BPF host routing for asked where the agent would do it by itself, and routes for the network's where they are not the agents'", () => {
    const asked = datapathAskedOfCilium(strictTuned);
    assert.equal(asked.hostRouting, "bpf");
    assert.deepEqual(asked.bandwidthManager, { enabled: true, bbr: true });
    assert.equal(asked.mtuBytes, 9000);
    assert.equal(asked.loadBalancer.mode, "dsr");
    assert.ok(asked.mode === "native");
    assert.deepEqual(asked.routes, { kind: "router" });
    assert.equal(asked.ipv4NativeRoutingCIDR, "10.0.0.0/8");
    assert.equal(datapathAskedOfCilium({ ...strictTuned, "enable-host-legacy-routing": "true" }).hostRouting, "legacy");
  });

  it("takes BPF host routing for asked where nothing is masqueraded, as iptables then stands in no one's way", () => {
    const unmasked = { ...strictTuned, "enable-bpf-masquerade": "false", "enable-ipv4-masquerade": "false" };
    assert.equal(datapathAskedOfCilium(unmasked).hostRouting, "bpf");
    assert.equal(datapathAskedOfCilium({ ...unmasked, "enable-ipv4-masquerade": "true" }).hostRouting, "legacy");
    assert.equal(datapathAskedOfCilium({ ...unmasked, "kube-proxy-replacement": "disabled" }).hostRouting, "legacy");
    // What is written there is asked for, also where the agent will not do it.
    const written = { ...unmasked, "kube-proxy-replacement": "disabled", "enable-host-legacy-routing": "false" };
    assert.equal(datapathAskedOfCilium(written).hostRouting, "bpf");
  });

  it("takes Hubble's relay and UI for asked where they stand", () => {
    assert.deepEqual(datapathAskedOfCilium({ "enable-hubble": "true" }, { relay: true, ui: false }).hubble, {
      enabled: true,
      relay: true,
      ui: false,
    });
  });

  it("keeps the tuning where another mode is to be proven, and leaves what is of the old mode", () => {
    const asked = datapathAskedOfCilium({ ...recorded("vxlan"), "tunnel-port": "8473" }, undefined, {
      mode: "native",
      routes: "direct",
    });
    assert.ok(asked.mode === "native");
    assert.equal(asked.ipv4NativeRoutingCIDR, "10.42.0.0/16");
    assert.equal(asked.l7Proxy, false);
    const same = datapathAskedOfCilium({ ...recorded("vxlan"), "tunnel-port": "8473" }, undefined, { mode: "vxlan" });
    assert.ok(same.mode === "vxlan");
    assert.equal(same.tunnelPort, 8473);
  });

  it("says so where the keys are a later Cilium's, and where a word is none of 1.13", () => {
    assert.throws(
      () => datapathAskedOfCilium({ "routing-mode": "native" }),
      /1\.14 and later: 1\.13 agents ignore them/,
    );
    assert.throws(
      () => datapathAskedOfCilium({ "kube-proxy-replacement": "probe" }),
      /cilium-config asks for no datapath of Cilium 1\.13:\n {2}kubeProxyReplacement.*"probe".*\n.*--datapath/,
    );
  });
});
