import { create } from "xmlbuilder2";
import { z } from "zod";
import type { LibvirtMachines } from "../config/libvirt.ts";
import type { LibvirtLab, LibvirtMachine } from "./lab.ts";

/** Namespace of what the lab writes into libvirt's metadata. */
const metadataNamespace = "urn:datapath-lab";

/** Software that runs a guest: the CPU's virtualization, or QEMU's translation of its instructions. */
export type Accelerator = "kvm" | "qemu";

type Elements = Record<string, unknown>;

function document(elements: Elements): string {
  return create(elements).end({ prettyPrint: true, headless: true });
}

/** A boolean as libvirt spells it. */
function onOff(value: boolean): string {
  return value ? "on" : "off";
}

function metadata(lab: LibvirtLab, attributes: Readonly<Record<string, string>>): Elements {
  const prefixed = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`@${name}`, value]));
  return { "lab:lab": { "@xmlns:lab": metadataNamespace, "@id": lab.id, "@place": lab.place, ...prefixed } };
}

/**
 * A volume of the lab's pool as a domain's disk. It is named by its file: virt-aa-helper, which tells AppArmor what a guest may open,
 * leaves out disks that are named by pool and volume (seen with libvirt 9.0; Launchpad 1677398).
 */
function diskSource(lab: LibvirtLab, volume: string): Elements {
  return { "@file": volumePath(lab, volume) };
}

function volumePath(lab: LibvirtLab, volume: string): string {
  return `${lab.pool.folder}/${volume}`;
}

/** The pool of volumes that is the lab's folder on the libvirt host. */
export function poolXml(lab: LibvirtLab): string {
  return document({
    pool: { "@type": "dir", name: lab.pool.name, target: { path: lab.pool.folder } },
  });
}

/**
 * The machines' network: a bridge on which they are on one L2, and NAT to everything else. libvirt masquerades by source, the
 * network's own addresses alone, and lets what stays on the bridge pass first, so that pod addresses reach the other nodes as
 * they are, also on hosts where bridged packets go through iptables.
 */
export function networkXml(lab: LibvirtLab, machines: LibvirtMachines, incarnation: string): string {
  const { name, bridge, gateway, prefixLength } = lab.network;
  return document({
    network: {
      name,
      metadata: metadata(lab, { incarnation }),
      forward: { "@mode": "nat" },
      bridge: { "@name": bridge, "@stp": "off", "@delay": "0" },
      mtu: { "@size": machines.mtuBytes },
      // Addresses are static; dnsmasq only answers DNS, for machines that have no servers of their own.
      dns: { "@enable": machines.nameservers === undefined ? "yes" : "no" },
      ip: { "@address": gateway, "@prefix": prefixLength },
    },
  });
}

/** A machine's own disk, which holds what it writes; all else is read from the base image. */
export function diskVolumeXml(
  lab: LibvirtLab,
  machine: LibvirtMachine,
  base: { readonly volume: string; readonly format: "qcow2" | "raw" },
  diskGibibytes: number,
): string {
  return document({
    volume: {
      name: machine.disk,
      capacity: { "@unit": "GiB", "#": diskGibibytes },
      target: { format: { "@type": "qcow2" } },
      backingStore: { path: volumePath(lab, base.volume), format: { "@type": base.format } },
    },
  });
}

function cpuOf(machines: LibvirtMachines, accelerator: Accelerator): Elements {
  const mode = machines.cpuMode !== "auto" ? machines.cpuMode : accelerator === "kvm" ? "host-passthrough" : "maximum";
  return { "@mode": mode, "@check": "none", ...(mode === "maximum" ? {} : { "@migratable": "on" }) };
}

function interfaceOf(lab: LibvirtLab, machines: LibvirtMachines, machine: LibvirtMachine): Elements {
  const { queues, checksumOffload, segmentationOffload, mergeReceiveBuffers } = machines.nic;
  // Segmentation needs checksums by the NIC: virtio drops the one with the other.
  const checksums = onOff(checksumOffload);
  const segments = onOff(checksumOffload && segmentationOffload);
  const offloads = { "@csum": checksums, "@tso4": segments, "@tso6": segments, "@ecn": segments, "@ufo": segments };
  return {
    "@type": "network",
    mac: { "@address": machine.macAddress },
    source: { "@network": lab.network.name },
    model: { "@type": "virtio" },
    driver: {
      ...(queues > 1 ? { "@queues": queues } : {}),
      host: {
        "@csum": checksums,
        "@gso": segments,
        "@tso4": segments,
        "@tso6": segments,
        "@ecn": segments,
        "@ufo": segments,
        "@mrg_rxbuf": onOff(mergeReceiveBuffers),
      },
      guest: offloads,
    },
    mtu: { "@size": machines.mtuBytes },
  };
}

