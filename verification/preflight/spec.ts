import { z } from "zod";
import { floors } from "../../datapath/machines/preflight.ts";

const endpoint = z.object({
  host: z.string(),
  port: z.number().default(22),
  user: z.string().default("root"),
  privateKey: z.string().optional(),
  hostKey: z.string().optional(),
  perDialTimeout: z.number().default(15),
});

export type SshEndpoint = z.infer<typeof endpoint>;

const connection = endpoint.extend({ proxy: endpoint.optional() });

export type SshConnection = z.infer<typeof connection>;

/** What the preflight program reads on standard input. */
export const preflightSpec = z.object({
  /** Project and stack: what machines are marked with. */
  lab: z.string().regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/),
  machines: z.array(
    z.object({
      name: z.string(),
      /** By which the machines reach each other; an IPv4 address, or a name, which is not looked at. */
      address: z.string(),
      connection,
    }),
  ),
  datapath: z.unknown(),
  strict: z.boolean(),
  /** Whether leftovers of another K3s or CNI are going to be removed. */
  clean: z.boolean().default(false),
  /** How many of the machines, the first ones, are going to be servers of K3s. */
  servers: z.number().default(1),
  floors,
});

export type PreflightSpec = z.infer<typeof preflightSpec>;
