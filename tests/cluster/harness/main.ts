// A test cluster by hand: `up NAME [--cni none] [--nodes N]` prints the kubeconfig's path and leaves the cluster standing,
// `down NAME` removes it.
import { parseArgs } from "node:util";
import { removeCluster, startCluster } from "./cluster.ts";

const usage =
  "usage: node --import tsx tests/cluster/harness/main.ts up NAME [--cni bridge|none] [--nodes N] | down NAME";

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { cni: { type: "string", default: "bridge" }, nodes: { type: "string", default: "3" } },
  });
  const [action, name, ...rest] = positionals;
  const { cni } = values;
  const nodes = Number(values.nodes);
  if (name === undefined || rest.length > 0 || (cni !== "bridge" && cni !== "none") || !(nodes >= 1 && nodes <= 200)) {
    throw new Error(usage);
  }
  switch (action) {
    case "up": {
      const cluster = await startCluster({ name, cni, nodes, log: (line) => process.stderr.write(`${line}\n`) });
      process.stdout.write(`${cluster.kubeconfig.path}\n`);
      return;
    }
    case "down":
      await removeCluster(name);
      return;
    default:
      throw new Error(usage);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
