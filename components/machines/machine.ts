import type { types } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";

export type ConnectionArgs = types.input.remote.ConnectionArgs;

/** A machine, as every step after it sees it: nothing in it tells which kind it is. */
export interface Machine {
  /** The node's name in the cluster. */
  readonly name: string;
  /** The IPv4 address by which the nodes reach each other; known at preview. */
  readonly address: string;
  /** The address or host name by which the machine is reached from here; behind a jump host, from that. */
  readonly reachedBy: string;
  /** How commands on it are run, over SSH; its host key is pinned wherever it is known. */
  readonly connection: pulumi.Input<ConnectionArgs>;
  /** The machine itself, where the lab makes it: goes only after what is on it. */
  readonly made?: pulumi.Resource;
  /** Stands when the machine is up, its own set-up has ended and its preflight found no error. */
  readonly ready: pulumi.Resource;
  /** Changes when the machine was made anew: what was installed on it is gone then. */
  readonly incarnation: string;
}

/** One host of a connection: the machine itself, or the one on the way to it. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Absent where the SSH agent is asked. */
  readonly privateKey?: pulumi.Input<string> | undefined;
  /** Type and base64, as in a `.pub` file. */
  readonly hostKey?: pulumi.Input<string> | undefined;
}

/** Longest time for one attempt to connect: a guest under software emulation takes seconds for a key exchange. */
const perDialTimeoutSeconds = 60;
/** Attempts before an error, about a second apart on average: sshd may restart while a machine is set up. */
const dialErrorLimit = 20;

function endpointArgs({ address, port, user, privateKey, hostKey }: Endpoint): types.input.remote.ProxyConnectionArgs {
  return {
    host: address,
    port,
    user,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(hostKey === undefined ? {} : { hostKey }),
    dialErrorLimit,
    perDialTimeout: perDialTimeoutSeconds,
  };
}

/**
 * The only place where a connection is put together: the provider prints one with an unknown field whole, private key included
 * (pulumi/pulumi-command#773).
 */
export function connectionTo(endpoint: Endpoint, jump?: Endpoint): ConnectionArgs {
  return { ...endpointArgs(endpoint), ...(jump === undefined ? {} : { proxy: endpointArgs(jump) }) };
}
