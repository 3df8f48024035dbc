import { z } from "zod";
import type { LinkEvidence, RouteEvidence } from "../../datapath/proof/evidence.ts";

const links = z.array(
  z.object({
    ifname: z.string(),
    flags: z.array(z.string()),
    mtu: z.number(),
    linkinfo: z
      .object({ info_kind: z.string().optional(), info_data: z.object({ port: z.number().optional() }).optional() })
      .optional(),
  }),
);

/** Reads `ip -d -j link`. Throws where the text is not that. */
export function parseLinks(json: string): LinkEvidence[] {
  return links.parse(JSON.parse(json)).map(({ ifname, flags, mtu, linkinfo }) => ({
    name: ifname,
    up: flags.includes("UP"),
    mtuBytes: mtu,
    ...(linkinfo?.info_kind === undefined ? {} : { kind: linkinfo.info_kind }),
    ...(linkinfo?.info_data?.port === undefined ? {} : { port: linkinfo.info_data.port }),
  }));
}

const routes = z.array(
  z.object({
    dst: z.string(),
    dev: z.string().optional(),
    gateway: z.string().optional(),
    protocol: z.string().optional(),
    type: z.string().optional(),
    encapsulation: z.object({ dst: z.string() }).optional(),
    metrics: z.array(z.object({ mtu: z.number().optional() })).optional(),
  }),
);

/**
 * Reads `ip -j route` and `ip -j route get`. Routes that lead to no device (`unreachable`, `blackhole`) have their type in
 * the place of the device. Throws where the text is not that.
 */
export function parseRoutes(json: string): RouteEvidence[] {
  return routes
    .parse(JSON.parse(separateEncapsulation(json)))
    .map(({ dst, dev, gateway, protocol, type, encapsulation, metrics }) => {
      const mtu = metrics?.find((metric) => metric.mtu !== undefined)?.mtu;
      return {
        destination: dst,
        device: dev ?? type ?? "none",
        ...(gateway === undefined ? {} : { via: gateway }),
        ...(mtu === undefined ? {} : { mtuBytes: mtu }),
        ...(encapsulation === undefined ? {} : { tunnelEndpoint: encapsulation.dst }),
        ...(protocol === undefined ? {} : { protocol }),
      };
    });
}

/**
 * iproute2 (to 6.1 at least) prints the outer destination of an encapsulating route under the same key as the route's own:
 * `"dst":"10.42.1.0/24","encap":"ip",…,"dst":"172.30.0.6"`. A JSON parser would keep the second only.
 */
function separateEncapsulation(json: string): string {
  return json.replace(
    /"encap":"ip"(?<outer>(?:,"(?:id|src)":(?:\d+|"[^"]*"))*),"dst":"(?<dst>[^"]*)"/g,
    '"encapsulation":{"dst":"$<dst>"}',
  );
}

const addresses = z.array(
  z.object({ ifname: z.string(), mtu: z.number(), addr_info: z.array(z.object({ local: z.string() })).default([]) }),
);

/** Reads `ip -j -4 address`. Throws where the text is not that. */
export function parseAddresses(json: string): { name: string; mtuBytes: number; addresses: string[] }[] {
  return addresses.parse(JSON.parse(json)).map(({ ifname, mtu, addr_info: found }) => ({
    name: ifname,
    mtuBytes: mtu,
    addresses: found.map(({ local }) => local),
  }));
}
