import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { parse, parseDocument } from "yaml";
import { z } from "zod";
import { cluster as clusterSchema } from "../../../datapath/config/cluster.ts";
import { datapath as datapathSchema } from "../../../datapath/config/datapath.ts";
import { checkLabConfig, labConfig } from "../../../datapath/config/index.ts";
import { k3s as k3sSchema, type K3sConfig } from "../../../datapath/config/k3s.ts";
import {
  agentSettings,
  inheritedSettings,
  k3sConfigText,
  k3sNodes,
  k3sSettings,
  k3sSettingsByOwner,
  settingOwners,
  type K3sSettings,
} from "../../../datapath/k3s/k3s-config.ts";
import { madeDatapath } from "../made-configs.ts";

const folder = path.resolve(import.meta.dirname, "../../fixtures/k3s");

/** A stack's config as it was written, and the file that each of its nodes has, looked at by a person. */
const golden = z.strictObject({
  written: z.record(z.string(), z.json()),
  nodes: z.record(z.string(), z.array(z.string())),
});

const machines = [1, 2, 3].map((number) => ({
  name: `node-${number}`,
  address: `192.0.2.1${number}`,
  reachedBy: `198.51.100.${number}`,
}));

function textsOf(written: unknown): Record<string, string[]> {
  const { datapath, cluster, k3s } = labConfig.parse(written);
  const input = { datapath, cluster, k3s, firstServerAddress: "192.0.2.11" };
  return Object.fromEntries(
    k3sNodes(machines, k3s.servers).map((node) => [
      `${node.name} ${node.role}`,
      k3sConfigText(k3sSettings(node, input)).trimEnd().split("\n"),
    ]),
  );
}

function settingsOf(datapath: unknown, k3s: Partial<K3sConfig> = {}): K3sSettings[] {
  const config = { ...k3sSchema.parse({}), ...k3s };
  const input = {
    datapath: datapathSchema.parse(datapath),
    cluster: clusterSchema.parse({}),
    k3s: config,
    firstServerAddress: "192.0.2.11",
  };
  return k3sNodes(machines, config.servers).map((node) => k3sSettings(node, input));
}