/** What tells one making of a machine from the next. */
export interface DomainMarks {
  /** Of the machine: its disk, its seed and its definition. */
  readonly incarnation: string;
  /** Of its last start by the lab. */
  readonly start: string;
}

/** One machine: BIOS boot from its disk, its seed beside it, one virtio NIC, its serial console written to a file. */
export function domainXml(
  lab: LibvirtLab,
  machines: LibvirtMachines,
  machine: LibvirtMachine,
  accelerator: Accelerator,
  marks: DomainMarks,
): string {
  return document({
    domain: {
      "@type": accelerator,
      name: machine.domain,
      uuid: machine.uuid,
      metadata: metadata(lab, { incarnation: marks.incarnation, start: marks.start }),
      memory: { "@unit": "MiB", "#": machines.memoryMebibytes },
      vcpu: { "@placement": "static", "#": machines.vcpus },
      os: { type: { "@arch": "x86_64", "@machine": "q35", "#": "hvm" }, boot: { "@dev": "hd" } },
      features: { acpi: {}, apic: {} },
      cpu: cpuOf(machines, accelerator),
      clock: { "@offset": "utc" },
      on_poweroff: "destroy",
      on_reboot: "restart",
      on_crash: "destroy",
      devices: {
        disk: [
          {
            "@type": "file",
            "@device": "disk",
            driver: { "@name": "qemu", "@type": "qcow2", "@discard": "unmap" },
            source: diskSource(lab, machine.disk),
            target: { "@dev": "vda", "@bus": "virtio" },
          },
          {
            "@type": "file",
            "@device": "disk",
            driver: { "@name": "qemu", "@type": "raw" },
            source: diskSource(lab, machine.seed),
            target: { "@dev": "vdb", "@bus": "virtio" },
            readonly: {},
          },
        ],
        controller: { "@type": "usb", "@model": "none" },
        interface: interfaceOf(lab, machines, machine),
        serial: {
          "@type": "pty",
          log: { "@file": machine.serialLog, "@append": "off" },
          target: { "@type": "isa-serial", "@port": "0" },
        },
        console: { "@type": "pty", target: { "@type": "serial", "@port": "0" } },
        // Without it a guest waits for entropy before sshd has keys.
        rng: { "@model": "virtio", backend: { "@model": "random", "#": "/dev/urandom" } },
      },
    },
  });
}

/**
 * A guest of 512 bytes whose only act is to reset the machine, which ends it: it shows whether guests run on KVM. It has the CPU
 * that machines would have: a host may take a plain one and refuse its own.
 */
export function probeDomainXml(lab: LibvirtLab, machines: LibvirtMachines): string {
  const name = probeName(lab);
  return document({
    domain: {
      "@type": "kvm",
      name,
      metadata: metadata(lab, {}),
      memory: { "@unit": "MiB", "#": 16 },
      vcpu: 1,
      os: { type: { "@arch": "x86_64", "@machine": "pc", "#": "hvm" }, boot: { "@dev": "hd" } },
      cpu: cpuOf(machines, "kvm"),
      on_poweroff: "destroy",
      on_reboot: "destroy",
      on_crash: "destroy",
      devices: {
        disk: {
          "@type": "file",
          "@device": "disk",
          driver: { "@name": "qemu", "@type": "raw" },
          source: diskSource(lab, `${name}.img`),
          target: { "@dev": "hda", "@bus": "ide" },
        },
        memballoon: { "@model": "none" },
      },
    },
  });
}

export function probeName(lab: LibvirtLab): string {
  return `${lab.pool.name}-probe`;
}

const marked = z.object({ "lab:lab": z.record(z.string(), z.string()) });
const described = z.record(z.string(), z.object({ metadata: marked }));

/** What the lab wrote into a domain's or a network's metadata; nothing where it is not the lab's, or belongs to another place. */
export function marksOf(xml: string, lab: LibvirtLab): Readonly<Record<string, string>> | undefined {
  const read = described.safeParse(create(xml).end({ format: "object" }));
  const marks = read.success ? Object.values(read.data)[0]?.metadata["lab:lab"] : undefined;
  if (marks?.["@id"] !== lab.id || marks["@place"] !== lab.place) return undefined;
  return Object.fromEntries(Object.entries(marks).map(([name, value]) => [name.replace(/^@/, ""), value]));
}
