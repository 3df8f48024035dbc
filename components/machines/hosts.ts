import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../../datapath/config/index.ts";
import type { ExistingHost, ExistingHosts } from "../../datapath/config/hosts.ts";
import type { JumpHost } from "../../datapath/config/ssh.ts";
import { connectionTo, type Endpoint, type Machine } from "./machine.ts";
import { Preflight, type ReportedFacts } from "./preflight.ts";
import { ownPrivateKey } from "./private-key.ts";

export interface HostsArgs {
  readonly machines: ExistingHosts;
  /** What the machines' kernels are checked for. */
  readonly datapath: LabConfig["datapath"];
  /** Whether warnings of the preflight are errors. */
  readonly strict: boolean;
  /** Whether leftovers of another K3s or CNI are going to be removed; false where absent. */
  readonly clean?: boolean;
  /** How many of them, the first ones, are going to be servers of K3s; 1 where absent. */
  readonly servers?: number;
}

/** Machines that exist already: nothing is made, all of them are looked at before anything is installed. */
export class Hosts extends pulumi.ComponentResource {
  public readonly machines: readonly Machine[];
  /** What the preflight found, by machine. */
  public readonly facts: pulumi.Output<readonly ReportedFacts[]>;

  constructor(name: string, args: HostsArgs, opts?: pulumi.ComponentResourceOptions) {
    const { hosts, minimumMemoryMebibytes, minimumDiskGibibytes, maximumClockSkewSeconds } = args.machines;
    super(
      "datapath-lab:machines:Hosts",
      name,
      { machines: Object.fromEntries(hosts.map((host) => [host.name, host.address])) },
      opts,
    );
    const unpinned = hosts.filter(({ hostKey }) => hostKey === undefined).map((host) => host.name);
    if (unpinned.length > 0) {
      void pulumi.log.warn(
        `Any host key is taken from ${unpinned.join(", ")}: set hostKey to what \`ssh-keyscan -t ed25519 ADDRESS\` prints after the address, if you trust the way there.`,
        this,
      );
    }
    const connected = hosts.map((host, index) => ({ host, connection: connectionOf(host, index) }));
    const preflight = new Preflight(
      "preflight",
      {
        machines: connected.map(({ host, connection }) => ({
          name: host.name,
          address: host.nodeAddress ?? host.address,
          connection,
          incarnation: host.name,
        })),
        datapath: args.datapath,
        strict: args.strict,
        clean: args.clean ?? false,
        servers: args.servers ?? 1,
        floors: {
          memoryMebibytes: minimumMemoryMebibytes,
          diskGibibytes: minimumDiskGibibytes,
          clockSkewSeconds: maximumClockSkewSeconds,
        },
      },
      { parent: this },
    );
    this.facts = preflight.facts;
    this.machines = connected.map(({ host, connection }) => ({
      name: host.name,
      address: host.nodeAddress ?? host.address,
      reachedBy: host.address,
      connection,
      ready: preflight.check,
      // By whatever address it is reached, it is the same machine, with the same cluster on it.
      incarnation: host.name,
    }));
    this.registerOutputs({});
  }
}

function connectionOf(host: ExistingHost, index: number): ReturnType<typeof connectionTo> {
  const key = `machines.hosts[${index}]`;
  const jump = host.jump === undefined ? undefined : endpointOf(host.jump, `${key}.jump`);
  return connectionTo(endpointOf(host, key), jump);
}

function endpointOf({ address, port, user, privateKeyFile, hostKey }: JumpHost, key: string): Endpoint {
  return {
    address,
    port,
    user,
    hostKey,
    privateKey: privateKeyFile === undefined ? undefined : ownPrivateKey(privateKeyFile, `${key}.privateKeyFile`),
  };
}
