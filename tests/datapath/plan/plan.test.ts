import assert from "node:assert/strict";
import { checkLabConfig } from "../../../datapath/config/index.ts";
import { describeNodePlan, planFor, type NodePlan } from "../../../datapath/plan/plan.ts";

const nodes = [1, 2, 3].map((number) => ({
  name: `node-${number}`,
  address: `192.168.2.22${number}`,
  podCidr: `10.42.${number - 1}.0/24`,
  gateway: "192.168.2.1",
  device: "enp1s0",
}));

/** The first node's plan on machines with Cilium, NIC MTU 1500. */
function planned(datapath: unknown): NodePlan {
  const { config, findings } = checkLabConfig({ datapath });
  assert.ok(config, JSON.stringify(findings));
  const plan = planFor(config.datapath, nodes, { carrier: "cilium", underlayMtuBytes: 1500 })[0];
  assert.ok(plan);
  return plan;
}

describe("The plan of a node that runs Cilium", () => {
  it("sends peers' pod CIDRs to cilium_host in a tunnel, with the tunnel's MTU", () => {
    assert.deepEqual(describeNodePlan(planned({ mode: "geneve" })), {
      links: { cilium_vxlan: "absent", cilium_geneve: "geneve, UDP 6081, up" },
      routes: { "10.42.1.0/24": "dev cilium_host mtu 1450", "10.42.2.0/24": "dev cilium_host mtu 1450" },
      routerRoute: "none",
      pathMtuBytes: 1450,
      wire: "pod packets inside geneve, UDP 6081",
      masquerade: "10.42.0.0/24 to all but 10.42.0.0/24",
    });
  });

  it("has exactly one route a peer by that peer's address where routes are direct", () => {
    const plan = planned({ mode: "native" });
    assert.deepEqual(describeNodePlan(plan), {
      links: { cilium_vxlan: "absent", cilium_geneve: "absent" },
      routes: {
        "10.42.1.0/24": "via 192.168.2.222 dev enp1s0",
        "10.42.2.0/24": "via 192.168.2.223 dev enp1s0",
      },
      routerRoute: "none",
      pathMtuBytes: 1500,
      wire: "pod packets as they are",
      masquerade: "10.42.0.0/24 to all but 10.42.0.0/16 and, at first, the nodes",
    });
    assert.equal(plan.podRouteMtuBytes, undefined);
  });

  it("leaves routes to the gateway where a router or BGP's peer forwards, and to kube-router where that installs them", () => {
    const routes = (written: unknown): readonly string[] =>
      Object.values(describeNodePlan(planned({ mode: "native", routes: written })).routes);
    const gateway = "via 192.168.2.1 dev enp1s0 (default route)";
    assert.deepEqual(routes("router"), [gateway, gateway]);
    assert.deepEqual(routes({ kind: "bgp", speaker: "cilium", peer: { address: "192.168.2.1" } }), [gateway, gateway]);
    assert.deepEqual(routes("bgp"), ["via 192.168.2.222 dev enp1s0 (BGP)", "via 192.168.2.223 dev enp1s0 (BGP)"]);
  });

  for (const { written, pathMtuBytes, wire } of [
    { written: { mode: "native", encryption: "wireguard", l7Proxy: false }, pathMtuBytes: 1420, wire: "wireguard" },
    { written: { mode: "vxlan", encryption: "wireguard", l7Proxy: false }, pathMtuBytes: 1420, wire: "wireguard" },
    { written: { mode: "native", encryption: "ipsec" }, pathMtuBytes: 1423, wire: "ipsec" },
  ]) {
    it(`keeps room for ${wire} in ${written.mode}`, () => {
      const plan = planned(written);
      assert.equal(plan.pathMtuBytes, pathMtuBytes);
      assert.equal(plan.podRouteMtuBytes, pathMtuBytes);
      assert.deepEqual(plan.wire, { pods: "encrypted", protocol: wire });
    });
  }

  it("keeps room for tunnel and IPsec, one in the other", () => {
    const plan = planned({ mode: "vxlan", encryption: "ipsec" });
    assert.equal(plan.pathMtuBytes, 1373);
    assert.deepEqual(plan.wire, { pods: "encapsulated", protocol: "vxlan", port: 8472 });
  });

  it("masquerades to nodes as what is left of BPF masquerade does", () => {
    const strict = { mode: "strict", k8sServiceHost: "192.168.2.221", k8sServicePort: 6443 };
    const bpf = { implementation: "bpf" };
    const natively = (more: object): string => describeNodePlan(planned({ mode: "native", ...more })).masquerade;
    const exempt = "10.42.0.0/24 to all but 10.42.0.0/16 and";
    assert.equal(natively({ masquerade: bpf, kubeProxyReplacement: strict }), `${exempt} the nodes`);
    // Without NodePort in BPF the agent falls back to iptables: pods of some nodes reached others masqueraded.
    assert.equal(natively({ masquerade: bpf }), `${exempt}, at first, the nodes`);
  });

  it("does not encrypt in the embedded lab, where the kernel was told nothing of it", () => {
    const { config } = checkLabConfig({ datapath: { mode: "native", encryption: "wireguard", l7Proxy: false } });
    assert.ok(config);
    const [plan] = planFor(config.datapath, nodes, { carrier: "kernel", underlayMtuBytes: 1500 });
    assert.deepEqual(plan?.wire, { pods: "bare" });
    assert.equal(plan.pathMtuBytes, 1500);
    assert.deepEqual(plan.masquerade, { podCidr: "10.42.0.0/24", excludedCidr: "10.42.0.0/16" });
  });

  it("masquerades in a tunnel to all but its own pods, nodes in the pool among them", () => {
    const pool = { ipam: { clusterPoolIPv4PodCIDR: "192.168.0.0/16" } };
    assert.equal(planned({ mode: "vxlan", ...pool }).masquerade?.excludedCidr, "10.42.0.0/24");
    assert.equal(planned({ mode: "native", ...pool }).masquerade?.excludedCidr, "192.168.0.0/16");
  });
});
