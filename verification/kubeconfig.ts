import { homedir } from "node:os";
import path from "node:path";

/** The kubeconfig that is meant: the configured path, else the one of KUBECONFIG, else where kubectl has its own. */
export function kubeconfigFile(configured: string | undefined): string {
  const own = path.join(homedir(), ".kube", "config");
  const [first = own] = process.env["KUBECONFIG"]?.split(path.delimiter).filter((file) => file !== "") ?? [];
  return configured ?? first;
}
