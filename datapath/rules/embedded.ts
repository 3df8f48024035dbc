import type { LabConfig } from "../config/lab.ts";
import { runsCilium } from "../machines/machine-facts.ts";
import { labNodes } from "../plan/nodes.ts";
import { cloudOf } from "./routes.ts";
import type { Rule } from "./rule.ts";

type Datapath = LabConfig["datapath"];

/** What only Cilium can do, with the key that asks for it. The kernel of the embedded lab is told the rest. */
const needsCilium: readonly {
  readonly key: string;
  readonly name: string;
  readonly asked: (datapath: Datapath) => boolean;
}[] = [
  {
    key: "kubeProxyReplacement.mode",
    name: "kube-proxy replacement",
    asked: ({ kubeProxyReplacement }) => kubeProxyReplacement.mode !== "disabled",
  },
  {
    key: "masquerade.implementation",
    name: "BPF masquerade",
    asked: ({ masquerade }) => masquerade.implementation === "bpf",
  },
  { key: "hostRouting", name: "BPF host routing", asked: ({ hostRouting }) => hostRouting === "bpf" },
  {
    key: "bandwidthManager.enabled",
    name: "The bandwidth manager",
    asked: ({ bandwidthManager }) => bandwidthManager.enabled,
  },
  { key: "ipv6.enabled", name: "IPv6 of pods", asked: ({ ipv6 }) => ipv6.enabled },
  { key: "ipv6.bigTCP", name: "IPv6 BIG TCP", asked: ({ ipv6 }) => ipv6.bigTCP },
  { key: "loadBalancer.mode", name: "DSR", asked: ({ loadBalancer }) => loadBalancer.mode !== "snat" },
  { key: "loadBalancer.algorithm", name: "Maglev", asked: ({ loadBalancer }) => loadBalancer.algorithm !== "random" },
  {
    key: "loadBalancer.acceleration",
    name: "XDP acceleration",
    asked: ({ loadBalancer }) => loadBalancer.acceleration !== "disabled",
  },
  { key: "conntrackBypass", name: "The conntrack bypass", asked: ({ conntrackBypass }) => conntrackBypass },
  { key: "endpointRoutes", name: "A route for each pod", asked: ({ endpointRoutes }) => endpointRoutes },
  { key: "devices", name: "A choice of devices", asked: ({ devices }) => devices.length > 0 },
  {
    key: "directRoutingDevice",
    name: "A choice of the direct routing device",
    asked: ({ directRoutingDevice }) => directRoutingDevice !== undefined,
  },
  { key: "hubble.relay", name: "Hubble relay", asked: ({ hubble }) => hubble.relay },
  { key: "hubble.ui", name: "Hubble UI", asked: ({ hubble }) => hubble.ui },
  { key: "encryption", name: "Encryption", asked: ({ encryption }) => encryption !== "none" },
  { key: "routes.integration", name: "A cloud integration", asked: (datapath) => cloudOf(datapath) !== undefined },
  { key: "values", name: "A chart value", asked: ({ values }) => Object.keys(values).length > 0 },
];

export const embeddedLabRules: readonly Rule[] = [
  {
    id: "embedded-lab-runs-no-cilium",
    severity: "warning",
    key: "datapath",
    when: "machines are namespaces and a feature is asked for that only Cilium has",
    message: "No Cilium runs in the embedded lab, so the feature is not in effect there.",
    wayOut: "Choose machines of another kind, or leave it out.",
    source: "the embedded lab tells the kernel links, routes and iptables masquerading, no more",
    violations: ({ machines, datapath }) =>
      !runsCilium(machines)
        ? needsCilium.flatMap(({ key, name, asked }) =>
            asked(datapath)
              ? [
                  {
                    key: `datapath.${key}`,
                    message: `${name} needs Cilium, and none runs in the embedded lab: it is not in effect there.`,
                  },
                ]
              : [],
          )
        : [],
  },
  {
    id: "embedded-lab-bgp-peer",
    severity: "warning",
    key: "datapath.routes.peer.address",
    when: "machines are namespaces and routes.peer.address is no gateway of theirs",
    message: "The embedded lab brings the router itself: nodes peer with it at their gateway.",
    wayOut: "Leave it: the same config holds where the router has that address.",
    source: "datapath/bgp/embedded.ts: BIRD in the place of the speaker and of the router",
    violations: ({ machines, datapath }) => {
      if (machines.kind !== "namespaces" || datapath.mode !== "native" || datapath.routes.kind !== "bgp") return [];
      const address = datapath.routes.peer?.address;
      const gateways = [...new Set(labNodes(machines, datapath, "").map(({ gateway }) => gateway))];
      if (address === undefined || gateways.includes(address)) return [];
      return [
        {
          message: `The embedded lab brings the router itself: nodes peer with it at their gateway (${gateways.slice(0, 3).join(", ")}${gateways.length > 3 ? ", …" : ""}), not at ${address}.`,
        },
      ];
    },
  },
  {
    id: "embedded-lab-mtu",
    severity: "warning",
    key: "datapath.mtuBytes",
    when: "machines are namespaces and mtuBytes differs from machines.mtuBytes",
    message: "The embedded lab takes the MTU of its machines.",
    wayOut: "Set machines.mtuBytes instead.",
    source: "components/machines: the nodes' NICs are made with machines.mtuBytes",
    violations: ({ machines, datapath }) =>
      !runsCilium(machines) && datapath.mtuBytes !== undefined && datapath.mtuBytes !== machines.mtuBytes
        ? [
            {
              message: `The embedded lab takes the MTU of its machines, ${machines.mtuBytes} bytes; ${datapath.mtuBytes} is not in effect there.`,
            },
          ]
        : [],
  },
];
