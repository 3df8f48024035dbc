import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { parse } from "yaml";

/**
 * Reads a config from a YAML or JSON file, or from standard input where `file` is `-`.
 * @param name what errors call it
 * @throws an error that names the file, and the line where its syntax is wrong
 */
export async function readConfigFile(
  file: string,
  name: string = file === "-" ? "standard input" : file,
): Promise<unknown> {
  let source: string;
  try {
    source = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new Error(
      `${name} can't be read: ${reasonOf(error)}\nWrite the path of a YAML or JSON file, or - for standard input.`,
      { cause: error },
    );
  }
  try {
    return parse(source) ?? {};
  } catch (error) {
    throw new Error(`${name} is neither YAML nor JSON: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
