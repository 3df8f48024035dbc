import type { ReplyLog } from "../../datapath/plan/mode-change.ts";

/** Round-trip times in milliseconds that `ping` printed, one a reply. */
export function parseRoundTrips(text: string): number[] {
  return [...text.matchAll(/ time=(?<time>[\d.]+) ms/g)].map((match) => Number(match.groups?.["time"]));
}

/** What `ping -D -O` printed: replies with their times, and how many pings were sent, also where it was read before its end. */
export function parseReplyLog(text: string): ReplyLog {
  const replies = [...text.matchAll(/^\[(?<seconds>[\d.]+)\] \d+ bytes from .*icmp_seq=(?<sequence>\d+) .*$/gm)]
    .filter(([line]) => !line.includes("(DUP!)"))
    .map(({ groups }) => ({ sequence: Number(groups?.["sequence"]), seconds: Number(groups?.["seconds"]) }));
  const numbers = [...text.matchAll(/icmp_seq=(\d+)/g)].map(([, sequence]) => Number(sequence));
  const total = /^(\d+) packets transmitted/m.exec(text)?.[1];
  return { replies, sent: total === undefined ? Math.max(0, ...numbers) : Number(total) };
}
