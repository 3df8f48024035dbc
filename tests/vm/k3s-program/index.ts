import * as pulumi from "@pulumi/pulumi";
import { K3s } from "../../../components/k3s.ts";
import { Hosts } from "../../../components/machines/hosts.ts";
import { parseLabConfig } from "../../../datapath/config/index.ts";

const given = new pulumi.Config("lab-k3s-test");
const config = parseLabConfig({
  machines: given.requireObject("machines"),
  datapath: given.requireObject("datapath"),
  k3s: given.requireObject("k3s"),
});
if (config.machines.kind !== "hosts") throw new Error("the test gives hosts");
const hosts = new Hosts("machines", { ...config, machines: config.machines, clean: config.k3s.clean });
const k3s = new K3s("k3s", { ...config, machines: hosts.machines, ownsMachines: false });
if (given.getBoolean("waitUntilReady") === true) k3s.waitUntilReady("nodes-ready", []);

export const kubeconfig = k3s.kubeconfig;
