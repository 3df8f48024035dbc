import { setTimeout as delay } from "node:timers/promises";
import { KubeConfig, type V1Pod } from "@kubernetes/client-node";
import type { Cluster } from "./cluster.ts";
import { testImage } from "./image.ts";

const pollMilliseconds = 100;

/** A client configuration for a cluster, as its administrator. */
export function clientConfig(cluster: Cluster): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeconfig.text);
  return config;
}

/** A pod that runs a shell command in the test image, on a node; it ends at once when deleted, and runs wherever it is put. */
export function testPod(name: string, node: string, command: string): V1Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: name } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: "Exists" }],
      containers: [{ name: "main", image: testImage, imagePullPolicy: "Never", command: ["bash", "-c", command] }],
    },
  };
}

/**
 * Asks again and again until there is an answer.
 * @throws Error that says what was waited for, and with which error the last attempt failed, after the limit
 */
export async function until<Result>(
  what: string,
  limitSeconds: number,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  const limit = Date.now() + limitSeconds * 1000;
  let last = "";
  while (Date.now() < limit) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
      last = "";
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    await delay(pollMilliseconds);
  }
  throw new Error(`${what}: not within ${limitSeconds} s${last}`);
}
