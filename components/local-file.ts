import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import { refusal } from "./refusal.ts";

const readBytes = 8 * 1024 * 1024;

/** A path as people write it: ~/ is the home folder. */
export function expandHome(file: string): string {
  return file.startsWith("~/") ? path.join(homedir(), file.slice(2)) : file;
}

/**
 * Text of a file that a person named.
 * @param key the config key that names the file
 * @throws a refusal where it can't be read
 */
export function textOfFile(file: string, key: string): string {
  try {
    return readFileSync(expandHome(file), "utf8");
  } catch (error) {
    throw unreadable(file, key, error);
  }
}

/**
 * SHA-256 checksum of a file that a person named, in hexadecimal digits.
 * @param key the config key that names the file
 * @throws a refusal where it can't be read
 */
export function checksumOf(file: string, key: string): string {
  try {
    const descriptor = openSync(expandHome(file), "r");
    try {
      const hash = createHash("sha256");
      const buffer = Buffer.alloc(readBytes);
      for (let read = -1; read !== 0;) {
        read = readSync(descriptor, buffer, 0, buffer.length, null);
        hash.update(buffer.subarray(0, read));
      }
      return hash.digest("hex");
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw unreadable(file, key, error);
  }
}

function unreadable(file: string, key: string, error: unknown): pulumi.RunError {
  const reason = error instanceof Error ? error.message : String(error);
  return refusal(
    new Error(
      `${key}: ${file} can't be read: ${reason}.\nWrite the path of a file that is on this machine; ~/ is the home folder.`,
    ),
  );
}
