import { z } from "zod";
import { inOtherMode } from "../datapath/config/other-mode.ts";
import { readStackConfig } from "./workspace.ts";

/** What a command is called with, and where it prints. */
export interface Call {
  readonly stack: string;
  readonly json: boolean;
  readonly operands: readonly string[];
  /** Datapath that replaces the stack's: a mode, or `native:router`. */
  readonly datapath?: string;
  /** Where explain reads the config from, instead of a stack. */
  readonly file?: string;
  /** Datapaths to compare, separated by commas. */
  readonly datapaths?: string;
  readonly rounds: number;
  /** Path, for verify; where kubectl has its own when absent. */
  readonly kubeconfig?: string;
  /** Context in it; its current one when absent. */
  readonly context?: string;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  /** A line for a person, on standard error. */
  readonly log: (line: string) => void;
  /** Results, on standard output. */
  readonly print: (text: string) => void;
}

/** Gives the command's exit status. Rejects with an error whose message is meant for a person. */
export type Command = (call: Call) => Promise<number>;

export type Config = Readonly<Record<string, unknown>>;

const carriers = ["direct", "router", "bgp"];

/** The lab's config in a call: its stack's, with the datapath that the call has in its place. */
export async function configOf({ stack, datapath: mode }: Call): Promise<Config> {
  const config = await readStackConfig(stack);
  return mode === undefined ? config : withDatapath(config, mode);
}

/**
 * The config with another datapath, named by its mode, and for native also by who carries the routes: `native:router`. The tuning
 * stays as the stack has it, so that what is compared differs in nothing else.
 */
export function withDatapath(config: Config, name: string): Config {
  const section = z.record(z.string(), z.unknown()).safeParse(config["datapath"]).data ?? {};
  return { ...config, datapath: inOtherMode(section, namedDatapath(name)) };
}

/** A datapath as the command line names it. */
export interface NamedByWord {
  readonly mode: string;
  readonly routes?: string;
}

/** Reads a datapath's name: a mode, for native also with who carries the routes. Throws where there is no such carrier. */
export function namedDatapath(name: string): NamedByWord {
  const [mode = "", carrier] = name.split(":");
  if (carrier !== undefined && (mode !== "native" || !carriers.includes(carrier))) {
    throw new Error(`There is no datapath ${name}. Only native says more: native:${carriers.join(", native:")}.`);
  }
  return { mode, ...(carrier === undefined ? {} : { routes: carrier }) };
}

export function terminal(): { colour: boolean; columns: number } {
  return {
    colour: process.stdout.isTTY && process.env["NO_COLOR"] === undefined,
    columns: process.stdout.columns || 100,
  };
}