describe("K3s's config file", () => {
  for (const name of readdirSync(folder)) {
    it(`is as recorded in ${name}, for every role`, () => {
      const { written, nodes } = golden.parse(JSON.parse(readFileSync(path.join(folder, name), "utf8")));
      assert.deepEqual(textsOf(written), nodes);
    });
  }

  it("runs kube-proxy exactly where Cilium does not replace it", () => {
    fc.assert(
      fc.property(madeDatapath, (made) => {
        const datapath = datapathSchema.parse(made);
        const [server, ...agents] = settingsOf(made);
        assert.equal(
          server?.["disable-kube-proxy"],
          datapath.kubeProxyReplacement.mode === "strict" ? true : undefined,
        );
        assert.equal(server?.["flannel-backend"], "none");
        assert.equal(server["disable-network-policy"], true);
        assert.equal(server["cluster-cidr"], datapath.ipam.clusterPoolIPv4PodCIDR);
        for (const agent of agents) {
          const known = [...agentSettings, "node-name", "node-ip", "server", "node-taint", "token-file"];
          assert.deepEqual(
            Object.keys(agent).filter((key) => !known.includes(key)),
            [],
            "an agent ends on a setting that it does not know",
          );
        }
      }),
    );
  });

  it("is taken over by agents in part: what a change of the server's means for them", () => {
    const [, agent] = k3sNodes(machines, 1);
    const [server] = k3sNodes(machines, 1);
    assert.ok(server && agent);
    const of = (node: typeof agent, datapath: unknown): K3sSettings =>
      inheritedSettings(node, {
        datapath: datapathSchema.parse(datapath),
        cluster: clusterSchema.parse({}),
        k3s: k3sSchema.parse({}),
        firstServerAddress: "192.0.2.11",
      });
    assert.deepEqual(of(server, { mode: "native" }), {});
    assert.equal(of(agent, { mode: "native" })["disable-kube-proxy"], undefined);
    assert.equal(of(agent, { mode: "native", kubeProxyReplacement: "strict" })["disable-kube-proxy"], true);
  });

  it("holds no setting without an owner in the config", () => {
    const settings = [...settingsOf({ mode: "native", kubeProxyReplacement: "strict" }, { servers: 3 })];
    settings.push(...settingsOf({ mode: "vxlan", ipam: { clusterPoolIPv4MaskSize: 26 } }));
    for (const key of settings.flatMap((each) => Object.keys(each))) {
      assert.ok(settingOwners[key] !== undefined, `${key} has no owner`);
    }
  });

  it("takes no setting twice", () => {
    const k3s = k3sSchema.parse({ settings: { server: { "cluster-cidr": "10.0.0.0/8" } } });
    assert.throws(() => settingsOf({ mode: "vxlan" }, k3s), {
      message: "K3s's cluster-cidr is set by datapath and by k3s.settings: it has one owner.",
    });
  });

  it("holds free settings beside the others", () => {
    const k3s = k3sSchema.parse({
      settings: { server: { "etcd-expose-metrics": true }, agent: { "kubelet-arg": ["max-pods=50"] } },
    });
    const [server, agent] = settingsOf({ mode: "vxlan" }, k3s);
    assert.deepEqual(
      [server?.["etcd-expose-metrics"], server?.["kubelet-arg"], agent?.["kubelet-arg"]],
      [true, undefined, ["max-pods=50"]],
    );
  });

  it("is the same text for the same config, whatever the order it was written in", () => {
    const [one] = settingsOf({ mode: "vxlan" }, { disable: ["traefik", "servicelb", "traefik"] });
    const [other] = settingsOf({ mode: "vxlan" }, { disable: ["servicelb", "traefik"] });
    assert.ok(one && other);
    assert.equal(k3sConfigText(one), k3sConfigText(other));
  });

  it("gives every part of the config keys of its own", () => {
    const input = {
      datapath: datapathSchema.parse({ mode: "native", kubeProxyReplacement: "strict" }),
      cluster: clusterSchema.parse({}),
      k3s: k3sSchema.parse({ servers: 3 }),
      firstServerAddress: "192.0.2.11",
    };
    for (const node of k3sNodes(machines, 3)) {
      const keys = Object.values(k3sSettingsByOwner(node, input)).flatMap((part) => Object.keys(part));
      assert.equal(new Set(keys).size, keys.length);
    }
  });

  /** What YAML 1.1 takes for something else than a string, and what could end a quoted one. */
  const hostile = [
    "on",
    "no",
    "~",
    "null",
    "0600",
    "1:30",
    "0x1f",
    "1e3",
    ".inf",
    "<<",
    "=",
    "- a",
    "a: b",
    "#",
    "'",
    '"',
  ];
  hostile.push(
    "\\",
    "$(id)",
    "`id`",
    "!!python/object",
    "&a",
    "*a",
    "%YAML",
    "---",
    "a #b",
    " a ",
    "",
    "\u2028",
    "\ud83d\ude00",
  );
  const text = fc.oneof(fc.constantFrom(...hostile), fc.string(), fc.string({ unit: "binary" }));
  const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text));

  it("comes back from YAML as it went in, strings as strings", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/), value, { noNullPrototype: true }),
        (settings) => {
          const written = k3sConfigText(settings);
          assert.deepEqual(parse(written, { version: "1.1" }), settings);
          assert.deepEqual(parse(written), settings);
          assert.deepEqual(parseDocument(written).warnings, []);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("names the address under which the API is asked for only where that is one", () => {
    for (const [apiAddress, isGood] of [
      ["lab.example:6443", true],
      ["127.0.0.1", true],
      ["lab.example:65536", false],
      ["https://lab.example", false],
    ] as const) {
      assert.equal(k3sSchema.safeParse({ apiAddress }).success, isGood, apiAddress);
    }
  });

  it("can't be given control characters", () => {
    for (const wrong of ["a\nb", "a\u0000", "\u007f"]) {
      const { findings } = checkLabConfig({
        machines: { kind: "libvirt" },
        k3s: { settings: { server: { "node-label": [wrong] } } },
      });
      assert.match(findings[0]?.key ?? "", /^k3s\.settings\.server\.node-label/);
    }
  });
});

describe("The parts that machines play", () => {
  it("are servers first, then agents", () => {
    const roles = (servers: number): string[] => k3sNodes(machines, servers).map(({ role }) => role);
    assert.deepEqual(roles(1), ["first-server", "agent", "agent"]);
    assert.deepEqual(roles(3), ["first-server", "server", "server"]);
  });
});
