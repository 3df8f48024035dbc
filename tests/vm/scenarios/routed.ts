import assert from "node:assert/strict";
import { nodeBird } from "../../../datapath/bgp/bird.ts";
import { datapath as datapathSchema } from "../../../datapath/config/datapath.ts";
import { planFor } from "../../../datapath/plan/plan.ts";
import type { Section, VmLab } from "../vm-lab.ts";

const pool = "10.42.0.0/16";
const router = "192.168.123.254";
const byBgp = { mode: "native", routes: { kind: "bgp", speaker: "cilium", peer: { address: router, asn: 64_513 } } };

/** Stands for a pod of the node: an address of its pod CIDR, at which the node itself answers. */
function podAddress(index: number): string {
  return `10.42.${index}.1`;
}

/** Pings the third node's pod from the first one's, once. */
const pingPod = `ping -c 1 -W 10 -I ${podAddress(0)} ${podAddress(2)}`;
/** The answer of whoever the first hop is. */
const firstHop = `ping -c 1 -W 10 -t 1 -I ${podAddress(0)} ${podAddress(2)} || true`;

/** A router of the lab's own stands between the nodes' pods. */
export function podsAreRouted(lab: VmLab): void {
  const podCidrs = (): Section =>
    Object.fromEntries(lab.machines.map(({ name }, index) => [name, `10.42.${index}.0/24`]));

  it("get a router that knows every pod CIDR, beside them, which leaves them running", async () => {
    const boots = await lab.onAll("cat /proc/sys/kernel/random/boot_id");
    lab.stack.configure({
      machines: lab.made(),
      datapath: { mode: "native", routes: "router" },
      podCidrs: podCidrs(),
    });
    const { changes, printed } = await lab.up(lab.stack);
    assert.deepEqual([changes["replace"], changes["delete"]], [undefined, undefined]);
    assert.match(printed, new RegExp(`router: 10.42.2.0/24 via ${lab.machine("node-3").address}`));
    assert.deepEqual(await lab.onAll("cat /proc/sys/kernel/random/boot_id"), boots);
    await lab.onAll(
      lab.machines
        .map(
          ({ address }, index) =>
            `if ip -o address | grep -q ' ${address}/'; then ip address replace ${podAddress(index)}/32 dev lo; fi`,
        )
        .join("\n"),
    );
    assert.match(await lab.on("node-1", `ip route get ${podAddress(2)}`), new RegExp(`via ${router} dev eth0`));
    assert.match(await lab.on("node-1", pingPod), / 0% packet loss/);
    assert.match(await lab.on("node-1", firstHop), new RegExp(`From ${router} .*Time to live exceeded`));
  });

  it("keep their way to the router when they start again", async () => {
    const told = await lab.on(
      "node-1",
      `ip route delete ${pool}; systemctl is-enabled datapath-lab-routes; systemctl restart datapath-lab-routes; ip route show ${pool}`,
    );
    assert.match(told, new RegExp(`^enabled\\n${pool} via ${router} dev eth0 proto static`));
  });

  it("are told to the router by BGP, where BIRD stands for Cilium's speaker, and withdrawn", async () => {
    const datapath = datapathSchema.parse(byBgp);
    const nodes = lab.machines.map(({ name, address }, index) => ({
      ...{ name, address, podCidr: `10.42.${index}.0/24`, gateway: router },
    }));
    // The plan of a bare kernel has the sessions.
    const plans = planFor(datapath, nodes, { carrier: "kernel", underlayMtuBytes: 1500 });
    const speak = nodes.map(({ name, address }) => {
      const plan = plans.find(({ node }) => node === name)?.bgp;
      assert.ok(plan);
      const config = Buffer.from(nodeBird(plan, { address, pool })).toString("base64");
      return lab.on(name, `echo ${config} | base64 -d >/etc/bird/bird.conf; systemctl restart bird`);
    });
    await Promise.all(speak);
    lab.stack.configure({ machines: lab.made(), datapath: byBgp });
    const { changes, printed } = await lab.up(lab.stack);
    assert.deepEqual([changes["replace"], changes["create"], changes["delete"]], [undefined, 1, 1]);
    assert.match(printed, new RegExp(`router: 10.42.2.0/24 via ${lab.machine("node-3").address} dev eth0`));
    assert.match(await lab.on("node-1", pingPod), / 0% packet loss/);
    await lab.on("node-3", "systemctl stop bird");
    const said = await lab.on("node-1", `for _ in 1 2 3 4 5 6; do ${pingPod} && sleep 1 || break; done`);
    assert.match(said, new RegExp(`From ${router} .*Destination Host Unreachable`));
  });

  it("lose the router, and their way to it, with direct routes", async () => {
    lab.stack.configure({ machines: lab.made() });
    assert.equal((await lab.up(lab.stack)).changes["replace"], undefined);
    const left = `ip route show ${pool}; ls /etc/systemd/system/datapath-lab-routes.service /var/lib/datapath-lab/routes 2>&1 | grep -v 'No such' || true`;
    assert.deepEqual(
      await lab.onAll(left),
      lab.machines.map(() => ""),
    );
    assert.doesNotMatch(await lab.libvirt.virsh("list", "--all", "--name"), /router/);
    await lab.onAll("systemctl stop bird; ip address flush dev lo scope global || true");
  });
}
