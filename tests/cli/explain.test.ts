import assert from "node:assert/strict";
import { z } from "zod";
import { explain } from "../../cli/explain.ts";

function lines(config: unknown): string[] {
  return explain({ config, json: false }).text.split("\n");
}

const explained = z.strictObject({
  datapath: z.looseObject({ mode: z.string() }).nullable(),
  findings: z.array(
    z.strictObject({
      id: z.string(),
      severity: z.enum(["error", "warning"]),
      key: z.string(),
      message: z.string(),
      wayOut: z.string(),
    }),
  ),
  features: z.array(z.looseObject({ name: z.string(), requested: z.string(), effective: z.string() })).nullable(),
  helmValues: z.record(z.string(), z.json()).nullable(),
  plan: z.array(z.looseObject({ node: z.string() })).nullable(),
});

function json(config: unknown): z.infer<typeof explained> & { exitCode: 0 | 1 } {
  const { text, exitCode } = explain({ config, json: true });
  return { ...explained.parse(JSON.parse(text)), exitCode };
}

describe("explain", () => {
  it("prints features beside the chart's defaults, Helm values and the plan, as aligned tables", () => {
    const { text, exitCode } = explain({
      config: { machines: { kind: "namespaces", count: 2 }, datapath: { mode: "geneve" } },
      json: false,
    });
    assert.equal(exitCode, 0);
    assert.equal(
      text,
      `geneve, on machines of kind namespaces

Features
  feature                  chart's default  requested       in effect       why
  routing                  VXLAN            Geneve          Geneve
  kube-proxy replacement   disabled         disabled        disabled
  masquerading             iptables, IPv4   iptables, IPv4  iptables, IPv4
  host routing             legacy           legacy          legacy
  bandwidth manager        off              off             off
  BBR                      off              off             off
  IPv6                     off              off             off
  IPv6 BIG TCP             off              off             off
  load balancer mode       SNAT             SNAT            SNAT
  load balancer algorithm  random           random          random
  XDP acceleration         off              off             off
  conntrack bypass         off              off             off
  endpoint routes          off              off             off
  encryption               off              off             off
  L7 proxy                 on               on              off             No Cilium runs in the embedded lab.
  Hubble                   on               on              off             No Cilium runs in the embedded lab.
  Hubble relay             off              off             off
  Hubble UI                off              off             off

Helm values for Cilium 1.13.4, of no use in the embedded lab
  bpf:
    masquerade: false
  ipam:
    mode: cluster-pool
    operator:
      clusterPoolIPv4PodCIDRList:
        - 10.42.0.0/16
  kubeProxyReplacement: disabled
  operator:
    replicas: 2
  rollOutCiliumPods: true
  tunnel: geneve
  updateStrategy:
    rollingUpdate:
      maxUnavailable: 100%
    type: RollingUpdate

Plan: links
  node    link           state
  node-1  cilium_vxlan   absent
          cilium_geneve  geneve, UDP 6081, up
  node-2  cilium_vxlan   absent
          cilium_geneve  geneve, UDP 6081, up

Plan: routes to the other nodes' pods
  node    destination   route
  node-1  10.42.1.0/24  via 10.42.1.1 dev cilium_geneve mtu 1450 to 172.30.0.6
  node-2  10.42.0.0/24  via 10.42.0.1 dev cilium_geneve mtu 1450 to 172.30.0.2

Plan: packets between pods on different nodes
  node    path MTU    on the wire                          masqueraded                           router's route
  node-1  1450 bytes  pod packets inside geneve, UDP 6081  10.42.0.0/24 to all but 10.42.0.0/16  none
  node-2  1450 bytes  pod packets inside geneve, UDP 6081  10.42.1.0/24 to all but 10.42.0.0/16  none
`,
    );
  });

  it("names the node where Cilium will choose its pod CIDR, and the kernel of a known image", () => {
    const printed = lines({ machines: { kind: "libvirt", count: 2 }, datapath: { mode: "native" } });
    for (const line of [
      "  The machines' image has kernel 6.2; running machines are asked again before Cilium is installed.",
      "Helm values for Cilium 1.13.4",
      "  node-1  pod CIDR of node-2  via 192.168.123.12 dev eth0",
    ]) {
      assert.ok(printed.includes(line), `no line: ${line}`);
    }
  });

  it("shows existing hosts by the addresses that they reach each other by", () => {
    const hosts = [
      { name: "one", address: "192.0.2.1" },
      { name: "two", address: "198.51.100.2", nodeAddress: "192.0.2.2" },
    ];
    const printed = lines({ machines: { kind: "hosts", hosts }, datapath: { mode: "native" } });
    assert.ok(printed.includes("  one   pod CIDR of two  via 192.0.2.2 dev eth0"));
    assert.ok(printed.includes("  Kernels are checked on the machines, before Cilium is installed."));
  });

  it("prints warnings with what will really happen, and goes on", () => {
    const printed = lines({ datapath: { mode: "native", hostRouting: "bpf" } });
    const at = printed.indexOf("warning: datapath-lab:datapath.hostRouting");
    assert.ok(at > 0);
    assert.match(printed[at + 1] ?? "", /The agent falls back to legacy host routing/);
    assert.ok(printed.includes("Plan: links"));
  });

  it("prints every error with key, reason and way out, and nothing that would not be", () => {
    const { text, exitCode } = explain({
      config: {
        datapath: { mode: "vxlan", conntrackBypass: true, hubble: { ui: true }, values: { routingMode: "native" } },
      },
      json: false,
    });
    assert.equal(exitCode, 1);
    for (const key of ["datapath.conntrackBypass", "datapath.hubble.ui", "datapath.values.routingMode"]) {
      assert.ok(text.includes(`error: datapath-lab:${key}\n`), key);
    }
    assert.ok(text.endsWith("\nNothing would be created.\n"));
    assert.ok(!text.includes("Plan:"));
  });

  it("names keys as the stack config of the project spells them", () => {
    const { text } = explain({ config: { datapath: { mode: "none" } }, json: false, project: "mine" });
    assert.ok(text.includes("error: mine:datapath.mode\n"), text);
  });

  it("gives programs datapath, findings, features, values and plan", () => {
    const { datapath, findings, features, helmValues, plan, exitCode } = json({
      datapath: { mode: "native", hostRouting: "bpf" },
    });
    assert.equal(exitCode, 0);
    assert.equal(datapath?.mode, "native");
    assert.ok(findings.some(({ id, severity }) => id === "bpf-host-routing-falls-back" && severity === "warning"));
    assert.equal(features?.find(({ name }) => name === "host routing")?.effective, "legacy");
    assert.equal(helmValues?.["tunnel"], "disabled");
    assert.deepEqual(
      plan?.map(({ node }) => node),
      ["node-1", "node-2", "node-3"],
    );
  });

  it("gives programs the datapath that broke a rule, and no values or plan of it", () => {
    const { datapath, findings, helmValues, plan, features, exitCode } = json({
      datapath: { mode: "vxlan", conntrackBypass: true },
    });
    assert.equal(exitCode, 1);
    assert.equal(datapath?.mode, "vxlan");
    assert.deepEqual(
      findings.filter(({ severity }) => severity === "error").map(({ id }) => id),
      ["conntrack-bypass-without-tunnel"],
    );
    assert.deepEqual([features, helmValues, plan], [null, null, null]);
  });

  it("gives programs no datapath where it could not be read", () => {
    for (const config of [{ datapath: { mode: "nativ" } }, [], "vxlan", 7]) {
      const { datapath, findings, exitCode } = json(config);
      assert.equal(exitCode, 1, JSON.stringify(config));
      assert.equal(datapath, null);
      assert.ok(findings.length > 0);
    }
  });

  it("exits with 1 for a warning under strict", () => {
    assert.equal(
      explain({ config: { strict: true, datapath: { mode: "vxlan", hostRouting: "bpf" } }, json: false }).exitCode,
      1,
    );
    assert.equal(explain({ config: { datapath: { mode: "vxlan", hostRouting: "bpf" } }, json: false }).exitCode, 0);
  });

  it("takes an empty config for the defaults", () => {
    assert.equal(explain({ config: {}, json: false }).exitCode, 0);
  });

  it("prints the values that the release is given, and says where the lab gives none", () => {
    const machines = { kind: "hosts", hosts: ["a", "b"].map((name, at) => ({ name, address: `192.0.2.${at + 1}` })) };
    const { helmValues } = json({ machines, cilium: { rollOut: "node-by-node" } });
    assert.deepEqual(helmValues?.["updateStrategy"], { rollingUpdate: { maxUnavailable: 1 }, type: "RollingUpdate" });
    const unmanaged = lines({ machines: { kind: "none" }, cilium: { manage: false } });
    assert.ok(
      unmanaged.includes("Helm values for Cilium 1.13.4, which the lab does not apply (cilium.manage: false)"),
      unmanaged.join("\n"),
    );
  });
});
