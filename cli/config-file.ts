import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { parse, YAMLParseError } from "yaml";

/**
 * Reads a lab config from a YAML or JSON file, or from standard input where `file` is `-`.
 * @throws an error that names the file, and the line where its syntax is wrong
 */
export async function readConfigFile(file: string): Promise<unknown> {
  const name = file === "-" ? "standard input" : file;
  let source: string;
  try {
    source = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new Error(`${name} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return parse(source) ?? {};
  } catch (error) {
    if (error instanceof YAMLParseError) throw new Error(`${name} is neither YAML nor JSON: ${error.message}`);
    throw error;
  }
}
