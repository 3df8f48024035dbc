import assert from "node:assert/strict";
import fc from "fast-check";
import { chartKeys, chartTypeOf, type ChartValue } from "../../../datapath/cilium/chart.ts";
import { chartRows } from "../../../datapath/cilium/chart-rows.ts";
import { datapath as datapathSchema } from "../../../datapath/config/datapath.ts";
import {
  chartValue,
  freeValues,
  helmValues,
  sameValue,
  type HelmValues,
} from "../../../datapath/cilium/helm-values.ts";
import { madeDatapath } from "../made-configs.ts";

/** Every path of nested values, down to what the chart knows as one value. */
function paths(values: HelmValues, prefix = ""): [path: string, value: ChartValue][] {
  return Object.entries(values).flatMap(([key, value]): [string, ChartValue][] => {
    const path = `${prefix}${key}`;
    if (chartKeys.has(path) || typeof value !== "object" || value === null || Array.isArray(value)) {
      return [[path, value]];
    }
    return paths(value, `${path}.`);
  });
}

const stated = new Set(chartRows.filter(({ states }) => states === true).map(({ path }) => path));

describe("Helm values", () => {
  it("are in the chart's own keys and types, whatever is asked for", () => {
    fc.assert(
      fc.property(madeDatapath, (written) => {
        for (const [path, value] of paths(helmValues(datapathSchema.parse(written)))) {
          const key = chartKeys.get(path);
          assert.ok(key, `the chart has no ${path}`);
          const type = chartTypeOf(value);
          assert.ok(type !== undefined && key.types.includes(type), `${path} is no ${key.types.join(" or ")}`);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("leave out what is the chart's default, unless it is the choice that was made", () => {
    fc.assert(
      fc.property(
        madeDatapath.map((written) => ({ ...written, values: {} })),
        (written) => {
          for (const [path, value] of paths(helmValues(datapathSchema.parse(written)))) {
            if (stated.has(path)) continue;
            assert.ok(!sameValue(value, chartKeys.get(path)?.default), `${path} says no more than the chart`);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("never hold a key that only other versions have", () => {
    const keys = fc
      .sample(madeDatapath, 500)
      .flatMap((written) => Object.keys(helmValues(datapathSchema.parse(written))));
    assert.ok(keys.includes("tunnel"));
    for (const key of ["routingMode", "tunnelProtocol", "enableIPv4BIGTCP"]) assert.ok(!keys.includes(key), key);
  });

  it("are the same text for the same datapath, in whatever order it was written", () => {
    const one = {
      mode: "native",
      values: { podLabels: { b: "1", a: "2" }, "debug.enabled": true },
      hostRouting: "bpf",
    };
    const other = {
      hostRouting: "bpf",
      values: { debug: { enabled: true }, podLabels: { a: "2", b: "1" } },
      mode: "native",
    };
    assert.equal(
      JSON.stringify(helmValues(datapathSchema.parse(one))),
      JSON.stringify(helmValues(datapathSchema.parse(other))),
    );
  });

  it("have their keys in alphabetical order at every level", () => {
    const isSorted = (value: ChartValue): boolean => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return true;
      const keys = Object.keys(value);
      return (
        keys.every((key, index) => index === 0 || (keys[index - 1] ?? "") < key) && Object.values(value).every(isSorted)
      );
    };
    fc.assert(
      fc.property(madeDatapath, (written) => isSorted(helmValues(datapathSchema.parse(written)))),
      { numRuns: 300 },
    );
  });

  it("take the free-form ones nested, by dotted path, and inside the chart's open objects", () => {
    const datapath = datapathSchema.parse({
      mode: "vxlan",
      values: {
        "bpf.lbMapMax": 131072,
        bpf: { natMax: 1 },
        "podLabels.app.kubernetes.io/name": "x",
        podLabels: { y: "z" },
      },
    });
    const values = helmValues(datapath);
    assert.deepEqual(values["bpf"], { lbMapMax: 131072, masquerade: false, natMax: 1 });
    assert.deepEqual(values["podLabels"], { "app.kubernetes.io/name": "x", y: "z" });
  });

  it("state host routing only where the chart's silence would mean another", () => {
    const hostLegacyRouting = (written: object): unknown =>
      chartValue(datapathSchema.parse({ mode: "vxlan", ...written }), "bpf.hostLegacyRouting");
    assert.equal(hostLegacyRouting({}), null);
    assert.equal(hostLegacyRouting({ kubeProxyReplacement: "strict" }), true);
    assert.equal(hostLegacyRouting({ hostRouting: "bpf" }), false);
  });

  it("put Cilium's pool into the list, which wins over the chart's 10.0.0.0/8", () => {
    const values = helmValues(datapathSchema.parse({ mode: "vxlan", ipam: { clusterPoolIPv4PodCIDR: "10.8.0.0/16" } }));
    assert.deepEqual(values["ipam"], {
      mode: "cluster-pool",
      operator: { clusterPoolIPv4PodCIDRList: ["10.8.0.0/16"] },
    });
  });
});

describe("Free-form chart values", () => {
  it("are read down to what the chart knows, and no further", () => {
    assert.deepEqual(freeValues({ extraConfig: { "a.b": "c" }, bpf: { lbMapMax: 1, nonsense: { deep: 2 } } }), [
      { written: "extraConfig", path: "extraConfig", value: { "a.b": "c" } },
      { written: "bpf.lbMapMax", path: "bpf.lbMapMax", value: 1 },
      { written: "bpf.nonsense", value: { deep: 2 } },
    ]);
  });

  it("count for the agent where the typed part is silent, and never against it", () => {
    const datapath = datapathSchema.parse({ mode: "vxlan", values: { remoteNodeIdentity: false, tunnel: "disabled" } });
    assert.equal(chartValue(datapath, "remoteNodeIdentity"), false);
    assert.equal(chartValue(datapath, "tunnel"), "vxlan");
    assert.equal(chartValue(datapath, "ipv4.enabled"), true);
    assert.equal(helmValues(datapath)["tunnel"], "vxlan");
  });
});

describe("The chart's key list", () => {
  it("has every path that the typed part decides, each decided once", () => {
    const decided = chartRows.map(({ path }) => path);
    for (const path of decided) assert.ok(chartKeys.has(path), `the chart has no ${path}`);
    assert.equal(new Set(decided).size, decided.length);
  });

  // Where a container can't have SYS_RESOURCE, the agent starts only as privileged.
  it("has what the agent's container may do", () => {
    assert.deepEqual(freeValues({ securityContext: { privileged: true, priviledged: true } }), [
      { written: "securityContext.privileged", path: "securityContext.privileged", value: true },
      { written: "securityContext.priviledged", value: true },
    ]);
  });

  it("has no path inside another", () => {
    for (const path of chartKeys.keys()) {
      const parts = path.split(".");
      for (let length = 1; length < parts.length; length++) {
        assert.ok(!chartKeys.has(parts.slice(0, length).join(".")), path);
      }
    }
  });
});
