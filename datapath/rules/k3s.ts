import { addressAt, isCidr } from "../cidr.ts";
import { k3s as k3sSchema } from "../config/k3s.ts";
import type { Machines } from "../config/machines.ts";
import { nearest } from "../config/nearest.ts";
import type { JumpHost } from "../config/ssh.ts";
import { agentSettings, k3sApiPort, serverSettings, settingOwners } from "../k3s/k3s-config.ts";
import { nodeCount } from "../machines/machine-facts.ts";
import { rule, type Rule } from "./rule.ts";

/** Whether the lab brings K3s to the machines. */
function runsK3s({ kind }: Machines): boolean {
  return kind === "libvirt" || kind === "hosts";
}

/** Where the API is, as SSH reaches it, and the host on the way. */
function firstServer(
  machines: Machines,
): { readonly address: string; readonly jump?: JumpHost | undefined } | undefined {
  switch (machines.kind) {
    case "libvirt":
      return { address: addressAt(machines.network, machines.firstHost), jump: machines.jump };
    case "hosts":
      return machines.hosts[0];
    case "namespaces":
    case "none":
      return undefined;
  }
}

const roles = ["server", "agent"] as const;

/** Names of settings that a role of K3s does not know, and that no other part of the config owns. */
function unknownSettings(settings: Readonly<Record<string, unknown>>, known: readonly string[]): string[] {
  return Object.keys(settings).filter((name) => !known.includes(name) && settingOwners[name] === undefined);
}

/** What can't be meant of K3s. */
export const k3sRules: readonly Rule[] = [
  {
    id: "k3s-servers-are-odd",
    severity: "error",
    key: "k3s.servers",
    when: "an even number of servers",
    message: "Servers decide by majority.",
    wayOut: "Write 1, 3 or 5.",
    source: "docs.k3s.io, High Availability Embedded etcd: an odd number of server nodes",
    violations: ({ k3s: { servers } }) =>
      servers % 2 === 0
        ? [
            {
              message: `${servers} servers decide by majority: they can lose no more of them than ${servers - 1} can, and one more can fail.`,
              wayOut: `Write ${servers - 1} or ${servers + 1}.`,
            },
          ]
        : [],
  },
  {
    id: "k3s-servers-have-machines",
    severity: "error",
    key: "k3s.servers",
    when: "more servers than machines",
    message: "A server has no machine.",
    wayOut: "Ask for fewer servers, or for more machines.",
    source: "components/k3s.ts: the first machines are the servers",
    violations: ({ machines, k3s: { servers } }) => {
      const count = runsK3s(machines) ? (nodeCount(machines) ?? servers) : servers;
      return servers <= count ? [] : [{ message: `${servers} servers stand against ${count} machines.` }];
    },
  },
  {
    id: "k3s-setting-has-an-owner",
    severity: "error",
    key: "k3s.settings",
    when: "k3s.settings sets what another part of the config decides, or a secret",
    message: "The setting would be set twice.",
    wayOut: "Leave it out.",
    source: "datapath/k3s/k3s-config.ts: settingOwners",
    violations: ({ k3s: { settings } }) =>
      roles.flatMap((role) =>
        Object.keys(settings[role]).flatMap((name) => {
          const owner = settingOwners[name];
          if (owner === undefined) return [];
          const key = `k3s.settings.${role}.${name}`;
          return owner === "k3s"
            ? [{ key, message: `${name} is the lab's own: its scripts on the machines rely on it.` }]
            : [{ key, message: `${name} follows from ${owner}.`, wayOut: `Leave it out, and set ${owner}.` }];
        }),
      ),
  },
  {
    id: "k3s-agent-knows-setting",
    severity: "error",
    key: "k3s.settings.agent",
    when: "a setting for agents that only servers know",
    message: "An agent ends on a setting that it does not know.",
    wayOut: "Move it to k3s.settings.server.",
    source: "K3s v1.26.6 pkg/configfilearg/parser.go:224; pkg/cli/cmds/agent.go",
    violations: ({ k3s: { settings } }) =>
      unknownSettings(settings.agent, agentSettings).map((name) => ({
        key: `k3s.settings.agent.${name}`,
        message: `Agents have no --${name}, and end on a setting that they do not know.`,
      })),
  },
  {
    id: "k3s-server-knows-setting",
    severity: "warning",
    key: "k3s.settings.server",
    when: "a setting for servers that none knows",
    message: "A server leaves out a setting that it does not know, with a line in its log.",
    wayOut: "Correct its name, or leave it out.",
    source: "K3s v1.26.6 pkg/configfilearg/parser.go:71; pkg/cli/cmds/server.go",
    violations: ({ k3s: { settings } }) =>
      unknownSettings(settings.server, serverSettings).map((name) => {
        const meant = nearest(name, serverSettings);
        return {
          key: `k3s.settings.server.${name}`,
          message: `Servers of K3s v1.26.6 have no --${name}: they leave it out, with a line in their log.`,
          ...(meant === undefined ? {} : { wayOut: `Did you mean ${meant}?` }),
        };
      }),
  },
  {
    id: "hosts-have-node-addresses",
    severity: "error",
    key: "machines.hosts",
    when: "a host is given by name, without nodeAddress (hosts)",
    message: "K3s's node-ip takes an address.",
    wayOut: "Set nodeAddress to the address by which the nodes reach each other.",
    source: "K3s v1.26.6 pkg/cli/cmds/agent.go: node-ip",
    violations: ({ machines }) =>
      machines.kind !== "hosts"
        ? []
        : machines.hosts.flatMap(({ name, address, nodeAddress }, index) =>
            nodeAddress !== undefined || isCidr(`${address}/32`)
              ? []
              : [
                  {
                    key: `machines.hosts[${index}].nodeAddress`,
                    message: `${name} is given by the name ${address}, and K3s's node-ip takes an address.`,
                  },
                ],
          ),
  },
  {
    id: "k3s-api-behind-a-jump-host",
    severity: "warning",
    key: "k3s.apiAddress",
    when: "the first machine is reached through a jump host, and k3s.apiAddress is not set",
    message: "SSH goes through the jump host; the Kubernetes API is asked directly.",
    wayOut: "Give this machine a route there, or open an SSH tunnel and set k3s.apiAddress to its end.",
    source: "components/k3s.ts: Helm, the roll-out and the verification use the kubeconfig",
    violations: ({ machines, k3s: { apiAddress } }) => {
      const first = apiAddress === undefined ? firstServer(machines) : undefined;
      if (first?.jump === undefined) return [];
      const { user, address: jump } = first.jump;
      return [
        {
          message: `SSH goes through the jump host ${jump}; the Kubernetes API at https://${first.address}:${k3sApiPort} is asked directly, and never answers where no route leads there.`,
          wayOut: `Give this machine a route, or run ssh -N -L ${k3sApiPort}:${first.address}:${k3sApiPort} ${user}@${jump} beside the lab and set k3s.apiAddress to 127.0.0.1.`,
        },
      ];
    },
  },
  rule({
    id: "k3s-without-machines-of-its-own",
    severity: "warning",
    key: "k3s",
    when: "K3s is configured, and the machines run none (namespaces, none)",
    message: "Nothing of it has an effect: K3s is brought to machines of kind libvirt and hosts.",
    wayOut: "Leave the section out, or set machines.kind to libvirt or hosts.",
    source: "components/lab.ts: what each kind of machine carries",
    breaks: (config) => !runsK3s(config.machines) && JSON.stringify(config.k3s) !== JSON.stringify(k3sSchema.parse({})),
  }),
];
