import { existsSync } from "node:fs";
import { expandHome } from "../../components/local-file.ts";
import type { K3sConfig } from "../../datapath/config/k3s.ts";
import { missing, ok, type Depth, type NeedCheck } from "./check.ts";
import { urlCheck } from "./reach.ts";

/** Where K3s comes from. The machines download it themselves: what this machine reaches is a hint of what they do. */
export async function k3sChecks({ source, version }: K3sConfig, depth: Depth): Promise<NeedCheck[]> {
  if (source.kind === "files") {
    return [source.binary, ...(source.images === undefined ? [] : [source.images])].map((file) =>
      existsSync(expandHome(file))
        ? ok("K3s", file)
        : missing("K3s", `there is no ${file}`, "Write the files' paths as k3s.source.binary and .images."),
    );
  }
  const [url = ""] = source.urls;
  const sums = `${url}/${version}/sha256sum-amd64.txt`;
  return urlCheck("K3s's release", sums, "Give a mirror (k3s.source.urls), or files (k3s.source.kind: files).", depth);
}
