import assert from "node:assert/strict";
import { accessCommands } from "../../../datapath/cilium/access.ts";
import { agentImage } from "../../../datapath/cilium/agent-image.ts";
import { datapath } from "../../../datapath/config/datapath.ts";

const access = (section: Record<string, unknown>): unknown =>
  accessCommands(datapath.parse({ mode: "vxlan", ...section }));

describe("Commands that reach Hubble", () => {
  it("are there for what was asked for alone", () => {
    assert.deepEqual(access({}), {});
    assert.deepEqual(access({ hubble: { enabled: false, relay: true, ui: true } }), {});
    assert.deepEqual(access({ hubble: { relay: true } }), {
      hubbleRelay: "kubectl --namespace kube-system port-forward service/hubble-relay 4245:80",
    });
    assert.deepEqual(access({ hubble: { relay: true, ui: true } }), {
      hubbleRelay: "kubectl --namespace kube-system port-forward service/hubble-relay 4245:80",
      hubbleUi: "kubectl --namespace kube-system port-forward service/hubble-ui 12000:80",
    });
  });

  it("take the port that the chart's own values give the service", () => {
    const relay = (values: Record<string, unknown>): unknown => access({ hubble: { relay: true }, values });
    assert.match(JSON.stringify(relay({ "hubble.relay.tls.server.enabled": true })), /hubble-relay 4245:443"/);
    assert.match(JSON.stringify(relay({ "hubble.relay.servicePort": 8080 })), /hubble-relay 4245:8080"/);
  });
});

describe("The agent's image", () => {
  it("is the chart's, unless the values name another, a digest, a pull policy or secrets", () => {
    assert.deepEqual(agentImage({}), {
      image: "quay.io/cilium/cilium:v1.13.4@sha256:bde8800d61aaad8b8451b10e247ac7bdeb7af187bb698f83d40ad75a38c1ee6b",
      imagePullPolicy: "IfNotPresent",
      imagePullSecrets: [],
    });
    assert.deepEqual(
      agentImage({
        image: { repository: "mirror.test/cilium", digest: "sha256:aa", pullPolicy: "Never" },
        imagePullSecrets: [{ name: "mirror" }],
      }),
      { image: "mirror.test/cilium:v1.13.4@sha256:aa", imagePullPolicy: "Never", imagePullSecrets: ["mirror"] },
    );
    assert.equal(agentImage({ image: { useDigest: false } }).image, "quay.io/cilium/cilium:v1.13.4");
    assert.equal(agentImage({ image: { override: "localhost/own:1", tag: "unread" } }).image, "localhost/own:1");
  });
});
