import { encryptionOf, wireOf, type PlannedWire } from "../datapath/run/run-words.ts";
import type { Check, Run } from "../datapath/run/run.ts";
import { datapathTitle } from "./format.ts";
import { html, type Markup } from "./markup.ts";
import { wrap } from "./text-table.ts";

/** A wire whose packets can be read: not encrypted. */
type ReadableWire = Exclude<PlannedWire, { pods: "encrypted" }>;

/** One header of a packet as it goes over the wire. */
interface Header {
  readonly name: string;
  readonly bytes: number;
  readonly kind: "outer" | "inner";
}

/**
 * Headers in front of a TCP segment between pods on different nodes, in their order on the wire.
 * Sizes: IEEE 802.3 without tag and checksum 14, RFC 791 20, RFC 768 8, RFC 7348 8, RFC 8926 8 without options, RFC 9293 20 with
 * the timestamps of RFC 7323 12, which Linux sends unless told not to.
 */
export function headersOf(wire: ReadableWire): readonly Header[] {
  const tunnel: readonly Header[] =
    wire.pods === "bare"
      ? []
      : [
          { name: "Ethernet", bytes: 14, kind: "outer" },
          { name: "IPv4", bytes: 20, kind: "outer" },
          { name: "UDP", bytes: 8, kind: "outer" },
          { name: wire.protocol === "vxlan" ? "VXLAN" : "Geneve", bytes: 8, kind: "outer" },
        ];
  return [
    ...tunnel,
    { name: "Ethernet", bytes: 14, kind: "inner" },
    { name: "IPv4", bytes: 20, kind: "inner" },
    { name: "TCP", bytes: 32, kind: "inner" },
  ];
}

/** What a full-sized packet between pods spends: bytes of the frame, of headers a tunnel adds, and of TCP payload. */
export interface PacketBudget {
  readonly frameBytes: number;
  readonly overheadBytes: number;
  readonly payloadBytes: number;
}

/** @param pathMtuBytes largest IPv4 packet from pod to pod */
export function packetBudget(wire: ReadableWire, pathMtuBytes: number): PacketBudget {
  const headers = headersOf(wire);
  const sum = (kind: Header["kind"]): number =>
    headers.filter((header) => header.kind === kind).reduce((bytes, header) => bytes + header.bytes, 0);
  const ethernetBytes = 14;
  const overheadBytes = sum("outer");
  return {
    frameBytes: overheadBytes + ethernetBytes + pathMtuBytes,
    overheadBytes,
    payloadBytes: pathMtuBytes + ethernetBytes - sum("inner"),
  };
}

/** Path MTU that was found between pods, in bytes: the smallest on any node. Absent where no probe gave one. */
export function foundPathMtu({ checks }: Pick<Run, "checks">): number | undefined {
  const found = checks.flatMap(({ name, found: text }) => {
    const bytes = /^path MTU to /.test(name) ? /^(\d+) bytes$/.exec(text)?.[1] : undefined;
    return bytes === undefined ? [] : [Number(bytes)];
  });
  return found.length === 0 ? undefined : Math.min(...found);
}

const wireChecks = "pod packets on the wire";

/** Whether every capture showed pod packets as they were planned to be. */
function wireHolds({ checks }: Pick<Run, "checks">): boolean {
  const captures = checks.filter(({ name }) => name.startsWith(wireChecks));
  return captures.length > 0 && captures.every(({ ok }) => ok === true);
}

/** Why no packet of a run can be drawn, as a sentence; absent where one can. */
export function whyNoPacket(run: Run): string | undefined {
  const title = datapathTitle(run);
  if (!wireHolds(run))
    return `${title}: no packet is drawn, because what was on the wire was not seen to be what was planned.`;
  if (encryptionOf(run) !== undefined)
    return `${title}: no packet is drawn, because what is inside an encrypted one can't be read from the wire.`;
  return foundPathMtu(run) === undefined ? `${title}: no packet is drawn, because no path MTU was found.` : undefined;
}

const width = 340;

/**
 * A full-sized frame between pods, to scale; its headers once more, enlarged and to scale among themselves. Nothing where
 * `whyNoPacket` has a reason.
 */
