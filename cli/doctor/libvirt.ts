import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { freemem, networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { askLibvirt } from "../../components/machines/libvirt-host.ts";
import { expandHome } from "../../components/local-file.ts";
import { containsAddress } from "../../datapath/cidr.ts";
import type { Datapath } from "../../datapath/config/datapath.ts";
import type { LibvirtMachines } from "../../datapath/config/libvirt.ts";
import { bringsRouter, routerShare } from "../../datapath/libvirt/router.ts";
import { cacheFolder } from "../../offline/home.ts";
import { missingTools } from "../../offline/packages.ts";
import { missing, ok, warning, type Depth, type NeedCheck } from "./check.ts";
import { urlCheck } from "./reach.ts";

const bytesPerMebibyte = 1024 ** 2;
const bytesPerGibibyte = 1024 ** 3;

/** What virtual machines need of this machine and of the libvirt host. Of a host far away only libvirt itself is asked. */
export async function libvirtChecks(machines: LibvirtMachines, datapath: Datapath, depth: Depth): Promise<NeedCheck[]> {
  const router = bringsRouter(machines, datapath) ? routerShare(machines) : undefined;
  const problem = askLibvirt(machines.uri);
  const libvirt =
    problem === undefined
      ? ok("libvirt", `${machines.uri} answers`)
      : missing("libvirt", problem.found, problem.wayOut);
  const isHere = !/^[a-z]+\+\w+:\/\/[^/]/.test(machines.uri);
  return [
    libvirt,
    toolsCheck(),
    ...(isHere
      ? [
          ...(await acceleratorCheck(machines, depth)),
          memoryCheck(machines, router),
          diskCheck(machines, router),
          addressCheck(machines),
        ]
      : []),
    ...(await imageCheck(machines, depth)),
  ];
}

/** Any of them makes seeds (scripts/libvirt/seed-up). */
const isoMakers = ["genisoimage", "mkisofs", "xorrisofs"];

function toolsCheck(): NeedCheck {
  const maker = isoMakers.find((tool) => missingTools([{ tool, package: tool }]).tools.length === 0);
  const wanted = [
    { tool: "ssh-keygen", package: "openssh-client" },
    { tool: maker ?? "genisoimage", package: "genisoimage" },
    { tool: "curl", package: "curl" },
  ];
  const { tools, command } = missingTools(wanted);
  return tools.length === 0
    ? ok("tools", wanted.map(({ tool }) => tool).join(", "))
    : missing("tools", `missing: ${tools.join(", ")}`, `sudo ${command}`);
}

/** A boot sector that resets its machine: mov al,0xfe; out 0x64,al; hlt; jmp to the hlt. */
const bootCode = [0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd];
const trialLimitMilliseconds = 5_000;

/** /dev/kvm may be there and no guest ever run on it, in a virtual machine or a container: a trial guest shows it. */
async function acceleratorCheck(machines: LibvirtMachines, depth: Depth): Promise<NeedCheck[]> {
  return depth === "errors" && machines.accelerator !== "kvm" ? [] : [await tryKvm(machines)];
}

/** @param device what stands for KVM, for tests */
export async function tryKvm(
  { accelerator, cpuMode }: Pick<LibvirtMachines, "accelerator" | "cpuMode">,
  device = "/dev/kvm",
): Promise<NeedCheck> {
  const name = "KVM";
  const slowly =
    "VMs run by software emulation, ten times slower. Take a host with virtualization turned on, or be patient.";
  const refuse = (found: string): NeedCheck =>
    accelerator === "kvm"
      ? missing(name, found, "Write accelerator: auto, or take a host with virtualization turned on.")
      : warning(name, found, slowly);
  if (accelerator === "qemu") return warning(name, "not asked for (machines.accelerator: qemu)", slowly);
  if (!existsSync(device)) return refuse(`there is no ${device}`);
  const folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-kvm-"));
  try {
    const disk = path.join(folder, "boot.img");
    const image = Buffer.alloc(bytesPerMebibyte);
    image.set(bootCode, 0);
    image.set([0x55, 0xaa], 510);
    await writeFile(disk, image);
    // The CPU that machines would have: a host may take a plain one and refuse its own.
    const cpu = cpuMode === "maximum" ? "max" : "host";
    const guest = ["-accel", "kvm", "-machine", "pc", "-cpu", cpu, "-m", "16", "-display", "none", "-no-reboot"];
    const { outcome, found } = await runTrial("qemu-system-x86_64", [...guest, "-drive", `file=${disk},format=raw`]);
    switch (outcome) {
      case "ran":
        return ok(name, found);
      case "failed":
        return refuse(found);
      case "not tried":
        return warning(name, found, "up tries it by libvirt, whose QEMU may have what this user has not.");
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Trial {
  readonly outcome: "ran" | "failed" | "not tried";
  readonly found: string;
}

/** Whether a guest ends well in time. One that hangs on KVM may take minutes to die: nobody waits. */
function runTrial(program: string, words: readonly string[]): Promise<Trial> {
  return new Promise((resolve) => {
    const child = execFile(program, words, (error, _, stderr) => {
      clearTimeout(timer);
      if (error === null) resolve({ outcome: "ran", found: "a trial guest ran" });
      else if (error.code === "ENOENT")
        resolve({ outcome: "not tried", found: `can't tell: there is no ${program} here to try a guest with` });
      else if (/KVM.*Permission denied/.test(stderr))
        resolve({ outcome: "not tried", found: "can't tell: this user may not open /dev/kvm" });
      else resolve({ outcome: "failed", found: stderr.trim().split("\n").at(-1) || error.message });
    });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      child.unref();
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({ outcome: "failed", found: "it is there, but a trial guest did nothing in 5 s" });
    }, trialLimitMilliseconds);
  });
}

function memoryCheck({ count, memoryMebibytes }: LibvirtMachines, router: LibvirtMachines | undefined): NeedCheck {
  const needed = count * memoryMebibytes + (router?.memoryMebibytes ?? 0);
  const free = Math.floor(freemem() / bytesPerMebibyte);
  const beside = router === undefined ? "" : ` and a router of ${router.memoryMebibytes} MiB`;
  const found = `${free} MiB free; ${count} VMs of ${memoryMebibytes} MiB${beside} may take ${needed} MiB`;
  return free >= needed
    ? ok("memory", found)
    : warning(
        "memory",
        found,
        "Set machines.memoryMebibytes lower, or machines.count; VMs that stand already count twice here.",
      );
}

function diskCheck({ folder, count, diskGibibytes }: LibvirtMachines, router: LibvirtMachines | undefined): NeedCheck {
  let place = folder;
  while (!existsSync(place)) place = path.dirname(place);
  const { bavail, bsize } = statfsSync(place);
  const free = Math.floor((bavail * bsize) / bytesPerGibibyte);
  const disks = count + (router === undefined ? 0 : 1);
  const needed = disks * diskGibibytes;
  const found = `${free} GiB free at ${place}; ${disks} disks may grow to ${needed} GiB`;
  return free >= needed
    ? ok("disk", found)
    : warning("disk", found, "Set machines.folder to a larger file system, or machines.diskGibibytes lower.");
}

/** Another link with an address in the lab's network would take its packets. The lab's own bridge has the first one. */
function addressCheck({ network, bridge }: LibvirtMachines): NeedCheck {
  const taken = Object.entries(networkInterfaces()).flatMap(([link, addresses]) =>
    (addresses ?? [])
      .filter(({ family, address }) => family === "IPv4" && containsAddress(network, address))
      .map(({ address }) => ({ link, address })),
  );
  const foreign = taken.filter(({ link }) => (bridge === undefined ? !link.startsWith("lab-") : link !== bridge));
  return foreign.length === 0
    ? ok("addresses", `${network} is free`)
    : missing(
        "addresses",
        `${network} is in use: ${foreign.map(({ link, address }) => `${link} has ${address}`).join(", ")}`,
        "Set machines.network to another one (and machines.bridge, where that link is the lab's).",
      );
}

async function imageCheck({ image }: LibvirtMachines, depth: Depth): Promise<NeedCheck[]> {
  const name = "image";
  if (image.path !== undefined) {
    const file = expandHome(image.path);
    try {
      accessSync(file, constants.R_OK);
      return [ok(name, image.path)];
    } catch {
      return [missing(name, `${image.path} can't be read`, "Write the image's path as machines.image.path.")];
    }
  }
  if (image.sha256 !== undefined && existsSync(path.join(cacheFolder(), "images", `${image.sha256}.img`))) {
    return [ok(name, "in the cache already")];
  }
  const [url = ""] = image.urls ?? [];
  return urlCheck(name, url, "Download it elsewhere and give it as a file: machines.image.path.", depth);
}
