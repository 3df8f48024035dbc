import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseBirdSessions } from "../../verification/parsers/bird.ts";
import { countPackets, droppedByKernel, frames, icmpSources } from "../../verification/parsers/capture.ts";
import { parseIperf3, parseIperf3Udp } from "../../verification/parsers/iperf3.ts";
import { parseLinks, parseRoutes } from "../../verification/parsers/iproute.ts";
import { parseReplyLog, parseRoundTrips } from "../../verification/parsers/ping.ts";
import { arp, ethernet, ipv4, laterFragment, pcap, udp, vxlan } from "./packets.ts";

const recorded = (datapath: string, file: string): string =>
  readFileSync(path.join(import.meta.dirname, "../fixtures/cilium-1.13.4", datapath, file), "utf8");

const nodes = [
  { podCidr: "10.42.0.0/24", address: "172.30.0.2" },
  { podCidr: "10.42.1.0/24", address: "172.30.0.6" },
];
const podToPod = ipv4("10.42.0.10", "10.42.1.10", 6, Buffer.alloc(20));

describe("what iproute2 prints", () => {
  it("tells the tunnel device of a real node in VXLAN mode, and its port", () => {
    const link = parseLinks(recorded("vxlan", "kn1-link.json")).find(({ name }) => name === "cilium_vxlan");
    assert.deepEqual(
      { kind: link?.kind, up: link?.up, mtuBytes: link?.mtuBytes },
      { kind: "vxlan", up: true, mtuBytes: 1500 },
    );
    assert.equal(
      parseLinks(recorded("native-direct", "kn1-link.json")).some(({ name }) => name === "cilium_vxlan"),
      false,
    );
  });

  it("tells the MTU on a route, and leaves it out where there is none", () => {
    const tunnel = parseRoutes(recorded("vxlan", "kn1-route.json")).find(
      ({ destination }) => destination === "10.42.0.0/24",
    );
    assert.deepEqual(tunnel, {
      destination: "10.42.0.0/24",
      device: "cilium_host",
      via: "10.42.1.216",
      mtuBytes: 1450,
    });
    const native = parseRoutes(recorded("native-direct", "kn1-route.json"));
    assert.deepEqual(
      native.find(({ destination }) => destination === "10.42.0.0/24"),
      {
        destination: "10.42.0.0/24",
        device: "eth0",
        via: "10.99.0.12",
      },
    );
    assert.equal(parseRoutes(recorded("vxlan", "kn1-route-get-remote-pod.json"))[0]?.mtuBytes, 1450);
  });

  it("keeps a route's own destination apart from the tunnel endpoint that stands under the same key", () => {
    const printed =
      '[{"dst":"10.42.1.0/24","encap":"ip","id":2,"src":"0.0.0.0","dst":"172.30.0.6","ttl":0,"tos":0,"gateway":"10.42.1.1","dev":"cilium_vxlan","flags":["onlink"],"metrics":[{"mtu":1450}]}]';
    assert.deepEqual(parseRoutes(printed), [
      {
        destination: "10.42.1.0/24",
        device: "cilium_vxlan",
        via: "10.42.1.1",
        mtuBytes: 1450,
        tunnelEndpoint: "172.30.0.6",
      },
    ]);
  });

  it("names the type of a route that leads nowhere", () => {
    assert.equal(parseRoutes('[{"type":"unreachable","dst":"10.42.1.0/24","flags":[]}]')[0]?.device, "unreachable");
  });

  it("throws at text that is cut short", () => {
    assert.throws(() => parseLinks(recorded("vxlan", "kn1-link.json").slice(0, -20)));
    assert.throws(() => parseRoutes('[{"dev":"eth0"}]'));
  });
});

