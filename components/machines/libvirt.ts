import { createHash } from "node:crypto";
import { homedir } from "node:os";
import path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { LabConfig } from "../../datapath/config/index.ts";
import type { LibvirtMachines } from "../../datapath/config/libvirt.ts";
import { metaData, networkConfig, userData, type KeyPair } from "../../datapath/libvirt/cloud-init.ts";
import { parseKeyPair } from "../../datapath/libvirt/key-pair.ts";
import { libvirtLab, type LibvirtLab, type LibvirtMachine } from "../../datapath/libvirt/lab.ts";
import {
  diskVolumeXml,
  domainXml,
  networkXml,
  poolXml,
  probeDomainXml,
  probeName,
  type Accelerator,
} from "../../datapath/libvirt/xml.ts";
import { checksumOf, expandHome } from "../local-file.ts";
import { asPerson, scriptText } from "../scripts.ts";
import { standingOf } from "./libvirt-host.ts";
import { refusal } from "../refusal.ts";
import { connectionTo, type ConnectionArgs, type Endpoint, type Machine } from "./machine.ts";
import { Preflight, type ReportedFacts } from "./preflight.ts";
import { ownPrivateKey, ownPublicKey } from "./private-key.ts";

export interface LibvirtArgs {
  readonly machines: LibvirtMachines;
  /** What the machines' kernels are checked for. */
  readonly datapath: LabConfig["datapath"];
  /** Whether warnings of the preflight are errors. */
  readonly strict: boolean;
}

const bytesPerGibibyte = 1024 ** 3;
const sshPort = 22;
/** Beyond the limits that the scripts keep themselves: they say more than the engine would. */
const marginSeconds = 120;

/** What a making of a key prints is the key. A change of the command is no reason for another one. */
const keepKey = 'printf "%s" "$PULUMI_COMMAND_STDOUT"';

/**
 * Virtual machines on one libvirt host, on one L2 network with static addresses. The first resource is the lab's folder; its
 * deletion removes whatever bears the lab's mark, however an update ended.
 */
export class Libvirt extends pulumi.ComponentResource {
  public readonly machines: readonly Machine[];
  /** What the preflight found, by machine. */
  public readonly facts: pulumi.Output<readonly ReportedFacts[]>;

