import { z } from "zod";
import { run } from "./run.ts";

/** The run file's shape as JSON Schema (draft 2020-12), from the same source that checks runs on write and on read. */
export function runJsonSchema(): Record<string, unknown> {
  return { title: "Datapath Lab run", ...z.toJSONSchema(run) };
}
