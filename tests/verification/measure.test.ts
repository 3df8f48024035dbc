import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { kindsOfRound } from "../../datapath/run/round.ts";
import type { CommandResult, Host, Hosts } from "../../verification/hosts/host.ts";
import {
  latencyByPath,
  measuredPaths,
  measureLatency,
  measureLatencyUnderLoad,
  takeSamples,
  withServers,
  type MeasureSettings,
} from "../../verification/measure.ts";

const fixture = (file: string): string => readFileSync(path.join(import.meta.dirname, "../fixtures", file), "utf8");
const tcp = fixture("cilium-1.13.4/vxlan/iperf3-pod-to-pod.json");
const udp = fixture("iperf3-3.12/udp-with-loss.json");

const settings: MeasureSettings = {
  samples: 2,
  durationSeconds: 2,
  streams: [4, 1],
  warmUpSeconds: 0,
  udpMegabitsPerSecond: 100,
  latencyUnderLoad: true,
  sameNode: true,
};

function result(stdout: string): CommandResult {
  return { exitCode: 0, stdout: Buffer.from(stdout), stderr: "" };
}

/** Hosts that answer as real ones do, and what was asked of them, with the place in front. */
function answering(loadSays = "iperf3: interrupt - the client has terminated"): { hosts: Hosts; asked: string[] } {
  const asked: string[] = [];
  const host = (place: string): Host => ({
    run: (command) => {
      asked.push(`${place} ${command.join(" ")}`);
      if (command[0] === "ping") return Promise.resolve(result("64 bytes: icmp_seq=1 ttl=63 time=0.05 ms\n"));
      // The third pod never answers: one address is not reachable.
      if (command.includes("10.42.0.11")) return Promise.resolve(result('{"error":"unable to connect"}'));
      return Promise.resolve(result(command.includes("--udp") ? udp : tcp));
    },
    start: (command) => {
      asked.push(`${place} ${command.join(" ")}`);
      return { waitForOutput: () => Promise.resolve(), stop: () => Promise.resolve(result(loadSays)) };
    },
  });
  return {
    hosts: {
      node: (name) => host(name),
      pod: (name) => host(`${name}/pod`),
      secondPod: (name) => host(`${name}/pod-2`),
    },
    asked,
  };
}

const first = {
  name: "node-1",
  address: "172.30.0.2",
  pod: { address: "10.42.0.10" },
  secondPod: { address: "10.42.0.11" },
};
const second = { name: "node-2", address: "172.30.0.6", pod: { address: "10.42.1.10" } };

describe("what is measured", () => {
  it("pods and nodes by TCP with every number of streams and by UDP, and within a node with the least", () => {
    const paths = measuredPaths(answering().hosts, [first, second], settings);
    const kinds = kindsOfRound(
      paths.map(({ path: name }) => name),
      settings,
    ).map(({ path: name, protocol, streams }) => [name, protocol, streams].join(" "));
    assert.deepEqual(kinds, [
      "podToPod tcp 4",
      "nodeToNode tcp 4",
      "podToPod tcp 1",
      "nodeToNode tcp 1",
      "podToPodSameNode tcp 1",
      "podToPod udp 1",
      "nodeToNode udp 1",
    ]);
  });

  it("leaves out what the settings leave out, and the second pod where there is none", () => {
    const { hosts } = answering();
    const without = { ...settings, udpMegabitsPerSecond: 0, sameNode: false };
    const names = measuredPaths(hosts, [first, second], without).map(({ path: name }) => name);
    assert.equal(kindsOfRound(names, without).length, 4);
    assert.deepEqual(
      measuredPaths(hosts, [second, first], settings).map(({ path: name }) => name),
      ["podToPod", "nodeToNode"],
    );
  });

  it("in rounds, every second one in the opposite order, and keeps what failed", async () => {
    const { hosts, asked } = answering();
    const samples = [];
    for await (const sample of takeSamples(measuredPaths(hosts, [first, second], settings), settings)) {
      samples.push(sample);
    }
    assert.equal(samples.length, 14);
    assert.deepEqual(asked.slice(7), asked.slice(0, 7).toReversed());
    assert.deepEqual(
      samples.map(({ round }) => round),
      [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2],
    );
    const failed = samples.filter(({ result: { outcome } }) => outcome === "failed");
    assert.deepEqual(
      failed.map(({ path: name, result: found }) => [name, "reason" in found && found.reason]),
      [
        ["podToPodSameNode", "iperf3: unable to connect"],
        ["podToPodSameNode", "iperf3: unable to connect"],
      ],
    );
    const byUdp = samples.find(({ protocol }) => protocol === "udp");
    assert.ok(byUdp?.protocol === "udp" && byUdp.result.outcome === "measured");
    assert.deepEqual([byUdp.rateBitsPerSecond, byUdp.result.lostPackets], [1e8, 10804]);
  });

  it("leaves warm-up to iperf3, and packets by UDP fit through every tunnel", async () => {
    const { hosts, asked } = answering();
    const warm = { ...settings, samples: 1, streams: [1], warmUpSeconds: 1, sameNode: false };
    for await (const sample of takeSamples(measuredPaths(hosts, [first, second], warm), warm)) {
      assert.equal(sample.durationSeconds, 2);
    }
    const client = "iperf3 --client 10.42.1.10 --port 5201 --connect-timeout 3000 --json --time 2 --omit 1";
    assert.equal(asked[0], `node-1/pod ${client} --parallel 1`);
    assert.equal(asked[2], `node-1/pod ${client} --udp --bitrate 100M --length 1200`);
  });
});

