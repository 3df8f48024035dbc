import { createHash } from "node:crypto";
import { addressAt, prefixLength } from "../cidr.ts";
import type { LibvirtMachines } from "../config/libvirt.ts";
import { longestLinkName, nodeNames } from "../plan/nodes.ts";
import { libvirtRouterAddress } from "./router.ts";

/** One virtual machine and everything that bears its name on the libvirt host; all of it is known before anything is made. */
export interface LibvirtMachine {
  /** Host name, and the node's name in the cluster. */
  readonly name: string;
  readonly domain: string;
  /** Stays the same, so that a definition takes the place of an earlier one. */
  readonly uuid: string;
  readonly address: string;
  readonly macAddress: string;
  /** Volumes of the lab's pool. */
  readonly disk: string;
  readonly seed: string;
  readonly serialLog: string;
}

/** A lab's network, pool and machines, by the names that they have on the libvirt host. */
export interface LibvirtLab {
  /** Stands in the metadata of whatever libvirt lets us mark: only what bears it is ever removed. */
  readonly id: string;
  /** Changes with the libvirt and the folder that the lab is in: what stands elsewhere is not this lab's. */
  readonly place: string;
  readonly pool: { readonly name: string; readonly folder: string };
  readonly network: {
    readonly name: string;
    readonly bridge: string;
    /** The libvirt host's address on the bridge. */
    readonly gateway: string;
    readonly prefixLength: number;
  };
  /** What the names of volumes with the base image begin with. */
  readonly basePrefix: string;
  /** The nodes. */
  readonly machines: readonly LibvirtMachine[];
  /** Who routes between the nodes' pods, where the lab brings a machine for that. */
  readonly router?: LibvirtMachine;
}

/** Name of the machine that routes between the nodes' pods. Nodes' names end in a number. */
const routerMachine = "router";

/** Bytes that libvirt's own MAC addresses begin with: QEMU's, locally administered. */
const macPrefix = "52:54:00";

/**
 * Names and addresses of a lab on libvirt.
 * @param withRouter whether a machine routes between the nodes' pods
 * @throws a RangeError where the network is too small; a checked config has a large enough one
 */
export function libvirtLab(machines: LibvirtMachines, project: string, stack: string, withRouter = false): LibvirtLab {
  const id = `${project}/${stack}`;
  const name = `${project}-${stack}`;
  const folder = `${machines.folder.replace(/\/+$/, "")}/${name}`;
  const named = (machine: string, address: string): LibvirtMachine => ({
    name: machine,
    domain: `${name}-${machine}`,
    uuid: uuidOf(`${id}/${machine}`),
    address,
    macAddress: [macPrefix, ...(digest(`${id}/${machine}`).slice(0, 6).match(/../g) ?? [])].join(":"),
    disk: `${machine}.qcow2`,
    seed: `${machine}.seed.iso`,
    serialLog: `${folder}/${machine}.serial.log`,
  });
  return {
    id,
    place: digest(`${machines.uri} ${folder}`),
    pool: { name, folder },
    network: {
      name,
      bridge: machines.bridge ?? `lab-${digest(id)}`.slice(0, longestLinkName),
      gateway: addressAt(machines.network, 1),
      prefixLength: prefixLength(machines.network),
    },
    basePrefix: "base-",
    machines: nodeNames(machines).map((machine, index) =>
      named(machine, addressAt(machines.network, machines.firstHost + index)),
    ),
    ...(withRouter ? { router: named(routerMachine, libvirtRouterAddress(machines)) } : {}),
  };
}

/** Every machine of a lab, the router among them. */
export function allMachines({ machines, router }: LibvirtLab): LibvirtMachine[] {
  return [...machines, ...(router === undefined ? [] : [router])];
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 10);
}

/** A name-based UUID of the kind whose contents are the maker's own affair (RFC 9562, version 8). */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}
