import * as pulumi from "@pulumi/pulumi";
import { textOfFile } from "../local-file.ts";

/**
 * A person's own private key, as a secret.
 * @param key the config key that names the file
 * @throws a refusal that names the file where it can't be read
 */
export function ownPrivateKey(file: string, key: string): pulumi.Output<string> {
  return pulumi.secret(textOfFile(file, key));
}

/** The public half of a person's own key, which ssh-keygen put beside it. */
export function ownPublicKey(file: string, key: string): string {
  return textOfFile(`${file}.pub`, key).trim();
}
