import type { Finding } from "../../../datapath/findings.ts";
import { bpfIPv4Only, bpfRouting, native, strict, vxlan } from "./case.ts";

/** Rules that speak only where Cilium runs on the machines. */
export const machineCases: readonly {
  readonly id: string;
  readonly bad: unknown;
  readonly good: unknown;
  /** What the machines of the bad case, and of the good one, are besides. */
  readonly badMachines?: object;
  readonly goodMachines?: object;
  readonly finds: readonly Finding[];
}[] = [
  {
    id: "big-tcp-needs-the-nic",
    bad: native({ ...bpfRouting, ...bpfIPv4Only, ipv6: { enabled: true, bigTCP: true } }),
    good: native({ ...bpfRouting, ...bpfIPv4Only, ipv6: { enabled: true } }),
    finds: [
      {
        id: "big-tcp-needs-the-nic",
        severity: "warning",
        key: "datapath.ipv6.bigTCP",
        message:
          "Only drivers that take GSO packets over 64 KiB can do BIG TCP (mlx4, mlx5); with others, virtio among them, the agent turns it off.",
        wayOut:
          "Look for 'Could not modify gro_max_size and gso_max_size' in the agent's log, or turn ipv6.bigTCP off.",
      },
    ],
  },
  {
    id: "acceleration-needs-the-driver",
    bad: native({ ...strict, loadBalancer: { acceleration: "native" } }),
    good: native({ ...strict }),
    finds: [
      {
        id: "acceleration-needs-the-driver",
        severity: "warning",
        key: "datapath.loadBalancer.acceleration",
        message:
          "The NIC's driver must do native XDP; with another the agent ends with: Failed to compile XDP program. virtio needs as many queues as the machine has CPUs, twice, and no GRO_HW.",
        wayOut: "Write disabled where the driver can't.",
      },
    ],
  },
  {
    id: "kernel-of-image-too-old",
    bad: vxlan({ ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } }),
    good: vxlan({ ...bpfRouting, bandwidthManager: { enabled: true, bbr: true } }),
    badMachines: { image: { urls: ["https://images.example/jammy-server-cloudimg-amd64.img"] } },
    goodMachines: { image: { urls: ["https://images.example/ubuntu-23.04-server-cloudimg-amd64.img"] } },
    finds: [
      {
        id: "kernel-of-image-too-old",
        severity: "error",
        key: "datapath.bandwidthManager.bbr",
        message:
          "The machines' image runs kernel 5.15, and BBR needs 5.18: the agent ends with `Cannot enable --enable-bbr, needs kernel 5.18 or newer`.",
        wayOut: "Boot a newer kernel, or leave it out.",
      },
    ],
  },
  {
    id: "kernel-of-image-lacks-a-feature",
    bad: vxlan(bpfRouting),
    good: vxlan(bpfRouting),
    badMachines: { image: { path: "focal-server-cloudimg-amd64.img" } },
    goodMachines: { image: { path: "jammy-server-cloudimg-amd64.img" } },
    finds: [
      {
        id: "kernel-of-image-lacks-a-feature",
        severity: "warning",
        key: "datapath.hostRouting",
        message:
          "The machines' image runs kernel 5.4, and host routing needs 5.10: the agent falls back to legacy host routing, with `requires kernel 5.10` in an info line.",
        wayOut: "Boot a newer kernel, or write legacy.",
      },
    ],
  },
];
