import type { KeyPair } from "./cloud-init.ts";

/**
 * Reads what scripts/libvirt/ssh-key prints: the private half in OpenSSH's format, then the public half in one line.
 * @throws an error that shows nothing of the text
 */
export function parseKeyPair(text: string): KeyPair {
  const [, privateKey, publicKey] = /^(-----BEGIN [^]*-----END [A-Z ]+-----\n)([^\n]+)\n?$/.exec(text) ?? [];
  if (privateKey === undefined || publicKey === undefined) throw new Error("ssh-keygen printed no key pair");
  return { privateKey, publicKey };
}
