import assert from "node:assert/strict";
import { foreignAddresses, podAddresses } from "../../../datapath/cilium/pod-addresses.ts";
import { datapath } from "../../../datapath/config/datapath.ts";

describe("Pod addresses of a standing Cilium", () => {
  const wanted = podAddresses(datapath.parse({ mode: "native" }));
  const standing = { ipam: "cluster-pool", "cluster-pool-ipv4-cidr": wanted.pool };

  it("are no matter where they stay, or where none stands", () => {
    assert.equal(foreignAddresses(undefined, wanted), undefined);
    assert.equal(foreignAddresses(standing, wanted), undefined);
    assert.equal(
      foreignAddresses({ ...standing, "cluster-pool-ipv4-cidr": `10.9.0.0/16 ${wanted.pool}` }, wanted),
      undefined,
    );
    assert.equal(
      foreignAddresses({ ...standing, ipam: "kubernetes" }, { mode: "kubernetes", pool: "10.1.0.0/16" }),
      undefined,
    );
  });

  it("can't come from somebody else: refused with key and way out", () => {
    assert.match(
      foreignAddresses({ ...standing, ipam: "kubernetes" }, wanted) ?? "",
      /by ipam\.mode kubernetes, .* wants cluster-pool: .*\nWrite datapath\.ipam\.mode: kubernetes .*cilium\.strategy: replace/,
    );
    assert.match(
      foreignAddresses(standing, { ...wanted, pool: "10.9.0.0/16" }) ?? "",
      /out of 10\.42\.0\.0\/16, .* wants 10\.9\.0\.0\/16: .*\nWrite datapath\.ipam\.clusterPoolIPv4PodCIDR: 10\.42\.0\.0\/16, or cilium\.strategy/,
    );
  });
});
