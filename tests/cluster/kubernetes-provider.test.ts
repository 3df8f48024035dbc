import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  AppsV1Api,
  PatchStrategy,
  RbacAuthorizationV1Api,
  setHeaderOptions,
  type CoreV1Api,
  type KubeConfig,
} from "@kubernetes/client-node";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { bgpDatapath, kubeRouter } from "../../datapath/bgp/kubernetes.ts";
import { datapath as datapathSchema } from "../../datapath/config/datapath.ts";
import type { EngineEvent, InlineStack } from "../engine/inline-stack.ts";
import type { Cluster } from "./harness/cluster.ts";
import { testImage } from "./harness/image.ts";
import { until } from "./harness/pods.ts";
import { buildLimit, clusterStack, failureOf, interruptedHelm } from "./harness/stack.ts";

/** The paths that an update changes, and how, by resource names. */
function changes(): { onEvent: (event: EngineEvent) => void; of: Record<string, Record<string, string>> } {
  const of: Record<string, Record<string, string>> = {};
  const onEvent = ({ resourcePreEvent }: EngineEvent): void => {
    if (!resourcePreEvent || resourcePreEvent.metadata.op === "same") return;
    const { urn, detailedDiff } = resourcePreEvent.metadata;
    of[urn.split("::").at(-1) ?? ""] = Object.fromEntries(
      Object.entries<{ diffKind: string }>(detailedDiff ?? {}).map(([name, { diffKind }]) => [name, diffKind]),
    );
  };
  return { onEvent, of };
}

