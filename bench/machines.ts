import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { median } from "simple-statistics";
import { ensurePackages } from "../offline/packages.ts";
import { libvirtMachines } from "../datapath/config/libvirt.ts";
import { metaData, networkConfig, userData, type KeyPair } from "../datapath/libvirt/cloud-init.ts";
import { parseKeyPair } from "../datapath/libvirt/key-pair.ts";
import { libvirtLab, type LibvirtLab } from "../datapath/libvirt/lab.ts";
import { domainXml, networkXml, poolXml } from "../datapath/libvirt/xml.ts";
import {
  imageTools,
  libvirtTools,
  NetworkedStack,
  startLibvirt,
  testCloudImage,
  type PrivateLibvirt,
} from "../tests/vm/harness.ts";

const project = "lab-vm-test";
const rounds = 2;
const root = path.resolve(import.meta.dirname, "..");

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function newKey(comment: string): KeyPair {
  const script = path.join(root, "scripts", "libvirt", "ssh-key");
  return parseKeyPair(execFileSync(script, { env: { ...process.env, LAB_COMMENT: comment }, encoding: "utf8" }));
}

/**
 * Three machines ready through the engine, from nothing, against the same three by a script of virsh commands; both on a libvirt
 * that runs for them alone, with the tests' small image.
 */
export async function machinesUp(log: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("machines needs root, for a libvirt of its own: run it with sudo.");
  await ensurePackages([...libvirtTools, ...imageTools], log);
  const image = await testCloudImage(log);
  const libvirt = await startLibvirt();
  try {
    const section = {
      kind: "libvirt",
      uri: libvirt.uri,
      folder: path.join(libvirt.folder, "images"),
      image: { path: image },
      ...{ vcpus: 1, memoryMebibytes: 512, diskGibibytes: 4, accelerator: "qemu", packages: [], aptMirror: null },
    };
    const stack = await NetworkedStack.create(libvirt, path.join(root, "tests", "vm", "program"), project, "bench");
    stack.configure({ machines: section });
    const byHand = prepareByHand(libvirt, libvirtLab(libvirtMachines.parse(section), project, "hand"), section, image);
    const times: { lab: number[]; hand: number[] } = { lab: [], hand: [] };
    for (let round = 0; round < rounds; round += 1) {
      times.lab.push(await seconds(() => stack.up()));
      await stack.destroy();
      times.hand.push(await seconds(() => byHand("up")));
      await byHand("down");
    }
    const figures = (values: readonly number[]): string => values.map((value) => value.toFixed(1)).join(", ");
    console.log(`  lab    ${figures(times.lab)} s`);
    console.log(`  virsh  ${figures(times.hand)} s`);
    console.log(`  ratio  ${(median(times.lab) / median(times.hand)).toFixed(2)}`);
  } finally {
    await libvirt.stop();
  }
}

/** Writes the documents that bench/virsh-machines reads; gives what runs it. */
function prepareByHand(
  libvirt: PrivateLibvirt,
  lab: LibvirtLab,
  section: object,
  image: string,
): (job: "up" | "down") => Promise<string> {
  const config = libvirtMachines.parse(section);
  const documents = path.join(libvirt.folder, "documents");
  const write = (name: string, text: string, mode = 0o644): void => {
    const file = path.join(documents, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
  };
  const login = newKey("bench");
  write("key", login.privateKey, 0o600);
  write("pool.xml", poolXml(lab));
  write("network.xml", networkXml(lab, config, "one"));
  for (const machine of lab.machines) {
    const hostKey = newKey(machine.name);
    write(`${machine.name}.xml`, domainXml(lab, config, machine, "qemu", { incarnation: "one", start: "one" }));
    write(`${machine.name}.known`, `${machine.address} ${hostKey.publicKey}\n`);
    write(`${machine.name}.seed/user-data`, userData(config, machine, { authorizedKey: login.publicKey, hostKey }));
    write(`${machine.name}.seed/meta-data`, metaData(machine, "one"));
    write(`${machine.name}.seed/network-config`, networkConfig(lab, config, machine));
  }
  const variables = {
    URI: libvirt.uri,
    NAME: lab.pool.name,
    POOL: lab.pool.folder,
    IMAGE: image,
    USER_NAME: config.user,
    DOCUMENTS: documents,
    MACHINES: lab.machines.map(({ name, address }) => `${name} ${address}`).join("\n"),
  };
  const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return (job) => libvirt.run("env", ...words, path.join(import.meta.dirname, "virsh-machines"), job);
}
