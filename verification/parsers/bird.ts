import { sessionPrefix } from "../../datapath/bgp/bird.ts";
import type { BgpSessionEvidence } from "../../datapath/proof/evidence.ts";

/**
 * Reads `birdc show protocols all` of BIRD 2: the BGP sessions by their peer's name. A session that is down says nothing of routes. Throws
 * where the text holds no table of protocols.
 */
export function parseBirdSessions(text: string): Record<string, BgpSessionEvidence> {
  if (!/^Name\s+Proto\s/m.test(text)) throw new Error(`birdc: ${text.trim()}`);
  const sessions: Record<string, BgpSessionEvidence> = {};
  let current: string | undefined;
  for (const line of text.split("\n")) {
    const start = /^(?<name>\S+)\s+(?<kind>\S+)\s+\S+\s+(?:up|down|start|stop|flush)\s/.exec(line)?.groups;
    if (start !== undefined) {
      const name = start["name"] ?? "";
      current =
        start["kind"] === "BGP" && name.startsWith(sessionPrefix) ? name.slice(sessionPrefix.length) : undefined;
      if (current !== undefined) sessions[current] = { state: "Down", learned: 0, announced: 0 };
      continue;
    }
    const session = current === undefined ? undefined : sessions[current];
    if (current === undefined || session === undefined) continue;
    const state = /^\s+BGP state:\s+(?<state>.+?)\s*$/.exec(line)?.groups?.["state"];
    const routes = /^\s+Routes:\s+(?<learned>\d+) imported,.* (?<announced>\d+) exported/.exec(line)?.groups;
    sessions[current] = {
      ...session,
      ...(state === undefined ? {} : { state }),
      ...(routes === undefined ? {} : { learned: Number(routes["learned"]), announced: Number(routes["announced"]) }),
    };
  }
  return sessions;
}
