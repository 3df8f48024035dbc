import type { PackagedTool } from "../offline/packages.ts";

/** What the embedded lab needs on the machine beside Node.js. */
export const embeddedLabTools: readonly PackagedTool[] = [
  { tool: "ip", package: "iproute2" },
  { tool: "nft", package: "nftables" },
  { tool: "iperf3", package: "iperf3" },
  { tool: "tcpdump", package: "tcpdump" },
  { tool: "ping", package: "iputils-ping" },
  { tool: "ethtool", package: "ethtool" },
  { tool: "setpriv", package: "util-linux" },
  { tool: "sysctl", package: "procps" },
];

/** What it needs as well where routes come by BGP. */
export const bgpTools: readonly PackagedTool[] = [
  { tool: "bird", package: "bird2" },
  { tool: "birdc", package: "bird2" },
];
