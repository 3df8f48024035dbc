import { z } from "zod";

/** Longest host name that Linux takes is 64; the longest label of a DNS name is 63. */
const longestPrefix = 50;

/** The word for a machine in all kinds that make machines: how many, and what they are called. */
export const madeNodes = {
  count: z.int().min(2).max(64).default(3).meta({ description: "Number of nodes, 2 to 64." }),
  namePrefix: z
    .string()
    .max(longestPrefix)
    .regex(/^[a-z]([a-z0-9-]*[a-z0-9-])?$/, "lower-case letters, digits and hyphens, starting with a letter")
    .default("node-")
    .meta({ description: "Node names are this prefix and a number from 1." }),
};
