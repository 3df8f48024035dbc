import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";

const scripts = path.resolve(import.meta.dirname, "../../scripts/libvirt");

/** The scripts, where a stub stands for virsh. Against libvirt itself they run in tests/vm. */
describe("The scripts that ask libvirt", function () {
  this.timeout("30s");
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-virsh-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** What virsh does by its words, as branches of a case; what is not named prints nothing and succeeds. */
  function virsh(branches: string): void {
    const body = `while [ "\${1#--}" != "$1" ]; do if [ "$1" = --connect ]; then shift; fi; shift; done
case "$*" in
${branches}
esac`;
    writeFileSync(path.join(folder, "virsh"), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }

  async function run(
    script: string,
    environment: Readonly<Record<string, string>> = {},
    input = "<domain/>",
  ): Promise<{ status: number | null; printed: string; said: string }> {
    const child = spawn(path.join(scripts, script), {
      env: {
        PATH: `${folder}${path.delimiter}${process.env["PATH"] ?? ""}`,
        LAB_URI: "qemu:///system",
        LAB_ID: "datapath-lab/dev",
        LAB_POOL: "datapath-lab-dev",
        LAB_NETWORK: "datapath-lab-dev",
        LAB_VOLUME: "node-1.qcow2",
        LAB_DOMAIN: "datapath-lab-dev-node-1",
        LAB_SERIAL_LOG: "/images/node-1.serial.log",
        ...environment,
      },
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const [printed, said, status] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.once("close", resolve)),
    ]);
    return { status, printed, said };
  }

  for (const script of ["sweep", "volume-down", "domain-down", "network-down"]) {
    it(`(${script}) take nothing for removed where libvirt does not answer`, async () => {
      virsh(
        "*) echo 'error: failed to connect to the hypervisor' >&2; echo 'error: Connection refused' >&2; exit 1 ;;",
      );
      const { status, said } = await run(script);
      assert.equal(status, 1);
      assert.match(
        said,
        /^libvirt does not answer at qemu:\/\/\/system; nothing was removed: error: Connection refused\nStart it /,
      );
    });

    it(`(${script}) end well where libvirt answers and nothing is left`, async () => {
      virsh("version) ;;\nlist*) ;;\n*) exit 1 ;;");
      assert.deepEqual(await run(script), { status: 0, printed: "", said: "" });
    });
  }

  describe("for what guests run on", () => {
    const probe = (create: string): ReturnType<typeof run> => {
      virsh(`vol-info*) exit 1 ;;\ndominfo*) exit 1 ;;\ncreate*) ${create} ;;`);
      return run("probe-accelerator", { LAB_PROBE: "datapath-lab-dev-probe" });
    };

    it("choose KVM where a trial guest ran on it, and emulation where there is none", async () => {
      assert.equal((await probe("exit 0")).printed, "kvm");
      const without = await probe(
        "echo \"error: unsupported configuration: domain type 'kvm' is not supported\" >&2; exit 1",
      );
      assert.deepEqual([without.status, without.printed], [0, "qemu"]);
      const closed = await probe("echo 'error: Could not access KVM kernel module: Permission denied' >&2; exit 1");
      assert.deepEqual([closed.status, closed.printed], [0, "qemu"]);
    });

    it("end where QEMU may not open a disk, which has nothing to do with KVM", async () => {
      const { status, printed, said } = await probe(
        "echo \"error: internal error: process exited: Could not open '/images/probe.img': Permission denied\" >&2; exit 1",
      );
      assert.deepEqual([status, printed], [1, ""]);
      assert.match(said, /QEMU may not open the disk of a trial guest: .*Permission denied\nLet QEMU's user/);
    });
  });
});
