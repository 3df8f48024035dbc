import { existsSync } from "node:fs";
import { expandHome } from "../../components/local-file.ts";
import type { ExistingHosts } from "../../datapath/config/hosts.ts";
import { missing, ok, warning, type NeedCheck } from "./check.ts";
import { tcpCheck } from "./reach.ts";

/** Machines that exist already: whether the SSH port of each answers, and the keys to log in are there. */
export async function hostChecks({ hosts }: ExistingHosts): Promise<NeedCheck[]> {
  const reached = await Promise.all(
    hosts.map(({ name, address, port, jump }) => {
      const [host, at] = jump === undefined ? [address, port] : [jump.address, jump.port];
      const through = jump === undefined ? name : `${name}, by its jump host`;
      return tcpCheck(
        `SSH of ${through}`,
        host,
        at,
        "Check address and port under machines.hosts, and that the machine runs.",
      );
    }),
  );
  const ends = hosts.flatMap(({ jump, ...host }) => (jump === undefined ? [host] : [host, jump]));
  const files = new Set(ends.flatMap(({ privateKeyFile }) => privateKeyFile ?? []));
  const keys = [...files].map((file) =>
    existsSync(expandHome(file))
      ? ok("private key", file)
      : missing(
          "private key",
          `there is no ${file}`,
          "Write the file's path as privateKeyFile, or leave it out and use the SSH agent.",
        ),
  );
  const usesAgent = ends.some(({ privateKeyFile }) => privateKeyFile === undefined);
  const agent =
    !usesAgent || process.env["SSH_AUTH_SOCK"] !== undefined
      ? []
      : [
          missing(
            "SSH agent",
            "SSH_AUTH_SOCK is not set",
            "Start ssh-agent and ssh-add the key, or write privateKeyFile.",
          ),
        ];
  const unpinned = hosts.filter(({ hostKey }) => hostKey === undefined).map(({ name }) => name);
  const pins =
    unpinned.length === 0
      ? []
      : [
          warning(
            "host keys",
            `not pinned: ${unpinned.join(", ")}`,
            "Write hostKey: the line of ssh-keyscan that you have checked.",
          ),
        ];
  return [...reached, ...keys, ...agent, ...pins];
}
