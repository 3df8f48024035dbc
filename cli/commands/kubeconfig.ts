import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";
import { configOf, type Command } from "../call.ts";
import { open } from "../operation.ts";

const withCluster = z.looseObject({ machines: z.looseObject({ kind: z.enum(["libvirt", "hosts"]) }) });

/** Prints a secret: the only command that does. */
export const kubeconfig: Command = async (call) => {
  const config = await configOf(call);
  if (!withCluster.safeParse(config).success) {
    throw new Error(
      `Stack ${call.stack} has no kubeconfig to print: its lab makes no cluster.\n` +
        `A lab on machines of kind libvirt or hosts does: npm run lab -- kubeconfig --stack dev`,
    );
  }
  const { stack } = await open(call, config);
  const text = kubeconfigOf(call.stack, await stack.outputs());
  call.print(call.json ? `${JSON.stringify({ kubeconfig: text }, undefined, 2)}\n` : text);
  return 0;
};

/** The kubeconfig among a stack's outputs. Throws where its cluster was not made yet. */
export function kubeconfigOf(stack: string, outputs: OutputMap): string {
  const { data: text } = z.string().safeParse(outputs["kubeconfig"]?.value);
  if (text !== undefined) return text;
  throw new Error(
    `Stack ${stack} has no kubeconfig yet: its cluster was not made.\nMake it: npm run lab -- up --stack ${stack}`,
  );
}
