import path from "node:path";
import { cacheFolder } from "../../../offline/home.ts";
import { buildGoPrograms } from "../../../offline/kubernetes/go-build.ts";

/** As pinned in kubernetes/go.mod. */
export const kubernetesVersion = "1.26.15";

const programNames = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"];

/** The API server answers /version from the second; clients refuse a server that calls itself v0.0. */
const versionPackages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/**
 * Builds Kubernetes from its Go modules, once a machine.
 * @returns the folder with the programs
 */
export function kubernetesPrograms(log: (line: string) => void): Promise<string> {
  const [major = "", minor = ""] = kubernetesVersion.split(".");
  return buildGoPrograms(
    {
      title: "Kubernetes",
      version: kubernetesVersion,
      moduleFolder: path.join(import.meta.dirname, "kubernetes"),
      packages: Object.fromEntries(programNames.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`])),
      variables: Object.fromEntries(
        versionPackages.flatMap((versionPackage) => [
          [`${versionPackage}.gitVersion`, `v${kubernetesVersion}`],
          [`${versionPackage}.gitMajor`, major],
          [`${versionPackage}.gitMinor`, minor],
        ]),
      ),
      // Kubernetes 1.26 reaches into Go's runtime in ways that newer Go refuses without this.
      linkerFlags: ["-checklinkname=0"],
      // Without the clouds' libraries, which a test cluster never calls.
      tags: ["providerless"],
      takes: "once a machine, about four minutes on two cores",
    },
    cacheFolder(),
    log,
  );
}
