import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { expandHome } from "./machines/private-key.ts";

const readBytes = 8 * 1024 * 1024;

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
    const reason = error instanceof Error ? error.message : String(error);
    throw new pulumi.RunError(`${key}: ${file} can't be read: ${reason}`);
  }
}
