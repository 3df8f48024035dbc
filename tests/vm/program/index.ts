import * as pulumi from "@pulumi/pulumi";
import { Hosts } from "../../../components/machines/hosts.ts";
import { Libvirt } from "../../../components/machines/libvirt.ts";
import { parseLabConfig } from "../../../datapath/config/index.ts";
import { existingHosts } from "../../../datapath/config/hosts.ts";
import { libvirtMachines } from "../../../datapath/config/libvirt.ts";

const config = new pulumi.Config("lab-vm-test");
const given = config.requireObject<{ kind: string }>("machines");
const { datapath, strict } = parseLabConfig({ datapath: { mode: "native" } });
const made =
  given.kind === "hosts"
    ? new Hosts("machines", { machines: existingHosts.parse(given), datapath, strict })
    : new Libvirt("machines", { machines: libvirtMachines.parse(given), datapath, strict });

export const facts = made.facts;
export const machines = made.machines.map(({ name, address, connection }) => ({
  name,
  address,
  connection: pulumi.secret(connection),
}));
