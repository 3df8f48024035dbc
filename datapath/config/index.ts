import { z } from "zod";
import { machines } from "./machines.ts";
import { verification } from "./verification.ts";

/** Everything a stack asks for: the one shape that stack config, `--file` and the program's components share. */
export const labConfig = z.strictObject({
  machines,
  verification: verification.prefault({}),
  strict: z.boolean().default(false).meta({ description: "Treat warnings as errors." }),
});

export type LabConfig = z.infer<typeof labConfig>;