describe("iperf3 servers", () => {
  it("listen at the far ends' own addresses; one that does not start is told, and the rest goes on", async () => {
    const started: string[] = [];
    const stopped: string[] = [];
    const host = (place: string): Host => ({
      run: () => Promise.reject(new Error(`${place} measures nothing here`)),
      start: (command) => {
        started.push(`${place} ${command.join(" ")}`);
        return {
          waitForOutput: () =>
            place === "node-2" ? Promise.reject(new Error("Address already in use")) : Promise.resolve(),
          stop: () => {
            stopped.push(place);
            return Promise.resolve(result(""));
          },
        };
      },
    });
    const hosts: Hosts = { node: host, pod: (name) => host(`${name}/pod`), secondPod: (name) => host(`${name}/pod-2`) };
    const served = await withServers(measuredPaths(hosts, [first, second], settings), (paths) =>
      Promise.resolve(paths),
    );
    assert.deepEqual(
      started.map((line) => line.replace(/ iperf3 --server --bind (\S+) .*/, " $1")),
      ["node-2/pod 10.42.1.10", "node-2 172.30.0.6", "node-1/pod-2 10.42.0.11"],
    );
    for await (const { path: name, result: found } of takeSamples(served, { ...settings, streams: [1], samples: 1 })) {
      // Whoever has the port there is not measured against.
      if (name === "nodeToNode") {
        assert.deepEqual(found, {
          outcome: "failed",
          reason: "no iperf3 server at 172.30.0.6: Address already in use",
        });
      } else assert.equal(found.outcome, "failed", "this host measures nothing");
    }
    assert.equal(stopped.length, 3);
  });
});

describe("latency", () => {
  it("is measured on every path, idle and under a load of its own", async () => {
    const { hosts, asked } = answering();
    const paths = measuredPaths(hosts, [first, second], settings);
    const idle = await latencyByPath(paths, measureLatency);
    assert.deepEqual([idle.podToPod.received, idle.podToPodSameNode?.received], [1, 1]);
    asked.length = 0;
    const loaded = await latencyByPath(paths, measureLatencyUnderLoad);
    assert.equal(loaded.nodeToNode.medianMilliseconds, 0.05);
    assert.match(asked[0] ?? "", /^node-1\/pod iperf3 --client 10\.42\.1\.10 /);
    assert.match(asked[1] ?? "", /^node-1\/pod ping .* 10\.42\.1\.10$/);
  });

  it("is no latency under load where the load ended first", async () => {
    for (const said of ["iperf Done.", "iperf3: error - unable to connect to server: Connection refused"]) {
      const [podToPod] = measuredPaths(answering(said).hosts, [first, second], settings);
      await assert.rejects(
        measureLatencyUnderLoad(podToPod),
        new Error(`the load ended before the pings did: ${said.replace(".", "")}`),
      );
    }
  });
});
