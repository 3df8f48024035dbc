import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "../../../offline/home.ts";
import { withLock } from "../../../offline/lock.ts";

const recipe = path.join(import.meta.dirname, "scripts", "base-image");

/** What boots and answers as a cloud image does, and what the tests measure with. */
const packages = [
  ...["linux-image-cloud-amd64", "initramfs-tools", "lz4", "systemd-sysv", "udev", "dbus", "kmod", "procps"],
  ...["cloud-init", "cloud-guest-utils", "netplan.io", "openssh-server", "sudo"],
  ...["iproute2", "iputils-ping", "iptables", "ethtool", "iperf3", "ca-certificates", "curl"],
  "bird2",
];

/** Programs that make the image, by the Debian package that brings each. */
export const imageTools = [
  { tool: "mmdebstrap", package: "mmdebstrap" },
  { tool: "syslinux", package: "syslinux" },
  // Its boot record, which nothing on PATH stands for.
  { tool: "syslinux", package: "syslinux-common" },
  { tool: "mcopy", package: "mtools" },
  { tool: "mkfs.vfat", package: "dosfstools" },
  { tool: "sfdisk", package: "fdisk" },
  { tool: "mke2fs", package: "e2fsprogs" },
  { tool: "qemu-img", package: "qemu-utils" },
] as const;

const run = promisify(execFile);

/**
 * Makes the tests' cloud image from Debian packages, once a machine and recipe.
 * @returns the qcow2 file
 */
export async function testCloudImage(log: (line: string) => void): Promise<string> {
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) throw new Error("/etc/os-release names no VERSION_CODENAME: the image needs Debian.");
  const key = createHash("sha256")
    .update(JSON.stringify([suite, packages, readFileSync(recipe, "utf8")]))
    .digest("hex");
  const folder = path.join(cacheFolder(), "vm-image");
  const image = path.join(folder, `${suite}-${key.slice(0, 16)}.qcow2`);
  mkdirSync(folder, { recursive: true });
  return withLock(
    `${image}.lock`,
    async () => {
      if (existsSync(image)) return image;
      const began = Date.now();
      log(`Making a cloud image from packages of ${suite}; one to three minutes …`);
      await run(recipe, [], {
        env: {
          ...process.env,
          DEBIAN_FRONTEND: "noninteractive",
          IMAGE: image,
          SUITE: suite,
          PACKAGES: packages.join(","),
        },
        maxBuffer: 16 * 1024 * 1024,
      });
      log(`Cloud image: ${((Date.now() - began) / 1000).toFixed(0)} s`);
      return image;
    },
    (owner) => log(`Waiting for process ${owner}, which is making the cloud image …`),
  );
}
