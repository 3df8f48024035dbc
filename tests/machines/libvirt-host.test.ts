import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { standingOf } from "../../components/machines/libvirt-host.ts";
import { libvirtMachines } from "../../datapath/config/libvirt.ts";
import { libvirtLab } from "../../datapath/libvirt/lab.ts";
import { domainXml, networkXml } from "../../datapath/libvirt/xml.ts";

const uri = "qemu:///system";
const config = libvirtMachines.parse({ kind: "libvirt", count: 2 });
const lab = libvirtLab(config, "datapath-lab", "dev");
const [first, second] = lab.machines;

/** What a libvirt answers on which the whole lab stands, by virsh's words. */
const whole: Readonly<Record<string, string>> = {
  "net-list --name": lab.network.name,
  [`net-dumpxml --inactive ${lab.network.name}`]: networkXml(lab, config, "net-1"),
  "list --name --all": lab.machines.map(({ domain }) => domain).join("\n"),
  "list --name": lab.machines.map(({ domain }) => domain).join("\n"),
  "pool-list --name --all": lab.pool.name,
  "pool-list --name": lab.pool.name,
  [`pool-refresh ${lab.pool.name}`]: "",
  [`vol-list ${lab.pool.name}`]: ["base-0123456789ab-base-1", ...lab.machines.flatMap(({ disk, seed }) => [disk, seed])]
    .map((name) => ` ${name}   ${lab.pool.folder}/${name}`)
    .join("\n"),
  ...Object.fromEntries(
    lab.machines.map((machine) => [
      `dumpxml --inactive ${machine.domain}`,
      domainXml(lab, config, machine, "kvm", { incarnation: `made ${machine.name}`, start: "start-1" }),
    ]),
  ),
};

/** Where a stub stands for virsh, which fails with what it is told, or at what it does not know. */
describe("What stands on a libvirt host", () => {
  let folder: string;
  const searched = process.env["PATH"] ?? "";
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "datapath-lab-standing-"));
    process.env["PATH"] = `${folder}${path.delimiter}${searched}`;
  });
  afterEach(() => {
    process.env["PATH"] = searched;
    rmSync(folder, { recursive: true, force: true });
  });

  function standing(
    changes: Readonly<Record<string, string>> = {},
    failures: Readonly<Record<string, string>> = {},
  ): ReturnType<typeof standingOf> {
    const answers = Object.entries({ ...whole, ...changes }).map(([words, answer], index) => {
      writeFileSync(path.join(folder, `${index}`), answer);
      return `"${words}") cat '${folder}/${index}' ;;`;
    });
    const refusals = Object.entries(failures).map(
      ([words, said]) => `"${words}") echo "error: ${said}" >&2; exit 1 ;;`,
    );
    const script = `shift 3\ncase "$*" in\n${[...refusals, ...answers].join("\n")}\n*) exit 1 ;;\nesac\n`;
    writeFileSync(path.join(folder, "virsh"), `#!/bin/sh\n${script}`, { mode: 0o755 });
    return standingOf(lab, uri);
  }
  assert.ok(first && second);
  const machine = (found: ReturnType<typeof standingOf>, { name }: typeof first): string =>
    found.machines.get(name)?.incarnation ?? "";

  it("is what the lab wrote into it", () => {
    const found = standing();
    assert.deepEqual([found.problem, found.network, found.base], [undefined, "net-1", "1"]);
    assert.deepEqual(
      [...found.machines.values()],
      [
        { incarnation: "made node-1", start: "start-1" },
        { incarnation: "made node-2", start: "start-1" },
      ],
    );
  });

  it("is nothing where libvirt answers that there is nothing", () => {
    const empty = Object.fromEntries(Object.keys(whole).map((words) => [words, ""]));
    const found = standing(empty);
    assert.equal(found.problem, undefined);
    assert.doesNotMatch(machine(found, first), /made/);
  });

  it("has a machine that is off, and lacks the one that was undefined", () => {
    const found = standing({ "list --name": "", "list --name --all": first.domain });
    assert.equal(found.problem, undefined);
    assert.equal(machine(found, first), "made node-1");
    assert.notEqual(found.machines.get(first.name)?.start, "start-1");
    assert.doesNotMatch(machine(found, second), /made/);
  });

  for (const words of ["list --name", "list --name --all", "net-list --name", `dumpxml --inactive ${first.domain}`]) {
    it(`is unknown where virsh fails to answer: ${words}`, () => {
      const found = standing({}, { [words]: "Timed out during operation" });
      assert.equal(found.problem?.found, "qemu:///system: Timed out during operation");
    });
  }

  it("is unknown where the pool is stopped, which has to be started", () => {
    assert.deepEqual(standing({ "pool-list --name": "" }).problem, {
      found: "nobody knows which disks are in the pool datapath-lab-dev: it is not active",
      wayOut:
        "Start it: virsh --connect 'qemu:///system' pool-build datapath-lab-dev; virsh --connect 'qemu:///system' pool-start datapath-lab-dev",
    });
  });

  it("is unknown where the pool can't look into its folder, unless it is busy", () => {
    const refresh = `pool-refresh ${lab.pool.name}`;
    const gone = standing({}, { [refresh]: "cannot open directory '/images': No such file or directory" });
    assert.match(gone.problem?.found ?? "", /pool datapath-lab-dev: .*cannot open directory/);
    assert.match(gone.problem?.wayOut ?? "", /pool-build/);
    const busy = standing({}, { [refresh]: "internal error: pool 'x' has asynchronous jobs running." });
    assert.deepEqual([busy.problem, machine(busy, first)], [undefined, "made node-1"]);
  });
});
