import { machinesChange } from "./scenarios/changed.ts";
import { machinesAreGiven } from "./scenarios/given.ts";
import { k3sIsBrought } from "./scenarios/k3s.ts";
import { machinesAreMade } from "./scenarios/made.ts";
import { podsAreRouted } from "./scenarios/routed.ts";
import { VmLab } from "./vm-lab.ts";

// Guests run by software emulation: all scenarios share three machines, which each takes as the one before left them.
describe("Three virtual machines", function () {
  this.timeout("15m");
  this.bail(true);
  const lab = new VmLab();
  before(async function () {
    this.timeout("20m");
    await lab.start();
  });
  after(() => lab.stop());

  describe("of kind libvirt", () => machinesAreMade(lab));
  describe("whose pods need a router,", () => podsAreRouted(lab));
  describe("and of kind hosts", () => machinesAreGiven(lab));
  describe("with K3s, by a stand-in for its binary", () => k3sIsBrought(lab));
  describe("that change and go", () => machinesChange(lab));
});
