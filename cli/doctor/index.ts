import type { LabConfig } from "../../datapath/config/index.ts";
import type { Depth, NeedCheck } from "./check.ts";
import { engineChecks } from "./engine.ts";
import { k3sChecks } from "./k3s.ts";

export type { Depth, NeedCheck } from "./check.ts";

/** Checks everything that a stack will need, before it is needed. Makes nothing, installs nothing. */
export async function needsOf(config: LabConfig, depth: Depth): Promise<NeedCheck[]> {
  const [engine, machines] = await Promise.all([engineChecks(), machineChecks(config, depth)]);
  return [...engine, ...machines];
}

async function machineChecks(config: LabConfig, depth: Depth): Promise<NeedCheck[]> {
  const { machines, datapath, k3s, cilium } = config;
  // Each kind loads what it needs alone: the Kubernetes client takes a second.
  switch (machines.kind) {
    case "namespaces": {
      const { namespaceChecks } = await import("./namespaces.ts");
      return namespaceChecks(datapath);
    }
    case "libvirt": {
      const { libvirtChecks } = await import("./libvirt.ts");
      const { chartChecks } = await import("./cluster.ts");
      return [
        ...(await libvirtChecks(machines, datapath, depth)),
        ...(await k3sChecks(k3s, depth)),
        ...(await chartChecks(cilium, depth)),
      ];
    }
    case "hosts": {
      const { hostChecks } = await import("./hosts.ts");
      const { chartChecks } = await import("./cluster.ts");
      return (await Promise.all([hostChecks(machines), k3sChecks(k3s, depth), chartChecks(cilium, depth)])).flat();
    }
    case "none": {
      const { chartChecks, existingClusterChecks } = await import("./cluster.ts");
      return (await Promise.all([existingClusterChecks(machines, config), chartChecks(cilium, depth)])).flat();
    }
  }
}

const marks = { ok: "ok", warning: "warn", error: "FAIL" } as const;

/** One line a check, with the way out below it where there is one. */
export function describeNeeds(checks: readonly NeedCheck[]): string {
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  return checks
    .flatMap(({ name, state, found, wayOut }) => [
      `${marks[state].padEnd(4)}  ${name.padEnd(width)}  ${found}`,
      ...(wayOut === undefined ? [] : [`${" ".repeat(width + 8)}${wayOut}`]),
    ])
    .map((line) => `${line}\n`)
    .join("");
}
