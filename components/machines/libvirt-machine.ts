import { createHash } from "node:crypto";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { LibvirtMachines } from "../../datapath/config/libvirt.ts";
import { metaData, networkConfig, userData, type KeyPair } from "../../datapath/libvirt/cloud-init.ts";
import type { LibvirtLab, LibvirtMachine } from "../../datapath/libvirt/lab.ts";
import { diskVolumeXml, domainXml, type Accelerator, type DomainMarks } from "../../datapath/libvirt/xml.ts";
import { asPerson, scriptText } from "../scripts.ts";
import { keyPair, type Login } from "./libvirt-keys.ts";
import { connectionTo, type ConnectionArgs, type Endpoint } from "./machine.ts";
import { ownPrivateKey } from "./private-key.ts";

/** What all machines of a lab share. */
export interface SharedByMachines {
  readonly parent: pulumi.Resource;
  readonly lab: LibvirtLab;
  /** Variables by which scripts know libvirt and the lab's pool. */
  readonly environment: Readonly<Record<string, string>>;
  /** Options of whatever goes with the pool. */
  readonly inPool: pulumi.CustomResourceOptions;
  readonly pool: pulumi.Resource;
  readonly network: pulumi.Resource;
  /** Its XML, which tells one making of it from the next: with another one it is made anew, and no machine is on it. */
  readonly networkDefinition: string;
  readonly base: pulumi.Resource;
  readonly baseVolume: string;
  readonly accelerator: pulumi.Output<Accelerator>;
  readonly login: Login;
}

/** One machine to be made. */
export interface MachineArgs {
  readonly machine: LibvirtMachine;
  /** Its share: memory, disk, packages. */
  readonly config: LibvirtMachines;
  readonly marks: DomainMarks;
  /** Whether it routes between others, and is no node. */
  readonly forwards: boolean;
}

/** A machine and how far it is. */
export interface MadeMachine {
  readonly machine: LibvirtMachine;
  readonly connection: ConnectionArgs;
  readonly domain: pulumi.Resource;
  /** Stands when the machine's own set-up has ended. */
  readonly ready: pulumi.Resource;
  /** Changes with every start of it by the lab. */
  readonly boot: pulumi.Output<string>;
  readonly incarnation: string;
}

const sshPort = 22;
/** Beyond the limits that the scripts keep themselves: they say more than the engine would. */
const marginSeconds = 120;

/** Makes one machine: disk, seed and domain, each a resource, and the waits for SSH and for cloud-init. */
export function makeMachine(shared: SharedByMachines, args: MachineArgs): MadeMachine {
  const { parent, lab, inPool, baseVolume, login } = shared;
  const { machine, config, marks, forwards } = args;
  const hostKey = keyPair(`${machine.name}-host-key`, machine.name, parent);
  const about = { ...shared.environment, LAB_DOMAIN: machine.domain, LAB_SERIAL_LOG: machine.serialLog };
  const seedFor = (authorizedKey: string, key: KeyPair): string =>
    userData(config, machine, { authorizedKey, hostKey: key }, { forwards });
  // All that a running machine would not take over: any change of it makes the machine anew.
  const seedWithoutKeys = seedFor(login.ownPublicKey ?? "", { privateKey: "", publicKey: "" });
  const networkData = networkConfig(lab, config, machine);
  const triggers = [
    marks.incarnation,
    baseVolume,
    `${config.diskGibibytes} GiB`,
    digest(seedWithoutKeys + networkData),
  ];

  const disk = new command.local.Command(
    `${machine.name}-disk`,
    {
      create: asPerson("libvirt/disk-up"),
      update: "true",
      delete: asPerson("libvirt/volume-down"),
      stdin: diskVolumeXml(lab, machine, { volume: baseVolume, format: config.image.format }, config.diskGibibytes),
      environment: { ...about, LAB_VOLUME: machine.disk },
      triggers,
      addPreviousOutputInEnv: false,
    },
    { ...inPool, dependsOn: shared.base },
  );
  const seed = new command.local.Command(
    `${machine.name}-seed`,
    {
      create: asPerson("libvirt/seed-up"),
      update: "true",
      delete: asPerson("libvirt/volume-down"),
      stdin: pulumi.secret(
        pulumi.all([login.publicKey, hostKey]).apply(([authorizedKey, key]) => seedFor(authorizedKey, key)),
      ),
      environment: {
        ...about,
        LAB_VOLUME: machine.seed,
        LAB_META_DATA: metaData(machine, marks.incarnation),
        LAB_NETWORK_CONFIG: networkData,
      },
      triggers,
      addPreviousOutputInEnv: false,
    },
    { ...inPool, dependsOn: shared.pool },
  );
  const networkIncarnation = digest(shared.networkDefinition);
  const definition = shared.accelerator.apply((kind) => domainXml(lab, config, machine, kind, marks));
  const domain = new command.local.Command(
    machine.name,
    {
      create: asPerson("libvirt/domain-up"),
      delete: asPerson("libvirt/domain-down"),
      stdin: definition,
      // A network made anew has no machine on it: they are started again.
      environment: { ...about, LAB_NETWORK_INCARNATION: networkIncarnation },
      triggers,
      addPreviousOutputInEnv: false,
    },
    { ...inPool, dependsOn: [disk, seed, shared.network] },
  );
  // What was seen of a machine holds for this start of this definition.
  const boot = definition.apply((xml) => digest(`${xml}${networkIncarnation}${triggers.join(" ")}`));
  const answers = new command.local.Command(
    `${machine.name}-boot`,
    {
      create: asPerson("libvirt/wait-for-ssh"),
      environment: {
        ...about,
        LAB_ADDRESS: config.jump === undefined ? machine.address : "",
        LAB_LIMIT_SECONDS: `${config.bootLimitSeconds}`,
        LAB_BOOT: boot,
      },
      addPreviousOutputInEnv: false,
    },
    { parent, dependsOn: domain, deletedWith: domain, ...timeouts(config.bootLimitSeconds) },
  );
  const connection = connectionWith(config, machine, login.privateKey, hostKey);
  const ready = new command.remote.Command(
    `${machine.name}-cloud-init`,
    {
      connection,
      create: `LAB_LIMIT_SECONDS=${config.bootLimitSeconds} sh -s`,
      stdin: pulumi.interpolate`# ${boot}\n${scriptText("machine/wait-for-cloud-init")}`,
      addPreviousOutputInEnv: false,
    },
    { parent, dependsOn: answers, deletedWith: domain, hideDiffs: ["stdin"], ...timeouts(config.bootLimitSeconds) },
  );
  return { machine, connection, ready, domain, boot, incarnation: marks.incarnation };
}

function connectionWith(
  { user, jump }: LibvirtMachines,
  machine: LibvirtMachine,
  privateKey: pulumi.Output<string>,
  hostKey: pulumi.Output<KeyPair>,
): ConnectionArgs {
  const endpoint: Endpoint = {
    address: machine.address,
    port: sshPort,
    user,
    privateKey,
    hostKey: pulumi.unsecret(hostKey.apply(({ publicKey }) => publicKey)),
  };
  if (jump === undefined) return connectionTo(endpoint);
  const { privateKeyFile, ...through } = jump;
  return connectionTo(endpoint, {
    ...through,
    privateKey:
      privateKeyFile === undefined ? undefined : ownPrivateKey(privateKeyFile, "machines.jump.privateKeyFile"),
  });
}

function timeouts(limitSeconds: number): pulumi.CustomResourceOptions {
  const limit = `${limitSeconds + marginSeconds}s`;
  return { customTimeouts: { create: limit, update: limit } };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
