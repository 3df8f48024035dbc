/** Frames and captures made byte by byte, by the formats' own definitions and not by the code under test. */

export function ethernet(payload: Buffer, etherType = 0x0800): Buffer {
  const header = Buffer.alloc(14);
  header.writeUInt16BE(etherType, 12);
  return Buffer.concat([header, payload]);
}

export function arp(): Buffer {
  return ethernet(Buffer.alloc(28), 0x0806);
}

export function ipv4(source: string, destination: string, protocol: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  Buffer.from(source.split(".").map(Number)).copy(header, 12);
  Buffer.from(destination.split(".").map(Number)).copy(header, 16);
  return Buffer.concat([header, payload]);
}

/** The second fragment of a UDP packet: what stands behind its IPv4 header is no UDP header. */
export function laterFragment(source: string, destination: string, payload: Buffer): Buffer {
  const packet = ipv4(source, destination, 17, payload);
  packet.writeUInt16BE(185, 6);
  return packet;
}

export function udp(destinationPort: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(40000, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

export function vxlan(frame: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x08, 0, 0, 0, 0, 0, 2, 0]), frame]);
}

/** A capture file of link type Ethernet, microseconds, little-endian. */
export function pcap(packets: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  const records = packets.flatMap((packet) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(packet.length, 8);
    record.writeUInt32LE(packet.length, 12);
    return [record, packet];
  });
  return Buffer.concat([header, ...records]);
}