describe("what iperf3 prints", () => {
  it("gives what the receiver counted, retransmits, and the CPU of both ends", () => {
    const result = parseIperf3(recorded("vxlan", "iperf3-pod-to-pod.json"));
    assert.ok(result.bitsPerSecond > 1e9);
    assert.ok(Number.isInteger(result.retransmits));
    assert.ok(result.cpuPercent.sender > 0 && result.cpuPercent.receiver > 0);
  });

  it("gives loss and jitter of UDP as the receiver counted them", () => {
    const file = path.join(import.meta.dirname, "../fixtures/iperf3-3.12/udp-with-loss.json");
    const result = parseIperf3Udp(readFileSync(file, "utf8"));
    assert.deepEqual([result.packets, result.lostPackets], [47672, 10804]);
    assert.equal((result.bitsPerSecond / 1e6).toFixed(1), "353.6");
    assert.equal(result.jitterMilliseconds.toFixed(4), "0.0158");
    assert.ok(result.cpuPercent.sender > result.cpuPercent.receiver);
    assert.throws(
      () => parseIperf3Udp(recorded("vxlan", "iperf3-pod-to-pod.json")),
      /lost_packets/,
      "a TCP result is none of UDP",
    );
  });

  it("fails in iperf3's own words, and says when there are none", () => {
    assert.throws(
      () => parseIperf3('{"start":{},"error":"unable to connect to server: Connection refused"}'),
      new Error("iperf3: unable to connect to server: Connection refused"),
    );
    assert.throws(() => parseIperf3('{"start":{"conn'), new Error("iperf3's JSON is cut short"));
    assert.throws(() => parseIperf3(" "), new Error("iperf3 printed nothing"));
    assert.throws(() => parseIperf3('{"end":{}}'), /sum_sent/);
  });
});

describe("what ping prints", () => {
  it("gives one round trip a reply", () => {
    assert.deepEqual(parseRoundTrips(recorded("vxlan", "ping-df-1422.txt")), [0.262]);
    assert.deepEqual(parseRoundTrips("64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1 ms\nRequest timeout"), [1]);
  });

  it("gives replies with their times, and how many were sent, before and after its end", () => {
    // As recorded while the other side had no address for a second.
    const begun = `PING 10.9.9.2 (10.9.9.2) 56(84) bytes of data.
[1795441289.522870] 64 bytes from 10.9.9.2: icmp_seq=4 ttl=64 time=0.047 ms
[1795441289.522990] 64 bytes from 10.9.9.2: icmp_seq=4 ttl=64 time=0.167 ms (DUP!)
[1795441290.138787] no answer yet for icmp_seq=5
[1795441290.954887] 64 bytes from 10.9.9.2: icmp_seq=6 ttl=64 time=0.058 ms
[1795441291.362834] no answer yet for icmp_seq=7
`;
    const replies = [
      { sequence: 4, seconds: 1795441289.52287 },
      { sequence: 6, seconds: 1795441290.954887 },
    ];
    assert.deepEqual(parseReplyLog(begun), { replies, sent: 7 });
    const ended = `${begun}
--- 10.9.9.2 ping statistics ---
8 packets transmitted, 2 received, +1 duplicates, 75% packet loss, time 4496ms
`;
    assert.deepEqual(parseReplyLog(ended), { replies, sent: 8 });
    assert.deepEqual(parseReplyLog("sh: ping: not found\n"), { replies: [], sent: 0 });
  });
});