describe("the plugin kubernetes on a real cluster, through the real engine", function () {
  this.timeout("3m");
  let cluster: Cluster;
  let config: KubeConfig;
  let core: CoreV1Api;
  let stack: InlineStack;
  let helm: string;
  let remove = (): Promise<void> => Promise.resolve();

  before(async function () {
    this.timeout(buildLimit);
    ({ cluster, config, core, stack, helm, remove } = await clusterStack({ name: "provider-test", nodes: 2 }));
    writeChart("0.1.0");
  });
  afterEach(() => stack.destroy());
  after(() => remove());

  /** A chart of one ConfigMap and one DaemonSet, whose pods are ready only when `ready` is true. */
  function writeChart(version: string): void {
    const folder = stack.file("chart");
    mkdirSync(path.join(folder, "templates"), { recursive: true });
    writeFileSync(
      path.join(folder, "Chart.yaml"),
      `apiVersion: v2\nname: tiny\nversion: ${version}\nappVersion: "7"\n`,
    );
    writeFileSync(path.join(folder, "values.yaml"), "word: default\nready: true\nnested: {}\n");
    writeFileSync(
      path.join(folder, "templates", "all.yaml"),
      `apiVersion: v1
kind: ConfigMap
metadata: { name: "{{ .Release.Name }}-words" }
data:
  word: {{ .Values.word | quote }}
  deep: {{ .Values.nested.deep | default "none" | quote }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: "{{ .Release.Name }}-agent" }
spec:
  selector: { matchLabels: { app: "{{ .Release.Name }}" } }
  template:
    metadata:
      labels: { app: "{{ .Release.Name }}" }
      annotations: { word: {{ .Values.word | quote }} }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: agent
          image: ${testImage}
          imagePullPolicy: Never
          readinessProbe: { periodSeconds: 1, exec: { command: ["{{ .Values.ready }}"] } }
`,
    );
  }

  function provider(args: kubernetes.ProviderArgs = {}): kubernetes.Provider {
    return new kubernetes.Provider("cluster", {
      kubeconfig: pulumi.secret(cluster.kubeconfig.text),
      clusterIdentifier: "test",
      ...args,
    });
  }

  function release(args: Partial<kubernetes.helm.v3.ReleaseArgs> = {}) {
    return () => {
      const made = new kubernetes.helm.v3.Release(
        "tiny",
        { name: "tiny", namespace: "kube-system", chart: "./chart", timeout: 60, ...args },
        { provider: provider() },
      );
      return Promise.resolve({ status: made.status, names: made.resourceNames });
    };
  }

  async function words(namespace = "kube-system", map = "tiny-words"): Promise<Record<string, string> | undefined> {
    return (await core.readNamespacedConfigMap({ name: map, namespace })).data;
  }

  describe("objects", () => {
    const objects =
      (word: string, options: { selector?: string; skipAwait?: boolean } = {}) =>
      (): Promise<Record<string, unknown>> => {
        const opts = { provider: provider({ enableConfigMapMutable: true }) };
        const namespace = new kubernetes.core.v1.Namespace("space", { metadata: { name: "space" } }, opts);
        const labels = { app: options.selector ?? "agent" };
        const words = new kubernetes.core.v1.ConfigMap(
          "words",
          { metadata: { namespace: namespace.metadata.name }, data: { word, other: "stays" } },
          opts,
        );
        const agent = new kubernetes.apps.v1.DaemonSet(
          "agent",
          {
            metadata: { name: "agent", namespace: namespace.metadata.name },
            spec: {
              selector: { matchLabels: labels },
              template: {
                metadata: { labels, annotations: { word } },
                spec: {
                  terminationGracePeriodSeconds: 0,
                  containers: [{ name: "main", image: testImage, imagePullPolicy: "Never" }],
                },
              },
            },
          },
          opts,
        );
        return Promise.resolve({ words: words.metadata.name, ready: agent.status.numberReady, id: agent.id });
      };

    it("previews, creates and waits, changes nothing twice, updates in place and deletes", async () => {
      assert.deepEqual(await stack.preview(objects("a")), { create: 5 });
      const outputs = await stack.up(objects("a"));
      assert.match(String(outputs["words"]), /^words-[0-9a-f]{8}$/);
      assert.equal(outputs["ready"], 2);
      assert.equal(outputs["id"], "space/agent");
      assert.deepEqual(await stack.preview(objects("a")), { same: 5 });
      assert.deepEqual(await stack.up(objects("a")), outputs);

      const previewed = changes();
      assert.deepEqual(await stack.preview(objects("b"), previewed), { same: 3, update: 2 });
      assert.deepEqual(previewed.of, {
        words: { "data.word": "update" },
        agent: { "spec.template.metadata.annotations.word": "update" },
      });
      const updated = await stack.up(objects("b"));
      assert.deepEqual(updated, outputs);
      assert.deepEqual(await words("space", String(outputs["words"])), { word: "b", other: "stays" });
      const { items } = await core.listNamespacedPod({ namespace: "space" });
      assert.deepEqual(
        items.map((pod) => pod.metadata?.annotations?.["word"]),
        ["b", "b"],
      );

      await stack.destroy();
      const { items: spaces } = await core.listNamespace();
      assert.ok(
        !spaces.some((space) => space.metadata?.name === "space"),
        "the namespace is gone when destroy returns",
      );
    });

    it("replaces what can't change in place, the old before the new where the name is given", async () => {
      await stack.up(objects("a"));
      const seen = changes();
      await stack.preview(objects("a", { selector: "other" }), seen);
      assert.equal(seen.of["agent"]?.["spec.selector.matchLabels.app"], "update-replace");
      const outputs = await stack.up(objects("a", { selector: "other" }));
      assert.equal(outputs["ready"], 2);
    });

    it("finds at refresh what was changed by hand or deleted, and fights with nobody for a field", async () => {
      const outputs = await stack.up(objects("a"));
      const map = String(outputs["words"]);
      await core.patchNamespacedConfigMap(
        { name: map, namespace: "space", body: { data: { word: "by hand" } } },
        setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
      );
      await stack.refresh();
      const seen = changes();
      await stack.preview(objects("a"), seen);
      assert.deepEqual(seen.of, { words: { "data.word": "update" } });
      await config.makeApiClient(AppsV1Api).deleteNamespacedDaemonSet({ name: "agent", namespace: "space" });
      await until("the DaemonSet gone", 20, async () => {
        const { items } = await config.makeApiClient(AppsV1Api).listNamespacedDaemonSet({ namespace: "space" });
        return items.length === 0 || undefined;
      });
      await stack.refresh();
      assert.deepEqual(await stack.preview(objects("a")), { same: 3, update: 1, create: 1 });
      assert.match(
        await failureOf(stack.up(objects("a"))),
        /conflict with "[^"]+" using v1: \.data\.word\. Another field manager owns these fields; the annotation pulumi\.com\/patchForce/,
      );
    });

    it("is a cluster whose API takes kube-router as the lab writes it, to the last field", async () => {
      const byBgp = bgpDatapath(datapathSchema.parse({ mode: "native", routes: "bgp" }));
      assert.ok(byBgp);
      const { serviceAccount, clusterRole, clusterRoleBinding, daemonSet } = kubeRouter(byBgp);
      const tried = { dryRun: "All", fieldValidation: "Strict" };
      const { namespace } = daemonSet.metadata;
      const rbac = config.makeApiClient(RbacAuthorizationV1Api);
      await core.createNamespacedServiceAccount({ namespace, body: serviceAccount, ...tried });
      await rbac.createClusterRole({ body: clusterRole, ...tried });
      await rbac.createClusterRoleBinding({ body: clusterRoleBinding, ...tried });
      const made = await config
        .makeApiClient(AppsV1Api)
        .createNamespacedDaemonSet({ namespace, body: daemonSet, ...tried });
      assert.equal(made.spec?.template.spec?.containers[0]?.args?.[0], "--run-router=true");
    });

    it("says what a pod waits for when its time is over, and keeps it in the state", async () => {
      const program = () => {
        new kubernetes.core.v1.Pod(
          "stuck",
          {
            metadata: { name: "stuck" },
            spec: { containers: [{ name: "main", image: "localhost/none:1", imagePullPolicy: "Never" }] },
          },
          { provider: provider(), customTimeouts: { create: "5s" } },
        );
        return Promise.resolve();
      };
      const failure = await failureOf(stack.up(program));
      assert.match(
        failure,
        /the resource was created, but is not ready: timed out or was canceled while waiting for Pod default\/stuck to be ready: container main: ErrImageNeverPull/,
      );
      assert.ok(stack.state().includes('"id":"default/stuck"'));
    });

    it("leaves a cluster that can't be reached out of previews, and out of deletions when told to", async () => {
      const program = (server: string, deleteUnreachable: boolean) => () => {
        const text = cluster.kubeconfig.text.replace(/server: .*/, `server: ${server}`);
        const elsewhere = provider({ kubeconfig: text, deleteUnreachable });
        new kubernetes.core.v1.ConfigMap("map", { data: { a: "b" } }, { provider: elsewhere });
        return Promise.resolve();
      };
      const nowhere = "https://127.0.0.1:1";
      const here = /server: (.*)/.exec(cluster.kubeconfig.text)?.[1] ?? "";
      assert.deepEqual(await stack.preview(program(nowhere, false)), { create: 3 });
      assert.match(
        await failureOf(stack.up(program(nowhere, false))),
        /configured Kubernetes cluster is unreachable: connect ECONNREFUSED 127\.0\.0\.1:1/,
      );
      await stack.up(program(here, false));
      // The identifier stands for the cluster, so that another address is no other cluster.
      const seen = changes();
      await stack.preview(program(nowhere, true), seen);
      assert.deepEqual(Object.keys(seen.of), ["cluster"]);
      await stack.up(program(nowhere, true));
      await stack.destroy();
    });
  });

  describe("releases", () => {
    it("previews, installs and waits, changes nothing twice, shows exactly the values that change, and uninstalls", async () => {
      const first = release({ values: { word: "a", nested: { gone: 1 } } });
      assert.deepEqual(await stack.preview(first), { create: 3 });
      const { status, names } = await stack.up(first);
      assert.deepEqual(status, {
        appVersion: "7",
        chart: "tiny",
        name: "tiny",
        namespace: "kube-system",
        revision: 1,
        status: "deployed",
        version: "0.1.0",
      });
      assert.deepEqual(names, { "ConfigMap/v1": ["tiny-words"], "DaemonSet.apps/apps/v1": ["tiny-agent"] });
      assert.deepEqual(await words(), { word: "a", deep: "none" });
      const agent = await config
        .makeApiClient(AppsV1Api)
        .readNamespacedDaemonSet({ name: "tiny-agent", namespace: "kube-system" });
      assert.equal(agent.status?.numberReady, 2, "it waited");
      assert.deepEqual(await stack.preview(first), { same: 3 });

      const second = release({ values: { word: "b", nested: { deep: "yes" } } });
      const seen = changes();
      assert.deepEqual(await stack.preview(second, seen), { same: 2, update: 1 });
      assert.deepEqual(seen.of, {
        tiny: { "values.nested.deep": "add", "values.nested.gone": "delete", "values.word": "update" },
      });
      await stack.up(second);
      assert.deepEqual(await words(), { word: "b", deep: "yes" });

      writeChart("0.2.0");
      const upgraded = changes();
      await stack.preview(second, upgraded);
      assert.deepEqual(upgraded.of, { tiny: { version: "update" } });
      writeChart("0.1.0");

      await stack.destroy();
      const left = await core.listNamespacedConfigMap({ namespace: "kube-system" });
      assert.ok(!left.items.some((map) => map.metadata?.name === "tiny-words"));
      const secrets = await core.listNamespacedSecret({ namespace: "kube-system" });
      assert.deepEqual(
        secrets.items.filter((secret) => secret.type === "helm.sh/release.v1"),
        [],
      );
    });

    it("creates a namespace, and keeps secret values out of arguments and plain state", async () => {
      const secretWord = "hunter2-in-values";
      let seen = "";
      const watch = setInterval(() => {
        seen += execFileSync("ps", ["axww", "-o", "args"], { encoding: "utf8" });
      }, 50);
      try {
        await stack.up(
          release({
            namespace: "fresh",
            createNamespace: true,
            values: { word: pulumi.secret(secretWord), nested: {} },
          }),
        );
      } finally {
        clearInterval(watch);
      }
      assert.equal((await words("fresh"))?.["word"], secretWord);
      assert.match(seen, /helm install tiny \.\/chart/);
      assert.ok(!seen.includes(secretWord));
      assert.ok(!stack.state().includes(secretWord));
    });

    it("refuses a chart that is not there, at preview", async () => {
      const failure = await failureOf(stack.preview(release({ chart: "./none" })));
      assert.match(failure, /path "\.\/none" not found; check the chart name and repository configuration\./);
    });

    it("keeps a release whose pods never get ready, as failed, and mends it with the next update", async () => {
      const failure = await failureOf(stack.up(release({ values: { ready: false }, timeout: 5 })));
      assert.match(
        failure,
        /Helm release "kube-system\/tiny" was created, but failed to initialize completely\. Use Helm CLI to investigate: failed to become available within allocated timeout\. Error: Helm Release kube-system\/tiny: .*context deadline exceeded/,
      );
      assert.ok(stack.state().includes('"status":"failed"'));
      const { status } = await stack.up(release({ values: { ready: true } }));
      assert.match(JSON.stringify(status), /"revision":2,"status":"deployed"/);
    });

    const interrupted = (helmArguments: string[], state: string): Promise<void> =>
      interruptedHelm({ helm, cluster, core }, helmArguments, state);

    it("reports a first install that was interrupted in Helm's own words", async () => {
      await interrupted(["install", "tiny", stack.file("chart"), "--set", "ready=false"], "pending-install");
      const failure = await failureOf(stack.up(release()));
      assert.match(failure, /cannot re-use a name that is still in use/);
      execFileSync(helm, [
        ...["uninstall", "tiny", "--wait", "--kubeconfig", cluster.kubeconfig.path, "--namespace", "kube-system"],
      ]);
    });

    it("reports an interrupted upgrade in Helm's own words, finds it at refresh, and a release that is gone", async () => {
      await stack.up(release());
      await interrupted(["upgrade", "tiny", stack.file("chart"), "--set", "ready=false"], "pending-upgrade");
      assert.match(
        await failureOf(stack.up(release({ values: { word: "b" } }))),
        /another operation \(install\/upgrade\/rollback\) is in progress/,
      );
      await stack.refresh();
      assert.ok(stack.state().includes('"status":"pending-upgrade"'));
      execFileSync(helm, [
        ...["uninstall", "tiny", "--wait", "--kubeconfig", cluster.kubeconfig.path, "--namespace", "kube-system"],
      ]);
      await stack.refresh();
      assert.deepEqual(await stack.preview(release()), { same: 2, create: 1 });
    });
  });

  // In a group of its own, as mocha runs tests outside of groups first.
  describe("afterwards", () => {
    it("leaves nothing of Helm's private files behind", () => {
      assert.deepEqual(
        stack.temporaryFiles().filter((name) => name.startsWith("datapath-lab-helm-")),
        [],
      );
      assert.equal(readFileSync(cluster.kubeconfig.path, "utf8"), cluster.kubeconfig.text);
    });
  });
});
