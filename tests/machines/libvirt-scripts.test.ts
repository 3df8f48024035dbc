import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
    // The one before may still run, which nobody may write to.
    rmSync(path.join(folder, "virsh"), { force: true });
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
        LAB_OWNER: "0123",
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

  for (const [state, isEnded] of [
    ["running", true],
    ["paused", true],
    ["shut off", false],
  ] as const) {
    it(`${isEnded ? "end" : "leave"} a machine that is ${state} before its disk is removed`, async () => {
      virsh(`domstate*) echo '${state}' ;;\ndestroy* | vol-delete*) echo "$*" >>'${folder}/done' ;;`);
      assert.equal((await run("volume-down")).status, 0);
      assert.deepEqual(readFileSync(path.join(folder, "done"), "utf8").trim().split("\n"), [
        ...(isEnded ? ["destroy datapath-lab-dev-node-1"] : []),
        "vol-delete --pool datapath-lab-dev node-1.qcow2",
      ]);
    });
  }

  describe("for the lab's pool", () => {
    /** One that stands, with these volumes in it. */
    const stands = (...volumes: readonly string[]): void =>
      virsh(`version | pool-info*) ;;
"pool-list "*) echo 'datapath-lab-dev ' ;;
pool-build*) exit 1 ;;
"vol-list "*) printf '%s\\n' ${volumes.map((name) => `' ${name}   /images/${name}'`).join(" ")} ;;
vol-info*) exit 1 ;;
list*) echo datapath-lab-dev-node-1 ;;
metadata*) echo '<lab id="datapath-lab/dev" place="x"/>' ;;
vol-create-as* | vol-delete* | destroy* | undefine* | pool-undefine*) echo "$*" >>'${folder}/done' ;;`);
    const done = (): string =>
      existsSync(path.join(folder, "done")) ? readFileSync(path.join(folder, "done"), "utf8") : "";

    it("mark it as their own, also one that an update made before it was killed", async () => {
      stands("node-1.qcow2");
      assert.equal((await run("pool-up")).status, 0);
      assert.equal(done(), "vol-create-as datapath-lab-dev owner-0123 0 --format raw\n");
      stands("owner-0123");
      assert.equal((await run("pool-up")).status, 0);
    });

    it("leave that of another lab of the same project and stack alone", async () => {
      stands("node-1.qcow2", "owner-4567");
      const { status, said } = await run("pool-up");
      assert.equal(status, 1);
      assert.match(
        said,
        /^The pool datapath-lab-dev at qemu:\/\/\/system is that of another datapath-lab\/dev, whose state/,
      );
      assert.match(said, /virsh --connect 'qemu:\/\/\/system' vol-delete --pool datapath-lab-dev owner-4567\n$/);
      const swept = await run("sweep");
      assert.deepEqual([swept.status, done()], [0, ""]);
      assert.match(swept.said, /another lab's by now: it stays/);
    });

    it("sweep their own", async () => {
      stands("owner-0123");
      assert.equal((await run("sweep")).status, 0);
      assert.match(done(), /undefine datapath-lab-dev-node-1[^]*pool-undefine datapath-lab-dev/);
    });
  });

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