export function packetDiagram(run: Run, id: string): Markup | undefined {
  const wire = wireOf(run);
  const pathMtuBytes = foundPathMtu(run);
  if (whyNoPacket(run) !== undefined || pathMtuBytes === undefined) return undefined;
  if (wire === undefined || wire.pods === "encrypted") return undefined;
  const budget = packetBudget(wire, pathMtuBytes);
  const headers = headersOf(wire);
  const scale = width / budget.frameBytes;
  const headerBytes = headers.reduce((sum, { bytes }) => sum + bytes, 0);
  let at = 0;
  const small = headers.map(({ bytes, kind }) => {
    const x = at * scale;
    at += bytes;
    return html`<rect class="${kind}" x="${x.toFixed(2)}" y="18" width="${(bytes * scale).toFixed(2)}" height="22" />`;
  });
  const payloadX = headerBytes * scale;
  // Outer and inner headers stand in rows of their own, at one scale. A cell too narrow for its name is the last of its row.
  const enlarged = 5.15;
  const roomForName = 45;
  const row = (kind: Header["kind"], y: number): Markup[] => {
    let x = 0;
    return headers
      .filter((header) => header.kind === kind)
      .map(({ name, bytes }) => {
        const size = bytes * enlarged;
        const isNarrow = size < roomForName && name.length > 3;
        const centre = (x + size / 2).toFixed(1);
        const label = isNarrow
          ? html`<text x="${(x + size + 5).toFixed(1)}" y="${y + 14}">${name}</text>`
          : html`<text class="on" x="${centre}" y="${y + 14}">${name}</text>`;
        const cell = html`<g>
            <rect class="${kind}" x="${x.toFixed(1)}" y="${y}" width="${(size - 1).toFixed(1)}" height="34" rx="2" />
            ${isNarrow ? undefined : label} <text class="on" x="${centre}" y="${y + 28}">${bytes}</text>
          </g>
          ${isNarrow ? label : undefined}`;
        x += size;
        return cell;
      });
  };
  const hasOuter = budget.overheadBytes > 0;
  const innerY = hasOuter ? 136 : 82;
  const height = innerY + 38;
  const share = ((100 * budget.payloadBytes) / budget.frameBytes).toFixed(1);
  const added = hasOuter
    ? `${budget.overheadBytes} bytes of tunnel headers`
    : "nothing added: the pod's packet goes over the wire as it is";
  return html`<svg
    class="packet"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
    viewBox="0 0 ${width} ${height}"
    font-size="11"
    fill="currentColor"
  >
    <title id="${id}-title">A full-sized packet between pods on the wire: ${added}</title>
    <desc id="${id}-desc">
      ${`Frame of ${budget.frameBytes} bytes: ${headers.map(({ name, bytes, kind }) => `${kind} ${name} ${bytes}`).join(", ")}, TCP payload ${budget.payloadBytes} bytes, ${share} % of the frame.`}
    </desc>
    <text x="0" y="11">Frame to scale: ${budget.frameBytes} bytes, ${share} % of it payload</text>
    ${small}
    <rect class="payload" x="${payloadX.toFixed(2)}" y="18" width="${(width - payloadX).toFixed(2)}" height="22" />
    <text class="centre" x="${((width + payloadX) / 2).toFixed(1)}" y="33">TCP payload ${budget.payloadBytes}</text>
    ${
      hasOuter
        ? html`<text x="0" y="60">Added by the tunnel: ${budget.overheadBytes} bytes (enlarged)</text>
            ${row("outer", 66)} <text x="0" y="${innerY - 6}">The pod&#39;s own headers, TCP with timestamps</text>`
        : html`<text x="0" y="${innerY - 24}">Added: nothing</text>
            <text x="0" y="${innerY - 6}">The pod&#39;s own headers, TCP with timestamps</text>`
    }
    ${row("inner", innerY)}
  </svg>`;
}

interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  readonly state: "held" | "failed" | "unknown" | "plain" | "absent";
}

const columnWidth = 152;
const lineHeight = 13;
// At 10.5 px of monospace.
const charactersAcross = 22;

/**
 * The way of a packet from a pod on the first node to a pod on the second, as the checks found it: pod, route, devices, NIC
 * and wire. What was expected stands below what was found where the two differ.
 */
export function pathDiagram(run: Run, id: string): Markup | undefined {
  const [first, second] = shownNodes(run);
  const wire = wireOf(run);
  if (first === undefined || second === undefined || wire === undefined) return undefined;
  const columns = [boxesOf(run, first, second), boxesOf(run, second, first)];
  const rows = Math.max(...columns.map((boxes) => boxes.length));
  const heights = Array.from({ length: rows }, (_, row) => Math.max(...columns.map((boxes) => boxHeight(boxes[row]))));
  const gap = 14;
  const tops = heights.map((_, row) => 20 + heights.slice(0, row).reduce((sum, height) => sum + height + gap, 0));
  const bottom = (tops.at(-1) ?? 0) + (heights.at(-1) ?? 0);
  const wireBoxes = wireLines(run, [first.name, second.name]);
  const wireTop = bottom + 26;
  const height = wireTop + (wireBoxes.length + 1) * lineHeight + 8;
  const centres = [columnWidth / 2, width - columnWidth / 2];
  const drawn = columns.map((boxes, side) =>
    boxes.map((box, row) => {
      const x = side === 0 ? 0 : width - columnWidth;
      const y = tops[row] ?? 0;
      const size = heights[row] ?? 0;
      const centre = centres[side] ?? 0;
      const link =
        row === 0 ? undefined : html`<line class="flow" x1="${centre}" x2="${centre}" y1="${y - gap}" y2="${y}" />`;
      return html`${link}<g class="box ${box.state}">
          <rect x="${x + 0.75}" y="${y}" width="${columnWidth - 1.5}" height="${size}" rx="4" />
          <text class="name" x="${x + 8}" y="${y + 15}">${box.title}</text>
          ${wrapped(box).map(
            (line, index) =>
              html`<text class="mono" x="${x + 8}" y="${y + 15 + (index + 1) * lineHeight}">${line}</text>`,
          )}
        </g>`;
    }),
  );
  const summary = columns
    .map((boxes, side) => {
      const steps = boxes.map(({ title, lines }) => `${title} (${lines.join(" ")})`).join(", ");
      return `${side === 0 ? first.name : second.name}: ${steps}`;
    })
    .join(". ");
  return html`<svg
    class="path"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
    viewBox="0 0 ${width} ${height}"
    font-size="11"
    fill="currentColor"
  >
    <title id="${id}-title">The way from a pod on ${first.name} to a pod on ${second.name}, as found</title>
    <desc id="${id}-desc">${summary}. On the wire: ${wireBoxes.join("; ")}.</desc>
    <text class="name" x="0" y="11">${shortened(first.name)}</text>
    <text class="name" x="${width - columnWidth}" y="11">${shortened(second.name)}</text>
    ${drawn}
    ${(wireHolds(run) ? (wire.pods === "bare" ? ["wire"] : ["wire tunnel", "wire"]) : ["wire unproven"]).map(
      (name) =>
        html`<path
          class="${name}"
          d="M${centres[0] ?? 0},${bottom} V${wireTop - 10} H${centres[1] ?? 0} V${bottom}"
        />`,
    )}
    <text class="centre name" x="${width / 2}" y="${wireTop + 10}">pod packets on the wire</text>
    ${wireBoxes.map(
      (line, index) =>
        html`<text class="centre" x="${width / 2}" y="${wireTop + 10 + (index + 1) * lineHeight}">${line}</text>`,
    )}
  </svg>`;
}

/** Two nodes to show: those on which a check fails before those on which all hold, in the run's order. */
function shownNodes({ nodes, checks }: Run): Run["nodes"] {
  const failing = new Set(checks.filter(({ ok }) => ok === false).map(({ node }) => node));
  const chosen = [...nodes.filter(({ name }) => failing.has(name)), ...nodes.filter(({ name }) => !failing.has(name))];
  return nodes.filter((node) => chosen.slice(0, 2).includes(node));
}

/** A node's name as far as there is room for it; the drawing's description has it whole. */
function shortened(name: string): string {
  return name.length <= charactersAcross ? name : `${name.slice(0, charactersAcross - 1)}…`;
}

function wrapped({ lines }: Box): string[] {
  const overlong = new RegExp(String.raw`\S{${charactersAcross}}`, "g");
  return lines.flatMap((line) => wrap(line.replaceAll(overlong, "$& ").trim(), charactersAcross));
}

function boxHeight(box: Box | undefined): number {
  return box === undefined ? 0 : 22 + wrapped(box).length * lineHeight;
}

function boxesOf({ checks }: Run, node: Run["nodes"][number], peer: Run["nodes"][number]): Box[] {
  const own = checks.filter((check) => check.node === node.name);
  const judged = (title: string, check: Check | undefined): Box[] => {
    if (check === undefined) return [];
    const { expected, found, ok } = check;
    if (ok === true && found === "absent") return [{ title, lines: ["absent"], state: "absent" }];
    return [
      {
        title,
        lines: ok === true ? [found] : [found, `expected: ${expected}`],
        state: ok === true ? "held" : ok === false ? "failed" : "unknown",
      },
    ];
  };
  const links = own.filter(({ name }) => name.startsWith("link "));
  // A device that must be absent and is tells nothing here: only what stands, or should, is drawn.
  const shown = links.filter(({ found, expected, ok }) => ok !== true || found !== "absent" || expected !== "absent");
  const route =
    own.find(({ name }) => name === `route looked up for ${peer.name}'s pod`) ??
    own.find(({ name }) => name === `route to ${peer.podCidr}`);
  const pathMtu = own.find(({ name }) => name === `path MTU to ${peer.name}'s pod`);
  const pod: Box = { title: "pod", lines: [`in ${node.podCidr}`], state: "plain" };
  return [
    ...(pathMtu === undefined
      ? [pod]
      : judged("pod", pathMtu).map(({ lines: [found = "", ...others], ...box }) => ({
          ...box,
          lines: [...pod.lines, `path MTU ${found}`, ...others],
        }))),
    ...judged("route", route).map((box) => ({ ...box, lines: [`${peer.podCidr}:`, ...box.lines] })),
    ...(shown.length === 0 && links.length > 0
      ? [{ title: "tunnel device", lines: ["absent"], state: "absent" as const }]
      : shown.flatMap((check) => judged(check.name.replace(/^link /, ""), check))),
    { title: node.device === undefined ? "NIC" : `NIC ${node.device}`, lines: [node.address], state: "plain" },
  ];
}

function wireLines({ checks }: Run, nodes: readonly string[]): string[] {
  return checks
    .filter(({ name, node }) => name.startsWith(wireChecks) && node === nodes[0])
    .map(({ name, found, ok }) => {
      const what = name.replace(wireChecks, "").replace(/^,? /, "");
      return `${ok === true ? "" : ok === false ? "wrong: " : "unknown: "}${what}: ${found}`;
    });
}
