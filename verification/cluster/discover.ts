import { CoreV1Api, CustomObjectsApi, type KubeConfig, type V1Node } from "@kubernetes/client-node";
import { z } from "zod";
import type { Host } from "../hosts/host.ts";
import type { RouteEvidence } from "../../datapath/proof/evidence.ts";
import { parseAddresses, parseRoutes } from "../parsers/iproute.ts";
import { answered, orNothing } from "../api-answers.ts";

/** A node as the API knows it. */
export interface ApiNode {
  readonly name: string;
  /** InternalIP, IPv4. */
  readonly address: string;
  readonly podCidr: string;
}

/** What only the node itself knows. */
export interface NodeFacts {
  /** The NIC that has the node's address. */
  readonly device: string;
  readonly mtuBytes: number;
  /** Next hop of what no route of its own leads to: a route for all pods, else the default route. */
  readonly gateway?: string;
  readonly kernel: string;
  readonly processor: { readonly model: string; readonly count: number };
}

const ciliumNodes = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({
        addresses: z.array(z.object({ type: z.string(), ip: z.string() })).default([]),
        ipam: z.object({ podCIDRs: z.array(z.string()).default([]) }).prefault({}),
      }),
    }),
  ),
});

/**
 * Names, addresses and pod CIDRs of all nodes, in the order of names: of the CiliumNode, which is what the agents go by, else of
 * Node.spec.podCIDR. Agents have routes to every one of them, whether pods of ours stand there or not.
 * @param names of the nodes that must have both; of others those that don't are left out
 * @throws Error that names the nodes that have none
 */
export async function apiNodes(config: KubeConfig, names: ReadonlySet<string>): Promise<ApiNode[]> {
  const [{ items }, cilium] = await answered(
    Promise.all([
      config.makeApiClient(CoreV1Api).listNode(),
      orNothing(
        config
          .makeApiClient(CustomObjectsApi)
          .listClusterCustomObject({ group: "cilium.io", version: "v2", plural: "ciliumnodes" }),
      ).then((list: unknown) => (list === undefined ? [] : ciliumNodes.parse(list).items)),
    ]),
  );
  return nodesOf(items, cilium, names);
}

/** As apiNodes, of what the API has. */
export function nodesOf(
  items: readonly V1Node[],
  cilium: z.infer<typeof ciliumNodes>["items"],
  names: ReadonlySet<string>,
): ApiNode[] {
  const lacking: string[] = [];
  const nodes = items.flatMap((node): ApiNode[] => {
    const name = node.metadata?.name ?? "";
    // Where there are CiliumNodes, a node without one has no agent, and nobody has a route to it.
    const isKnown = cilium.length === 0 || cilium.some(({ metadata }) => metadata.name === name);
    if (!names.has(name) && !isKnown) return [];
    const own = cilium.find(({ metadata }) => metadata.name === name)?.spec;
    const podCidr = own?.ipam.podCIDRs.find(isIPv4) ?? podCidrsOf(node).find(isIPv4);
    const address =
      own?.addresses.find(({ type, ip }) => type === "InternalIP" && isIPv4(ip))?.ip ??
      (node.status?.addresses ?? []).find((found) => found.type === "InternalIP" && isIPv4(found.address))?.address;
    if (podCidr !== undefined && address !== undefined) return [{ name, address, podCidr }];
    if (names.has(name)) lacking.push(`${name} has no IPv4 ${podCidr === undefined ? "pod CIDR" : "InternalIP"}`);
    return [];
  });
  if (lacking.length > 0) {
    throw new Error(
      `${lacking.join("; ")}: neither CiliumNode nor Node tell it. Where a cloud gives pods addresses of its own networks, there are no pod CIDRs to judge routes by.`,
    );
  }
  return nodes.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
}

function podCidrsOf({ spec }: V1Node): string[] {
  return spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
}

function isIPv4(text: string): boolean {
  return text.includes(".");
}

const timeout = { timeoutSeconds: 20 };

/**
 * Reads a node's own facts.
 * @param pods the smallest CIDR that holds every node's pod CIDR
 * @throws Error where its NIC can't be found
 */
export async function nodeFacts(host: Host, node: ApiNode, pods: string): Promise<NodeFacts> {
  const text = async (...command: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await host.run(command, timeout);
    if (exitCode !== 0) throw new Error(`${node.name}: ${command.join(" ")}: ${stderr.trim()}`);
    return stdout.toString();
  };
  const [addresses, kernel, cpuinfo, covering] = await Promise.all([
    text("ip", "-j", "-4", "address"),
    text("uname", "-r"),
    text("cat", "/proc/cpuinfo"),
    // Every route that holds all pods, the default route among them.
    text("ip", "-j", "-4", "route", "show", "match", pods),
  ]);
  const nic = parseAddresses(addresses).find((link) => link.addresses.includes(node.address));
  if (nic === undefined) throw new Error(`${node.name}: no NIC has the node's address ${node.address}`);
  const gateway = nextHop(parseRoutes(covering));
  const model = /^model name\s*:\s*(?<model>.+)$/m.exec(cpuinfo)?.groups?.["model"];
  return {
    device: nic.name,
    mtuBytes: nic.mtuBytes,
    kernel: kernel.trim(),
    ...(gateway === undefined ? {} : { gateway }),
    processor: { model: model ?? "unknown", count: [...cpuinfo.matchAll(/^processor\s*:/gm)].length },
  };
}

/** Next hop of the most specific of some routes that all hold the same destination. */
function nextHop(routes: readonly RouteEvidence[]): string | undefined {
  const length = ({ destination }: RouteEvidence): number => Number(destination.split("/")[1] ?? 0);
  return [...routes].sort((one, other) => length(other) - length(one)).find(({ via }) => via !== undefined)?.via;
}
