import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { Exec, KubeConfig, type V1Pod, type V1Status } from "@kubernetes/client-node";
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
 * Runs a command in a pod through the API server.
 * @returns what it printed on standard output
 * @throws Error with what it printed on standard error, when it does not end with status 0
 */
export async function execInPod(
  config: KubeConfig,
  pod: { namespace: string; name: string },
  command: string[],
): Promise<string> {
  const [output, errors] = [new PassThrough(), new PassThrough()];
  let printed = "";
  let complaints = "";
  output.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  errors.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const status = await new Promise<V1Status>((resolve, reject) => {
    new Exec(config)
      .exec(pod.namespace, pod.name, "", command, output, errors, null, false, resolve)
      .then((socket: unknown) => {
        if (!(socket instanceof EventEmitter)) return;
        socket.once("close", () => reject(new Error(`the connection to ${pod.namespace}/${pod.name} was closed`)));
      }, reject);
  });
  if (status.status !== "Success") {
    throw new Error(
      `${command.join(" ")} in ${pod.namespace}/${pod.name}: ${status.message ?? "failed"}\n${complaints}`,
    );
  }
  return printed;
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
