import { z } from "zod";
import { ipv4Address } from "./fields.ts";

const largestPort = 65535;

/** A user or host name: nothing in it means anything to a shell, an XML parser or ssh. */
const plainName = z
  .string()
  .regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/, "letters, digits, dots, hyphens and underscores");

export const sshUser = plainName.max(32);

/** An address or a host name that can be resolved. */
export const hostAddress = z.union([ipv4Address, plainName.max(253)], "no IPv4 address and no host name");

/** The same, and perhaps a port. */
export const hostAddressAndPort = z
  .string()
  .regex(
    /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(:[1-9][0-9]{0,4})?$/,
    "no address or host name, and no port behind it",
  )
  .refine((text) => Number(text.split(":")[1] ?? 0) <= largestPort, "no TCP port, which ends at 65535");

const sshPort = z.int().min(1).max(largestPort).default(22);

/** One line of a `.pub` file: type and base64, which is what connections are pinned to. */
const hostKey = z
  .string()
  .regex(
    /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*( .*)?$/,
    'no SSH host key: the line in /etc/ssh/ssh_host_ed25519_key.pub, as "ssh-ed25519 AAAA…"',
  )
  .check((context) => {
    // Of a pinned RSA key pulumi-command asks for the algorithm ssh-rsa alone (1.2.1 provider/pkg/provider/remote/connection.go).
    if (!context.value.startsWith("ssh-rsa ")) return;
    context.issues.push({
      code: "custom",
      input: context.value,
      message: "An RSA host key can't be pinned: it would be asked for with SHA-1, which OpenSSH refuses since 8.8.",
      params: { wayOut: "Write the host's ed25519 or ecdsa key: the line in /etc/ssh/ssh_host_ed25519_key.pub there." },
    });
  });

/** What is known of any host that is reached by SSH. */
export const sshHost = {
  address: hostAddress.meta({ description: "IPv4 address or host name." }),
  port: sshPort.meta({ description: "TCP port of its SSH server." }),
  user: sshUser.default("root").meta({ description: "Who to log in as: root, or a user with sudo and no password." }),
  privateKeyFile: z.string().min(1).optional().meta({
    description: "File of the private key, ~/ for the home folder. Without it the SSH agent is asked.",
  }),
  hostKey: hostKey.optional().meta({
    description: "The host's public key. Without it any key is taken, with a warning.",
  }),
};

/** A host on the way: the connection goes through it. */
export const jumpHost = z.strictObject(sshHost);

export type JumpHost = z.infer<typeof jumpHost>;