  constructor(name: string, args: LibvirtArgs, opts?: pulumi.ComponentResourceOptions) {
    const { machines: config } = args;
    const lab = libvirtLab(config, pulumi.getProject(), pulumi.getStack());
    super(
      "datapath-lab:machines:Libvirt",
      name,
      {
        uri: config.uri,
        image: config.image.path ?? config.image.urls?.[0],
        vcpus: config.vcpus,
        memoryMebibytes: config.memoryMebibytes,
        diskGibibytes: config.diskGibibytes,
        network: config.network,
        machines: Object.fromEntries(lab.machines.map((machine) => [machine.name, machine.address])),
      },
      opts,
    );
    const standing = standingOf(lab, config.uri);
    if (standing.problem !== undefined) {
      const { found, wayOut } = standing.problem;
      const problem = `libvirt can't be asked what stands: ${found}\n    ${wayOut}`;
      // Every machine that stands would be made anew.
      if (!pulumi.runtime.isDryRun()) throw refusal(new Error(`${problem}\nNothing was changed.`));
      void pulumi.log.warn(
        `${problem}\nThis preview takes every machine for one that has to be made; up refuses.`,
        this,
      );
    }
    const host = { LAB_URI: config.uri, LAB_ID: lab.id, LAB_POOL: lab.pool.name };
    const sha256 = imageChecksum(config);
    const baseVolume = `${lab.basePrefix}${sha256.slice(0, 12)}-${standing.base}`;

    const pool = new command.local.Command(
      "pool",
      {
        create: asPerson("libvirt/pool-up"),
        delete: asPerson("libvirt/sweep"),
        stdin: poolXml(lab),
        environment: { ...host, LAB_NETWORK: lab.network.name },
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );
    /** Options of whatever goes with the pool, and must be gone before another of its name is made. */
    const inPool = { parent: this, deletedWith: pool, deleteBeforeReplace: true };

    const network = new command.local.Command(
      "network",
      {
        create: asPerson("libvirt/network-up"),
        delete: asPerson("libvirt/network-down"),
        stdin: networkXml(lab, config, standing.network),
        environment: { ...host, LAB_NETWORK: lab.network.name },
        addPreviousOutputInEnv: false,
      },
      { ...inPool, dependsOn: pool },
    );

    const image = new command.local.Command(
      "image",
      {
        create: asPerson("libvirt/image"),
        environment: {
          LAB_IMAGE_SHA256: sha256,
          LAB_IMAGE_FORMAT: config.image.format,
          LAB_IMAGE_DISK_BYTES: `${config.diskGibibytes * bytesPerGibibyte}`,
          LAB_CACHE: cacheFolder(),
          ...(config.image.path === undefined
            ? { LAB_IMAGE_URLS: (config.image.urls ?? []).join(" ") }
            : { LAB_IMAGE_PATH: expandHome(config.image.path) }),
        },
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      { parent: this, customTimeouts: { create: "2h", update: "2h" } },
    );
    const base = new command.local.Command(
      "base-image",
      {
        create: asPerson("libvirt/base-up"),
        // What is there is what was asked for: another image has another name, which replaces it.
        update: "true",
        delete: asPerson("libvirt/volume-down"),
        environment: {
          ...host,
          LAB_VOLUME: baseVolume,
          LAB_IMAGE: image.stdout,
          LAB_IMAGE_FORMAT: config.image.format,
        },
        triggers: [baseVolume],
        addPreviousOutputInEnv: false,
      },
      { ...inPool, dependsOn: pool },
    );

    const accelerator = this.accelerator(lab, config, host, pool);
    const login = this.login(config);
    const machines = lab.machines.map((machine) => {
      const marks = standing.machines.get(machine.name);
      if (marks === undefined) throw new Error(`nothing is known of ${machine.name}`);
      const hostKey = this.keyPair(`${machine.name}-host-key`, machine.name);
      const about = { ...host, LAB_DOMAIN: machine.domain, LAB_SERIAL_LOG: machine.serialLog };
      // All that a running machine would not take over: any change of it makes the machine anew.
      const seedWithoutKeys = userData(config, machine, {
        authorizedKey: login.ownPublicKey ?? "",
        hostKey: { privateKey: "", publicKey: "" },
      });
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
        { ...inPool, dependsOn: base },
      );
      const seed = new command.local.Command(
        `${machine.name}-seed`,
        {
          create: asPerson("libvirt/seed-up"),
          update: "true",
          delete: asPerson("libvirt/volume-down"),
          stdin: pulumi.secret(
            pulumi
              .all([login.publicKey, hostKey])
              .apply(([authorizedKey, key]) => userData(config, machine, { authorizedKey, hostKey: key })),
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
        { ...inPool, dependsOn: pool },
      );
      const definition = accelerator.apply((kind) => domainXml(lab, config, machine, kind, marks));
      const domain = new command.local.Command(
        machine.name,
        {
          create: asPerson("libvirt/domain-up"),
          delete: asPerson("libvirt/domain-down"),
          stdin: definition,
          // A network made anew has no machine on it: they are started again.
          environment: { ...about, LAB_NETWORK_INCARNATION: standing.network },
          triggers,
          addPreviousOutputInEnv: false,
        },
        { ...inPool, dependsOn: [disk, seed, network] },
      );
      // What was seen of a machine holds for this start of this definition.
      const boot = definition.apply((xml) => digest(`${xml}${standing.network}${triggers.join(" ")}`));
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
        { parent: this, dependsOn: domain, deletedWith: domain, ...timeouts(config.bootLimitSeconds) },
      );
      const connection = this.connection(config, machine, login.privateKey, hostKey);
      const ready = new command.remote.Command(
        `${machine.name}-cloud-init`,
        {
          connection,
          create: `LAB_LIMIT_SECONDS=${config.bootLimitSeconds} sh -s`,
          stdin: pulumi.interpolate`# ${boot}\n${scriptText("machine/wait-for-cloud-init")}`,
          addPreviousOutputInEnv: false,
        },
        {
          parent: this,
          dependsOn: answers,
          deletedWith: domain,
          hideDiffs: ["stdin"],
          ...timeouts(config.bootLimitSeconds),
        },
      );
      return { machine, connection, ready, domain, boot, incarnation: marks.incarnation };
    });

    const preflight = new Preflight(
      "preflight",
      {
        machines: machines.map(({ machine, connection, boot }) => ({
          name: machine.name,
          address: machine.address,
          connection,
          incarnation: boot,
        })),
        datapath: args.datapath,
        strict: args.strict,
        floors: {},
      },
      { parent: this, dependsOn: machines.map(({ ready }) => ready), deletedWith: pool },
    );
    this.facts = preflight.facts;
    this.machines = machines.map(({ machine, connection, domain, incarnation }) => ({
      name: machine.name,
      address: machine.address,
      reachedBy: machine.address,
      connection,
      made: domain,
      ready: preflight.check,
      incarnation,
    }));
    this.registerOutputs({ facts: this.facts });
  }

  /** What runs the guests: what the config says, else what a trial guest shows. */
  private accelerator(
    lab: LibvirtLab,
    config: LibvirtMachines,
    host: Record<string, string>,
    pool: pulumi.Resource,
  ): pulumi.Output<Accelerator> {
    if (config.accelerator !== "auto") return pulumi.output(config.accelerator);
    const probe = new command.local.Command(
      "accelerator",
      {
        create: asPerson("libvirt/probe-accelerator"),
        stdin: probeDomainXml(lab, config),
        environment: { ...host, LAB_PROBE: probeName(lab) },
        logging: command.local.Logging.Stderr,
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: pool, deletedWith: pool },
    );
    return probe.stdout.apply((word): Accelerator => (word === "kvm" ? "kvm" : "qemu"));
  }

  /** The key to log in with: the person's own, or one that is made here and kept as a secret. */
  private login(config: LibvirtMachines): {
    readonly privateKey: pulumi.Output<string>;
    readonly publicKey: pulumi.Output<string>;
    /** Known without asking a resource. */
    readonly ownPublicKey?: string;
  } {
    if (config.privateKeyFile !== undefined) {
      const key = "machines.privateKeyFile";
      const publicKey = ownPublicKey(config.privateKeyFile, key);
      const privateKey = ownPrivateKey(config.privateKeyFile, key);
      return { privateKey, publicKey: pulumi.output(publicKey), ownPublicKey: publicKey };
    }
    const pair = this.keyPair("login-key", config.user);
    return {
      privateKey: pair.apply(({ privateKey }) => privateKey),
      publicKey: pulumi.unsecret(pair.apply(({ publicKey }) => publicKey)),
    };
  }

  private keyPair(name: string, comment: string): pulumi.Output<KeyPair> {
    const made = new command.local.Command(
      name,
      {
        create: asPerson("libvirt/ssh-key"),
        update: keepKey,
        environment: { LAB_COMMENT: comment },
        logging: command.local.Logging.None,
      },
      { parent: this, additionalSecretOutputs: ["stdout"] },
    );
    return pulumi.secret(made.stdout).apply(parseKeyPair);
  }

  private connection(
    config: LibvirtMachines,
    machine: LibvirtMachine,
    privateKey: pulumi.Output<string>,
    hostKey: pulumi.Output<KeyPair>,
  ): ConnectionArgs {
    const { jump } = config;
    const endpoint: Endpoint = {
      address: machine.address,
      port: sshPort,
      user: config.user,
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
}

function imageChecksum({ image }: LibvirtMachines): string {
  if (image.sha256 !== undefined) return image.sha256;
  if (image.path !== undefined) return checksumOf(image.path, "machines.image.path");
  throw new Error("machines.image has no checksum, which the rules of the config don't let pass");
}

function cacheFolder(): string {
  return path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "datapath-lab");
}

function timeouts(limitSeconds: number): pulumi.CustomResourceOptions {
  const limit = `${limitSeconds + marginSeconds}s`;
  return { customTimeouts: { create: limit, update: limit } };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
