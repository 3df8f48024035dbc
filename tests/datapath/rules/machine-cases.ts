import type { Finding } from "../../../datapath/findings.ts";
import { bpfIPv4Only, bpfRouting, native, strict } from "./case.ts";

/** Rules that speak only where Cilium runs on the machines. */
export const machineCases: readonly {
  readonly id: string;
  readonly bad: unknown;
  readonly good: unknown;
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
];
