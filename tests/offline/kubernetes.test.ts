import assert from "node:assert/strict";
import { configurationReplaces, parseConfiguration } from "../../offline/providers/kubernetes/configuration.ts";
import { readinessOf } from "../../offline/providers/kubernetes/readiness.ts";
import { takesReplacement } from "../../offline/providers/kubernetes/replacement.ts";
import { secret, unknownValue } from "../../offline/providers/properties.ts";

function kubeconfig(server: string, context = "one"): string {
  return `
current-context: ${context}
contexts: [{ name: one, context: { cluster: first } }, { name: two, context: { cluster: second } }]
clusters: [{ name: first, cluster: { server: ${server} } }, { name: second, cluster: { server: "https://second" } }]
`;
}

describe("the stand-in for kubernetes: its configuration", () => {
  it("means another cluster when the active cluster of the kubeconfig is another one", () => {
    const old = { kubeconfig: secret(kubeconfig("https://a")) };
    assert.deepEqual(configurationReplaces(old, { kubeconfig: kubeconfig("https://a") }), []);
    assert.deepEqual(configurationReplaces(old, { kubeconfig: kubeconfig("https://b") }), ["kubeconfig"]);
    assert.deepEqual(configurationReplaces(old, { kubeconfig: unknownValue }), ["kubeconfig"]);
    assert.deepEqual(configurationReplaces(old, { ...old, context: "two" }), ["context"]);
    assert.deepEqual(configurationReplaces(old, { ...old, namespace: "elsewhere" }), []);
  });

  it("means the same cluster as long as clusterIdentifier stays, and another one when that changes", () => {
    const old = { clusterIdentifier: "lab", kubeconfig: kubeconfig("https://a") };
    assert.deepEqual(configurationReplaces(old, { ...old, kubeconfig: kubeconfig("https://b") }), []);
    assert.deepEqual(configurationReplaces(old, { ...old, kubeconfig: unknownValue }), []);
    assert.deepEqual(configurationReplaces(old, { ...old, clusterIdentifier: "other" }), ["clusterIdentifier"]);
    assert.deepEqual(configurationReplaces({ kubeconfig: old.kubeconfig }, old), []);
  });

  it("reads flags as the engine passes them, and names a kubeconfig file that is not there", () => {
    assert.equal(parseConfiguration({ deleteUnreachable: "true" }).deleteUnreachable, true);
    assert.equal(parseConfiguration({ deleteUnreachable: "false" }).deleteUnreachable, false);
    assert.equal(parseConfiguration({}).namespace, "default");
    assert.equal(parseConfiguration({ kubeconfig: unknownValue }).unknown, true);
    assert.throws(
      () => parseConfiguration({ kubeconfig: "/nowhere/kubeconfig" }),
      /the provider's kubeconfig names the file \/nowhere\/kubeconfig, which does not exist/,
    );
  });
});

describe("the stand-in for kubernetes: update or replacement", () => {
  const options = { configMapsMutable: false, secretsMutable: false };
  const replaced = (apiVersion: string, kind: string, path: string): boolean =>
    takesReplacement({ apiVersion, kind, isImmutable: false }, path, options);

  it("replaces on another name or namespace and on what a kind can't change", () => {
    assert.equal(replaced("apps/v1", "DaemonSet", "metadata.name"), true);
    assert.equal(replaced("v1", "Service", "metadata.namespace"), true);
    assert.equal(replaced("apps/v1", "DaemonSet", "spec.selector.matchLabels.app"), true);
    assert.equal(replaced("v1", "ConfigMap", "data.key"), true);
    assert.equal(replaced("v1", "Pod", "spec.containers[0].image"), true);
    assert.equal(replaced("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "roleRef.name"), true);
  });

  it("updates everything else in place", () => {
    assert.equal(replaced("apps/v1", "DaemonSet", "spec.template.spec.containers[0].image"), false);
    assert.equal(replaced("apps/v1", "DaemonSet", "metadata.labels.name"), false);
    assert.equal(replaced("v1", "Pod", "metadata.annotations.note"), false);
    assert.equal(replaced("v1", "Pod", "spec.tolerations[0]"), false);
    assert.equal(replaced("example.com/v1", "ConfigMap", "data.key"), false);
    const mutable = { configMapsMutable: true, secretsMutable: false };
    const map = { apiVersion: "v1", kind: "ConfigMap" };
    assert.equal(takesReplacement({ ...map, isImmutable: false }, "data.key", mutable), false);
    assert.equal(takesReplacement({ ...map, isImmutable: true }, "data.key", mutable), true);
  });
});

describe("the stand-in for kubernetes: readiness", () => {
  const daemonSet = (observedGeneration: number, updated: number, available: number): unknown => ({
    metadata: { generation: 2 },
    spec: { updateStrategy: { type: "RollingUpdate" } },
    status: {
      observedGeneration,
      desiredNumberScheduled: 3,
      updatedNumberScheduled: updated,
      numberAvailable: available,
    },
  });

  it("takes a DaemonSet for ready when the newest generation runs on every node", () => {
    const ready = (live: unknown): unknown => readinessOf("apps/v1", "DaemonSet", live);
    assert.deepEqual(ready(daemonSet(2, 3, 3)), { ready: true });
    assert.deepEqual(ready(daemonSet(1, 3, 3)), {
      ready: false,
      waiting: "the controller has not seen the change yet",
    });
    assert.deepEqual(ready(daemonSet(2, 2, 3)), { ready: false, waiting: "2 of 3 pods are updated" });
    assert.deepEqual(ready(daemonSet(2, 3, 1)), { ready: false, waiting: "1 of 3 pods are available" });
  });

  it("says why a pod waits, and gives up on a job that failed", () => {
    const pod = {
      status: {
        phase: "Pending",
        containerStatuses: [
          { name: "main", state: { waiting: { reason: "ImagePullBackOff", message: "no such host" } } },
        ],
      },
    };
    assert.deepEqual(readinessOf("v1", "Pod", pod), {
      ready: false,
      waiting: "container main: ImagePullBackOff: no such host",
    });
    const job = { status: { conditions: [{ type: "Failed", status: "True", reason: "BackoffLimitExceeded" }] } };
    assert.deepEqual(readinessOf("batch/v1", "Job", job), {
      ready: false,
      waiting: "BackoffLimitExceeded",
      failed: true,
    });
    assert.deepEqual(readinessOf("v1", "ConfigMap", {}), { ready: true });
  });
});
