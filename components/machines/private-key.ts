import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import * as pulumi from "@pulumi/pulumi";

/** A path as people write it: ~/ is the home folder. */
export function expandHome(file: string): string {
  return file.startsWith("~/") ? path.join(homedir(), file.slice(2)) : file;
}

/**
 * A person's own private key, as a secret.
 * @param key the config key that names the file
 * @throws a refusal that names the file where it can't be read
 */
export function ownPrivateKey(file: string, key: string): pulumi.Output<string> {
  return pulumi.secret(readKeyFile(file, key));
}

/** The public half of a person's own key, which ssh-keygen put beside it. */
export function ownPublicKey(file: string, key: string): string {
  return readKeyFile(`${file}.pub`, key).trim();
}

function readKeyFile(file: string, key: string): string {
  try {
    return readFileSync(expandHome(file), "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new pulumi.RunError(`${key}: ${file} can't be read: ${reason}`);
  }
}
