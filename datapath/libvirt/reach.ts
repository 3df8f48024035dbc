/** Why libvirt can't be asked, and what to do about it. */
export interface LibvirtProblem {
  readonly found: string;
  readonly wayOut: string;
}

/** Ways out by what virsh says; the first that fits. */
const waysOut: readonly (readonly [said: RegExp, wayOut: string])[] = [
  [
    /authentication|not authorized|permission denied/i,
    "Add yourself to libvirt's group, and log in again: sudo usermod -aG libvirt $USER",
  ],
  [
    /no such file or directory|connection refused/i,
    "Start libvirt: sudo systemctl start libvirtd (where it is installed: sudo apt-get install libvirt-daemon-system qemu-system-x86).",
  ],
  [
    /host key|could not resolve|connection timed out|no route to host/i,
    "Check the host in machines.uri, and that ssh reaches it from here without a question.",
  ],
];

/**
 * Reads why virsh failed.
 * @param said its standard error; absent where there is no virsh
 */
export function libvirtProblem(uri: string, said: string | undefined): LibvirtProblem {
  if (said === undefined) {
    return {
      found: "there is no virsh on this machine",
      wayOut:
        "Install libvirt's tools: sudo apt-get install libvirt-clients (and libvirt-daemon-system, for VMs here).",
    };
  }
  const lines = said.split("\n").flatMap((line) => {
    const text = line.replace(/^error:\s*/, "").trim();
    return text === "" || text === "failed to connect to the hypervisor" ? [] : [text];
  });
  return {
    found: `${uri}: ${lines.join("; ") || "no answer"}`,
    wayOut: waysOut.find(([pattern]) => pattern.test(said))?.[1] ?? "Check machines.uri with: virsh --connect URI uri",
  };
}
