import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { LibvirtMachines } from "../../datapath/config/libvirt.ts";
import type { KeyPair } from "../../datapath/libvirt/cloud-init.ts";
import { parseKeyPair } from "../../datapath/libvirt/key-pair.ts";
import { asPerson } from "../scripts.ts";
import { ownPrivateKey, ownPublicKey } from "./private-key.ts";

/** The key that opens every machine of a lab. */
export interface Login {
  readonly privateKey: pulumi.Output<string>;
  readonly publicKey: pulumi.Output<string>;
  /** Known without asking a resource. */
  readonly ownPublicKey?: string;
}

/** What a making of a key prints is the key. A change of the command is no reason for another one. */
const keepKey = 'printf "%s" "$PULUMI_COMMAND_STDOUT"';

/** A key pair that is made once and kept as a secret. */
export function keyPair(name: string, comment: string, parent: pulumi.Resource): pulumi.Output<KeyPair> {
  const made = new command.local.Command(
    name,
    {
      create: asPerson("libvirt/ssh-key"),
      update: keepKey,
      environment: { LAB_COMMENT: comment },
      logging: command.local.Logging.None,
    },
    { parent, additionalSecretOutputs: ["stdout"] },
  );
  return pulumi.secret(made.stdout).apply(parseKeyPair);
}

/** The key to log in with: the person's own, or one that is made here. Throws a refusal where theirs can't be read. */
export function loginKey(config: LibvirtMachines, parent: pulumi.Resource): Login {
  if (config.privateKeyFile !== undefined) {
    const key = "machines.privateKeyFile";
    const publicKey = ownPublicKey(config.privateKeyFile, key);
    const privateKey = ownPrivateKey(config.privateKeyFile, key);
    return { privateKey, publicKey: pulumi.output(publicKey), ownPublicKey: publicKey };
  }
  const pair = keyPair("login-key", config.user, parent);
  return {
    privateKey: pair.apply(({ privateKey }) => privateKey),
    publicKey: pulumi.unsecret(pair.apply(({ publicKey }) => publicKey)),
  };
}
