import { execFileSync } from "node:child_process";
import { missingLinkKind } from "../../components/machines/namespace-host.ts";
import type { Datapath } from "../../datapath/config/datapath.ts";
import { speaksBgp, tunnelProtocol } from "../../datapath/plan/plan.ts";
import { missingTools } from "../../offline/packages.ts";
import { bgpTools, embeddedLabTools } from "../tools.ts";
import { missing, ok, warning, type NeedCheck } from "./check.ts";

/** What network namespaces on this machine need: root, tools, and links of the datapath's kind in the kernel. */
export function namespaceChecks(datapath: Datapath): NeedCheck[] {
  return [rootCheck(), toolsCheck(datapath), ...linkChecks(datapath)];
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function rootCheck(): NeedCheck {
  if (isRoot()) return ok("root", "this is root");
  try {
    execFileSync("sudo", ["-n", "true"], { stdio: "ignore" });
    return ok("root", "by sudo, which asks for no password");
  } catch {
    return missing(
      "root",
      "neither root, nor sudo without a password",
      "Run the lab as root, or allow this user sudo without a password.",
    );
  }
}

function toolsCheck(datapath: Datapath): NeedCheck {
  const needed = [...embeddedLabTools, ...(speaksBgp(datapath) ? bgpTools : [])];
  const { tools, command, canInstall } = missingTools(needed);
  if (tools.length === 0) return ok("tools", needed.map(({ tool }) => tool).join(", "));
  const found = `missing: ${tools.join(", ")}`;
  return canInstall
    ? warning("tools", found, `The first up installs them: ${command}`)
    : missing("tools", found, `sudo ${command}`);
}

function linkChecks(datapath: Datapath): NeedCheck[] {
  const protocol = tunnelProtocol(datapath);
  if (protocol === undefined) return [];
  const name = `${protocol} in the kernel`;
  if (!isRoot()) return [warning(name, "only root can try", "Run doctor as root to know it beforehand.")];
  const reason = missingLinkKind(protocol);
  return [
    reason === undefined
      ? ok(name, "a link of that kind can be made")
      : missing(name, reason, "Choose vxlan or native, or run the lab where the kernel has them."),
  ];
}
