import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { RandomId } from "@pulumi/random";
import type { LabConfig } from "../../datapath/config/index.ts";
import type { LibvirtMachines } from "../../datapath/config/libvirt.ts";
import { allMachines, libvirtLab, type LibvirtLab, type LibvirtMachine } from "../../datapath/libvirt/lab.ts";
import { bringsRouter, routerShare } from "../../datapath/libvirt/router.ts";
import { networkXml, poolXml, probeDomainXml, probeName, type Accelerator } from "../../datapath/libvirt/xml.ts";
import { cacheFolder } from "../../offline/home.ts";
import { checksumOf, expandHome } from "../local-file.ts";
import { asPerson } from "../scripts.ts";
import { standingOf } from "./libvirt-host.ts";
import { loginKey } from "./libvirt-keys.ts";
import { makeMachine, type MadeMachine } from "./libvirt-machine.ts";
import { refusal } from "../refusal.ts";
import type { Machine } from "./machine.ts";
import { Preflight, type ReportedFacts } from "./preflight.ts";

export interface LibvirtArgs {
  readonly machines: LibvirtMachines;
  /** What the machines' kernels are checked for. */
  readonly datapath: LabConfig["datapath"];
  /** Whether warnings of the preflight are errors. */
  readonly strict: boolean;
}

const bytesPerGibibyte = 1024 ** 3;
const ownerBytes = 8;

/**
 * Virtual machines on one libvirt host, on one L2 network with static addresses. The first resource is the lab's folder; its
 * deletion removes whatever bears the lab's mark, however an update ended.
 */
export class Libvirt extends pulumi.ComponentResource {
  /** The nodes. */
  public readonly machines: readonly Machine[];
  /** Who routes between the nodes' pods, where the datapath needs somebody (datapath/libvirt/router.ts). */
  public readonly router: Machine | undefined;
  /** What the preflight found, by machine. */
  public readonly facts: pulumi.Output<readonly ReportedFacts[]>;

  constructor(name: string, args: LibvirtArgs, opts?: pulumi.ComponentResourceOptions) {
    const { machines: config } = args;
    const lab = libvirtLab(config, pulumi.getProject(), pulumi.getStack(), bringsRouter(config, args.datapath));
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
        machines: Object.fromEntries(allMachines(lab).map((machine) => [machine.name, machine.address])),
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

    // Kept in the state: another lab of the same project and stack, with a state of its own, has another one.
    const owner = new RandomId("owner", { byteLength: ownerBytes }, { parent: this });
    const pool = new command.local.Command(
      "pool",
      {
        create: asPerson("libvirt/pool-up"),
        delete: asPerson("libvirt/sweep"),
        stdin: poolXml(lab),
        environment: { ...host, LAB_NETWORK: lab.network.name, LAB_OWNER: owner.hex },
        // All that stood at the old place is swept there, and made anew: none of it bears the mark of the new one.
        triggers: [lab.place],
        addPreviousOutputInEnv: false,
      },
      { parent: this, deleteBeforeReplace: true },
    );
    /** Options of whatever goes with the pool, and must be gone before another of its name is made. */
    const inPool = { parent: this, deletedWith: pool, deleteBeforeReplace: true };

    const networkDefinition = networkXml(lab, config, standing.network);
    const network = new command.local.Command(
      "network",
      {
        create: asPerson("libvirt/network-up"),
        delete: asPerson("libvirt/network-down"),
        stdin: networkDefinition,
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
          // Not read: a base that is made anew needs the file again, which may have left the cache.
          LAB_BASE: baseVolume,
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
        triggers: [baseVolume, lab.place],
        addPreviousOutputInEnv: false,
      },
      { ...inPool, dependsOn: pool },
    );

    const shared = {
      ...{ parent: this, lab, environment: host, inPool, pool, network, base, baseVolume },
      networkDefinition,
      accelerator: this.accelerator(lab, config, host, pool),
      login: loginKey(config, this),
    };
    const make = (machine: LibvirtMachine, share: LibvirtMachines, forwards: boolean): MadeMachine => {
      const marks = standing.machines.get(machine.name);
      if (marks === undefined) throw new Error(`nothing is known of ${machine.name}`);
      return makeMachine(shared, { machine, config: share, marks, forwards });
    };
    const machines = lab.machines.map((machine) => make(machine, config, false));
    if (lab.router !== undefined) {
      const router = make(lab.router, routerShare(config), true);
      this.router = madeBy(router, router.ready);
    }

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
    this.machines = machines.map((made) => madeBy(made, preflight.check));
    this.registerOutputs({});
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
}

function madeBy({ machine, connection, domain, incarnation }: MadeMachine, ready: pulumi.Resource): Machine {
  const { name, address } = machine;
  return { name, address, reachedBy: address, connection, made: domain, ready, incarnation };
}

function imageChecksum({ image }: LibvirtMachines): string {
  if (image.sha256 !== undefined) return image.sha256;
  if (image.path !== undefined) return checksumOf(image.path, "machines.image.path");
  throw new Error("machines.image has no checksum, which the rules of the config don't let pass");
}