describe("packets on the wire", () => {
  const count = (...packets: Buffer[]): ReturnType<typeof countPackets> => countPackets(pcap(packets), nodes);

  it("counts bare pod packets by their outer header", () => {
    assert.deepEqual(count(ethernet(podToPod), arp()), { encapsulated: {}, bare: 1, captured: 2 });
  });

  it("counts a tunnelled pod packet as tunnelled and not as bare, on whatever port", () => {
    const carried = (port: number): Buffer =>
      ethernet(ipv4("172.30.0.2", "172.30.0.6", 17, udp(port, vxlan(ethernet(podToPod)))));
    assert.deepEqual(count(carried(8472), carried(8472), carried(9999)), {
      encapsulated: { "UDP 8472": 2, "UDP 9999": 1 },
      bare: 0,
      captured: 3,
    });
  });

  it("looks behind Geneve's options", () => {
    const options = Buffer.alloc(8);
    const geneve = Buffer.concat([
      Buffer.from([options.length / 4, 0, 0x65, 0x58, 0, 0, 2, 0]),
      options,
      ethernet(podToPod),
    ]);
    assert.deepEqual(count(ethernet(ipv4("172.30.0.2", "172.30.0.6", 17, udp(6081, geneve)))).encapsulated, {
      "UDP 6081": 1,
    });
  });

  it("counts IPIP", () => {
    assert.deepEqual(count(ethernet(ipv4("172.30.0.2", "172.30.0.6", 4, podToPod))).encapsulated, { IPIP: 1 });
  });

  it("does not count UDP between nodes that carries no pod packet, nor traffic within one pod CIDR", () => {
    const other = ethernet(ipv4("172.30.0.2", "172.30.0.6", 17, udp(53, Buffer.alloc(64))));
    const local = ethernet(ipv4("10.42.0.10", "10.42.0.11", 6, Buffer.alloc(20)));
    assert.deepEqual(count(other, local), { encapsulated: {}, bare: 0, captured: 2 });
  });

  it("counts what it can't look into where it goes from node to node, and not a person's own tunnel", () => {
    const closed = (from: string, to: string): Buffer[] => [
      ethernet(ipv4(from, to, 17, udp(51871, Buffer.alloc(64)))),
      ethernet(ipv4(from, to, 47, Buffer.alloc(64))),
      ethernet(ipv4(from, to, 50, Buffer.alloc(64))),
    ];
    assert.deepEqual(count(...closed("172.30.0.2", "172.30.0.6")).encapsulated, { "UDP 51871": 1, GRE: 1, ESP: 1 });
    assert.deepEqual(
      count(...closed("172.30.0.2", "192.0.2.7"), ...closed("192.0.2.7", "172.30.0.6")).encapsulated,
      {},
    );
  });

  it("tells what tcpdump says that the kernel dropped", () => {
    const said = (dropped: string): string =>
      `tcpdump: listening on eth0, link-type EN10MB (Ethernet)\n12 packets captured\n40 packets received by filter\n${dropped}\n`;
    assert.equal(droppedByKernel(said("17 packets dropped by kernel")), 17);
    assert.equal(droppedByKernel(said("1 packet dropped by kernel")), 1);
    assert.equal(droppedByKernel(said("0 packets dropped by kernel")), 0);
    assert.equal(droppedByKernel("tcpdump: listening on eth0"), 0);
  });

  it("does not read a port out of a later fragment", () => {
    assert.deepEqual(
      count(ethernet(laterFragment("172.30.0.2", "172.30.0.6", udp(51871, Buffer.alloc(32))))).encapsulated,
      {},
    );
  });

  it("leaves out a record that is cut short, and refuses what is no capture", () => {
    const whole = pcap([ethernet(podToPod), ethernet(podToPod)]);
    assert.equal([...frames(whole.subarray(0, whole.length - 5))].length, 1);
    assert.throws(() => [...frames(Buffer.alloc(0))], /the capture is empty/);
    assert.throws(() => [...frames(Buffer.alloc(24))], /no little-endian pcap file/);
  });

  it("tells under which address pings arrived", () => {
    const ping = (from: string, to: string, bytes: number): Buffer =>
      ethernet(ipv4(from, to, 1, Buffer.alloc(bytes - 20)));
    const captured = pcap([
      ping("172.30.0.2", "172.30.0.6", 105),
      ping("172.30.0.2", "172.30.0.6", 105),
      ping("172.30.0.10", "172.30.0.6", 84),
      ping("172.30.0.6", "172.30.0.2", 105),
      ethernet(udp(53, Buffer.alloc(85))),
    ]);
    assert.deepEqual(icmpSources(captured, { to: "172.30.0.6", bytes: 105 }), ["172.30.0.2"]);
  });
});

describe("what birdc prints", () => {
  const table = [
    "BIRD 2.0.12 ready.",
    "Name       Proto      Table      State  Since         Info",
    "device1    Device     ---        up     14:41:02.001  ",
    "to-node-2  BGP        ---        up     14:41:04.120  Established   ",
    "  BGP state:          Established",
    "  Channel ipv4",
    "    Routes:         1 imported, 2 filtered, 1 exported, 1 preferred",
    "to-router  BGP        ---        start  14:41:02.001  Active        Socket: Connection refused",
    "  BGP state:          Active",
    "",
  ].join("\n");

  it("tells the state of each session by its peer's name, and how many routes went either way", () => {
    assert.deepEqual(parseBirdSessions(table), {
      "node-2": { state: "Established", learned: 1, announced: 1 },
      router: { state: "Active", learned: 0, announced: 0 },
    });
  });

  it("is no table where nobody answered", () => {
    assert.throws(() => parseBirdSessions("Unable to connect to server control socket"), /birdc: Unable to connect/);
  });
});
