import { z } from "zod";
import { ipv4Address, ipv4Cidr, sha256 } from "./fields.ts";
import { madeNodes } from "./nodes.ts";
import { jumpHost, sshUser } from "./ssh.ts";

/**
 * Ubuntu 23.04 server, the last image whose checksum is on record in public (Lima's template of the release). The release is past
 * its end of life, and dated folders leave cloud-images.ubuntu.com some time after that: the last URL is where folders of older
 * releases are known to have gone (17.04's, in public Terraform modules). Whether this one is there could not be tried. It is plain
 * HTTP; what it gives is held to the checksum.
 */
const ubuntu = {
  urls: [
    "https://cloud-images.ubuntu.com/releases/23.04/release-20230810/ubuntu-23.04-server-cloudimg-amd64.img",
    "https://cloud-images.ubuntu.com/releases/lunar/release-20230810/ubuntu-23.04-server-cloudimg-amd64.img",
    "http://cloud-images-archive.ubuntu.com/releases/lunar/release-20230810/ubuntu-23.04-server-cloudimg-amd64.img",
  ],
  sha256: "5ad255d32a30a2cda9f0df19f0a6ce8d6f3c81b63845086a4cb5c43cf97fcb92",
};

const image = z
  .strictObject({
    urls: z
      .array(z.url({ protocol: /^https?$/, error: "no http or https URL" }))
      .min(1)
      .optional()
      .meta({ description: "Where the image can be downloaded; the next one is tried where one fails." }),
    path: z.string().min(1).optional().meta({ description: "The image as a file of this machine, instead of urls." }),
    format: z.enum(["qcow2", "raw"]).default("qcow2").meta({ description: "Format of the file." }),
    sha256: sha256.optional().meta({
      description:
        "Checksum of the file. A file that has another is refused. Required with urls; with path it is computed.",
    }),
  })
  .transform((value) => (value.urls === undefined && value.path === undefined ? { ...ubuntu, ...value } : value));

const nic = z.strictObject({
  queues: z.int().min(1).max(64).default(1).meta({ description: "Queue pairs of the virtio NIC." }),
  checksumOffload: z.boolean().default(true).meta({ description: "The NIC computes checksums." }),
  segmentationOffload: z
    .boolean()
    .default(true)
    .meta({ description: "The NIC cuts large TCP and UDP packets (TSO, UFO)." }),
  mergeReceiveBuffers: z
    .boolean()
    .default(true)
    .meta({ description: "Received packets may span buffers (mrg_rxbuf)." }),
});

/** Virtual machines made by libvirt, side by side on one Linux host. */
export const libvirtMachines = z.strictObject({
  kind: z.literal("libvirt"),
  ...madeNodes,
  uri: z
    .string()
    .regex(/^qemu(\+[a-z0-9]+)?:\/\/[^\s"'`$\\;|<>]*$/, "no libvirt URI of the QEMU driver")
    .default("qemu:///system")
    .meta({
      description:
        "The libvirt to use, as virsh -c takes it: qemu:///system, qemu+ssh://root@host/system. A change replaces the machines.",
    }),
  jump: jumpHost.optional().meta({
    description: "Host through which the machines are reached: the libvirt host, where it is another machine.",
  }),
  folder: z
    .string()
    .regex(/^\/[A-Za-z0-9_./+-]+$/, "no absolute path of plain characters")
    .default("/var/lib/libvirt/images")
    .meta({
      description:
        "Folder on the libvirt host in which the lab makes its own, for disks and serial logs. A change replaces the machines.",
    }),
  network: ipv4Cidr.default("192.168.123.0/24").meta({
    description:
      "The machines' network. Its first address is the libvirt host's, which routes and masquerades; the last one that of the router between pods, where routes need one.",
  }),
  firstHost: z
    .int()
    .min(2)
    .default(11)
    .meta({ description: "Host number of the first machine's address in `network`." }),
  bridge: z
    .string()
    .regex(/^[a-z][a-z0-9_.-]{0,14}$/, "no name of a link: at most 15 characters, starting with a letter")
    .optional()
    .meta({ description: "Name of the bridge; made from project and stack where it is not given." }),
  mtuBytes: z.int().min(1280).max(9216).default(1500).meta({ description: "MTU of the network, in bytes." }),
  nameservers: z
    .array(ipv4Address)
    .max(3)
    .optional()
    .meta({ description: "DNS servers of the machines. The libvirt host's where it is not given." }),
  image: image.prefault({}).meta({ description: "The cloud image that machines start from; Ubuntu 23.04 by default." }),
  vcpus: z.int().min(1).max(256).default(2).meta({ description: "Virtual CPUs per machine. A change restarts it." }),
  memoryMebibytes: z
    .int()
    .min(256)
    .max(1_048_576)
    .default(4096)
    .meta({ description: "Memory per machine, in MiB. A change restarts it." }),
  diskGibibytes: z.int().min(2).max(16_384).default(20).meta({
    description: "Size of a machine's disk, in GiB; only what is written takes space. A change replaces the machine.",
  }),
  accelerator: z.enum(["auto", "kvm", "qemu"]).default("auto").meta({
    description: "kvm, qemu (software emulation, slow), or auto: kvm where a guest really runs on it.",
  }),
  cpuMode: z.enum(["auto", "host-passthrough", "host-model", "maximum"]).default("auto").meta({
    description: "CPU that a machine sees; auto is host-passthrough on kvm and maximum on qemu.",
  }),
  nic: nic.prefault({}).meta({ description: "The machines' virtio NIC." }),
  user: sshUser.default("lab").meta({ description: "The machines' user, who may use sudo without a password." }),
  privateKeyFile: z.string().min(1).optional().meta({
    description:
      "Your own SSH key, its public half beside it as .pub. Without it one is made and kept in the state, encrypted.",
  }),
  packages: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/, "no Debian package name"))
    .default(["iperf3", "ethtool", "iptables", "conntrack"])
    .meta({ description: "Packages that cloud-init installs." }),
  aptMirror: z
    .url({ protocol: /^https?$/, error: "no http or https URL" })
    .nullable()
    .default("http://old-releases.ubuntu.com/ubuntu")
    .meta({
      description:
        "Package archive of the machines; null leaves the image's own. Ubuntu 23.04 is in the archive of old releases.",
    }),
  bootLimitSeconds: z.int().min(10).max(7200).default(600).meta({
    description: "How long a machine may take to answer on SSH, and again for cloud-init to end, in seconds.",
  }),
});

export type LibvirtMachines = z.infer<typeof libvirtMachines>;
