import assert from "node:assert/strict";
import fc from "fast-check";
import { checkLabConfig, labConfig, type LabConfig } from "../../../datapath/config/index.ts";
import {
  checkKernel,
  kernelFloors,
  kernelOfImage,
  kernelOfMachines,
  meetsFloor,
} from "../../../datapath/machines/kernel.ts";

function config(datapath: object, rest: object = {}): LabConfig {
  return labConfig.parse({ datapath: { mode: "native", ...datapath }, ...rest });
}

const strict = { kubeProxyReplacement: "strict" };
const bpf = { masquerade: { implementation: "bpf", ipv6: false } };
const bpfRouting = { ...strict, ...bpf, hostRouting: "bpf" };

/** The smallest datapath that asks for what a floor is about, with the last kernel below and the first one above. */
const cases: readonly (readonly [id: string, datapath: object, below: string, above: string])[] = [
  ["agent", {}, "4.8.17", "4.9.0"],
  ["agent-documented", {}, "4.19.56", "4.19.57"],
  ["node-port", { kubeProxyReplacement: { mode: "partial", nodePort: true } }, "4.16.18", "4.17.0"],
  ["socket-lb", { kubeProxyReplacement: { mode: "partial", socketLB: true } }, "5.1.15", "5.1.16"],
  ["socket-lb", { kubeProxyReplacement: { mode: "partial", socketLB: true } }, "5.0.21", "4.19.57"],
  ["host-routing", bpfRouting, "5.9.16", "5.10.0"],
  ["bandwidth-manager", { bandwidthManager: { enabled: true } }, "5.0.21", "5.1.0"],
  ["bbr", { ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } }, "5.17.15", "5.18.0"],
  ["big-tcp", { ...bpfRouting, ipv6: { enabled: true, bigTCP: true } }, "5.18.19", "5.19.0"],
  ["conntrack-bypass", { ...strict, ...bpf, conntrackBypass: true }, "5.0.21", "5.2.0"],
  ["xdp", { ...strict, loadBalancer: { acceleration: "native" } }, "5.1.15", "5.1.16"],
  ["wireguard", { encryption: "wireguard", l7Proxy: false }, "5.5.19", "5.6.0"],
  ["ipsec-tunnel", { mode: "vxlan", encryption: "ipsec" }, "4.18.20", "4.19.0"],
];

function ids(datapath: object, release: string): string[] {
  return checkKernel(config(datapath), release, "node-1").map(({ id }) => id);
}

describe("Kernel floors", () => {
  it("each have a case here", () => {
    assert.deepEqual([...new Set(cases.map(([id]) => id))].sort(), kernelFloors.map(({ id }) => id).sort());
  });

  for (const [id, datapath, below, above] of cases) {
    it(`${id}: ${below} is too old, ${above} is not`, () => {
      assert.ok(ids(datapath, below).includes(`kernel-${id}`));
      assert.ok(!ids(datapath, above).includes(`kernel-${id}`));
    });

    if (id.startsWith("agent")) continue;
    it(`${id}: ${below} is not looked at where nobody asked for it`, () => {
      assert.ok(!ids({ mode: "vxlan" }, below).includes(`kernel-${id}`));
    });
  }

  it("are all met by Ubuntu 23.04, whatever is asked for", () => {
    for (const [, datapath] of cases) assert.deepEqual(ids(datapath, "6.2.0-39-generic"), []);
  });

  it("are read from what uname -r prints, with whatever stands behind the version", () => {
    for (const release of ["5.18.0-1-generic", "5.18.0-rc1+", "5.18", "5.18.0_lts"]) {
      assert.equal(meetsFloor({ releases: ">=5.18.0" }, release), true, release);
    }
    assert.equal(meetsFloor({ releases: ">=5.18.0" }, "linux"), undefined);
  });
});

describe("A machine's kernel", () => {
  const bbr = { ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } };

  it("is named with machine, feature, what it needs, what happens, and the way out", () => {
    assert.deepEqual(checkKernel(config(bbr), "5.15.0-91-generic", "node-2"), [
      {
        id: "kernel-bbr",
        severity: "error",
        key: "datapath.bandwidthManager.bbr",
        message:
          "node-2 runs kernel 5.15.0-91-generic, and BBR needs 5.18: the agent ends with `Cannot enable --enable-bbr, needs kernel 5.18 or newer`.",
        wayOut: "Boot a newer kernel, or leave it out.",
      },
    ]);
  });

  it("is a warning where the agent goes on without the feature, and an error with strict", () => {
    const manager = { bandwidthManager: { enabled: true } };
    assert.deepEqual(
      checkKernel(config(manager), "5.0.0", "node-1").map(({ severity }) => severity),
      ["warning"],
    );
    assert.deepEqual(
      checkKernel(config(manager, { strict: true }), "5.0.0", "node-1").map(({ severity }) => severity),
      ["error"],
    );
  });

  it("is a warning where a distribution takes features back into old versions", () => {
    const [finding] = checkKernel(config(strict), "4.18.0-477.el8.x86_64", "node-1").filter(
      ({ id }) => id === "kernel-socket-lb",
    );
    assert.equal(finding?.severity, "warning");
    assert.match(finding.message, /The distribution may have taken back what it needs\.$/);
  });

  it("that names no version is said to be unchecked", () => {
    assert.deepEqual(checkKernel(config({}), "", "node-3"), [
      {
        id: "kernel-unknown",
        severity: "warning",
        key: "machines",
        message: 'node-3 says that its kernel is "", in which there is no version: nothing could be checked.',
        wayOut: "Check that uname -r works there.",
      },
    ]);
  });

  it("never makes the check throw, whatever it is called", () => {
    const asked = config(bbr);
    fc.assert(
      fc.property(fc.string(), (release) => {
        checkKernel(asked, release, "node-1");
      }),
      { numRuns: 500 },
    );
  });
});

describe("A known image", () => {
  it("tells its kernel by its file name", () => {
    assert.equal(kernelOfImage("https://example.org/releases/23.04/ubuntu-23.04-server-cloudimg-amd64.img"), "6.2");
    assert.equal(kernelOfImage("jammy-server-cloudimg-amd64.img"), "5.15");
    assert.equal(kernelOfImage("my-own.qcow2"), undefined);
  });

  it("is what the lab's own virtual machines start from, unless they are given another", () => {
    const own = (image: object): string | undefined =>
      kernelOfMachines(labConfig.parse({ machines: { kind: "libvirt", image } }).machines);
    assert.equal(own({}), "6.2");
    assert.equal(own({ path: "/images/jammy-server-cloudimg-amd64.img" }), "5.15");
    assert.equal(own({ path: "/images/my-own.qcow2" }), undefined);
    assert.equal(kernelOfMachines(labConfig.parse({}).machines), undefined);
  });

  it("is judged at preview already", () => {
    const machines = { kind: "libvirt", image: { path: "/images/jammy-server-cloudimg-amd64.img" } };
    const datapath = { mode: "native", ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } };
    const { findings } = checkLabConfig({ machines, datapath });
    assert.deepEqual(
      findings.filter(({ id }) => id.startsWith("kernel-")),
      [
        {
          id: "kernel-of-image-too-old",
          severity: "error",
          key: "datapath.bandwidthManager.bbr",
          message:
            "The machines' image runs kernel 5.15, and BBR needs 5.18: the agent ends with `Cannot enable --enable-bbr, needs kernel 5.18 or newer`.",
          wayOut: "Boot a newer kernel, or leave it out.",
        },
      ],
    );
  });
});
