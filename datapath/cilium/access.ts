import type { Datapath } from "../config/datapath.ts";
import { chartValue } from "./helm-values.ts";

/** Commands with which a person reaches what Cilium serves inside the cluster; they run until they are interrupted. */
export interface AccessCommands {
  /** Absent where Hubble relay was not asked for. Afterwards: `hubble observe`, which looks at port 4245. */
  readonly hubbleRelay?: string;
  /** Absent where Hubble's UI was not asked for. Afterwards: http://localhost:12000. */
  readonly hubbleUi?: string;
}

const forward = "kubectl --namespace kube-system port-forward service/";

/** How to reach what a datapath has Cilium serve (ports: 1.13.4 hubble-relay/service.yaml, hubble-ui/service.yaml). */
export function accessCommands(datapath: Datapath): AccessCommands {
  const { enabled, relay, ui } = datapath.hubble;
  const secure = chartValue(datapath, "hubble.relay.tls.server.enabled") === true;
  const chosen = chartValue(datapath, "hubble.relay.servicePort");
  const port = typeof chosen === "number" ? chosen : secure ? 443 : 80;
  return {
    ...(enabled && relay ? { hubbleRelay: `${forward}hubble-relay 4245:${port}` } : {}),
    ...(enabled && ui ? { hubbleUi: `${forward}hubble-ui 12000:80` } : {}),
  };
}
