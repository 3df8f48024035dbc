import * as pulumi from "@pulumi/pulumi";
import { K3s } from "../../../components/k3s.ts";
import { Hosts } from "../../../components/machines/hosts.ts";
import { Libvirt } from "../../../components/machines/libvirt.ts";
import { PodRouter } from "../../../components/pod-router.ts";
import { refusal } from "../../../components/refusal.ts";
import { parseLabConfig } from "../../../datapath/config/index.ts";
import { podCidrs } from "../../../verification/pod-cidrs/spec.ts";

const given = new pulumi.Config("lab-vm-test");
const k3s = given.getObject<object>("k3s");
const { config: whole } = parseLabConfig({
  machines: given.requireObject("machines"),
  datapath: { mode: "native", ...given.getObject<object>("datapath") },
  ...(k3s === undefined ? {} : { k3s }),
});
const { machines, ...config } = whole;
if (machines.kind !== "hosts" && machines.kind !== "libvirt") throw refusal(new Error("the tests give other kinds"));
const made =
  machines.kind === "hosts"
    ? new Hosts("machines", { ...config, machines, clean: config.k3s.clean, servers: config.k3s.servers })
    : new Libvirt("machines", { ...config, machines });
// As components/lab.ts joins them; what comes after K3s needs a Kubernetes that is none of a stand-in.
const cluster =
  k3s === undefined
    ? undefined
    : new K3s("k3s", { ...config, machines: made.machines, ownsMachines: machines.kind === "libvirt" });
// Which pod CIDRs nodes have, the tests say.
if ("router" in made) {
  new PodRouter("router", {
    datapath: config.datapath,
    router: made.router,
    nodes: made.machines,
    podCidrs: () => podCidrs.parse(given.requireObject("podCidrs")),
  });
}

export const facts = made.facts;
export const machineOutputs = made.machines.map(({ name, address, connection }) => ({
  name,
  address,
  connection: pulumi.secret(connection),
}));
export const kubeconfig = cluster?.kubeconfig;
