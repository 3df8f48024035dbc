import assert from "node:assert/strict";
import { HtmlValidate } from "html-validate";
import { compareAll } from "../../datapath/run/comparison.ts";
import { figuresOf } from "../../datapath/run/statistics.ts";
import { wireOf } from "../../datapath/run/run-words.ts";
import { foundPathMtu, headersOf, packetBudget } from "../../report/diagram.ts";
import { reportHtml } from "../../report/html.ts";
import { html } from "../../report/markup.ts";
import { clusterRun, contradictedRun, madeRun, withFailedSample } from "../made-runs.ts";
import { all, parsePage, textOf, texts } from "./dom.ts";

const vxlan = madeRun();
const native = madeRun({ mode: "native", seed: 3, startedAt: "2026-11-23T09:05:00.000Z" });
const both = reportHtml([vxlan, native], compareAll([vxlan, native]));
const wrong = reportHtml([contradictedRun()]);

const validator = new HtmlValidate({
  extends: ["html-validate:recommended"],
  rules: {
    // The page writes void elements as HTML, SVG's as XML; blanks at line ends come from the templates.
    "void-style": "off",
    "no-trailing-whitespace": "off",
    "long-title": ["error", { maxlength: 120 }],
  },
});

describe("reportHtml", () => {
  for (const [name, page] of Object.entries({
    "two compared runs": both,
    "a contradicted run": wrong,
    "a run of a cluster": reportHtml([clusterRun()]),
    "a run with a failed sample": reportHtml([withFailedSample(vxlan)]),
    "three datapaths, the comparison refused": reportHtml(
      [vxlan, native, madeRun({ mode: "geneve" })],
      [{ a: "vxlan", b: "native", refused: ["the kernel differs"] }],
    ),
  })) {
    it(`is valid HTML for ${name}`, async () => {
      const { results } = await validator.validateString(page);
      const messages = results.flatMap((result) =>
        result.messages.map(({ line, ruleId, message }) => `${line}: ${ruleId}: ${message}`),
      );
      assert.deepEqual(messages, []);
    });

    it(`refers to nothing outside itself for ${name}`, () => {
      assert.equal(/<script|<link|<img|@import|url\(|\b(?:src|href)=|https?:/.exec(page), null);
    });
  }

  it("starts with what was proven and what the numbers allow to say", () => {
    assert.deepEqual(texts(both, "h1"), ["VXLAN over UDP 8472 and native routing"]);
    assert.deepEqual(texts(both, ".verdicts li"), [
      "confirmed VXLAN over UDP 8472: all 36 checks on 3 nodes hold",
      "confirmed Native routing: all 36 checks on 3 nodes hold",
    ]);
    assert.match(
      texts(both, ".headline")[0] ?? "",
      /^Native is faster than VXLAN with 1 stream by 1\d % \(95 % interval: 1\d to 2\d %\); beside/,
    );
    assert.deepEqual(texts(both, "h2"), [
      "What the numbers allow to say",
      "At a glance",
      "Throughput",
      "Latency",
      "The datapath as found",
      "Requested and in effect",
      "Checks",
      "Conditions",
      "How to repeat it",
    ]);
    assert.deepEqual(texts(both, "pre"), ["npm run lab -- compare --stack local --datapaths vxlan,native --rounds 1"]);
  });

  it("breaks no line between a number and its unit", () => {
    assert.match(both, /faster than VXLAN with 1\u00a0stream by 1\d\u00a0% \(95\u00a0% interval: 1\d to 2\d\u00a0%\)/);
  });

  it("says once what several runs of a datapath have in common", () => {
    const again = madeRun({ seed: 9, startedAt: "2026-11-23T09:10:00.000Z" });
    const page = reportHtml([vxlan, native, again]);
    assert.deepEqual(texts(page, ".verdicts li"), [
      "confirmed VXLAN over UDP 8472: all 36 checks on 3 nodes hold, in each of 2 runs",
      "confirmed Native routing: all 36 checks on 3 nodes hold",
    ]);
    assert.deepEqual(texts(page, "[aria-labelledby=checks] h3"), [
      "VXLAN over UDP 8472: 36 of 36 hold, in each of 2 runs",
      "Native routing: 36 of 36 hold",
    ]);
    assert.equal(texts(page, "[aria-labelledby=checks] details").length, 3);
  });

  it("puts what was asked for beside what is in effect, datapath by datapath, with the reason where they differ", () => {
    const rows = (page: string): string[][] =>
      all(parsePage(page), "[aria-labelledby=features] tr").map((row) => all(row, "th, td").map(textOf));
    const [names, headings, routing] = rows(both);
    assert.deepEqual(names, ["Feature", "VXLAN", "native"]);
    assert.deepEqual(headings, ["Requested", "In effect", "Requested", "In effect"]);
    assert.deepEqual(routing, ["routing", "VXLAN", "VXLAN", "native, direct routes", "native, direct routes"]);
    const differing = rows(wrong).find(([name]) => name === "routing");
    assert.match(differing?.[2] ?? "", /^native on 1 of 3 nodes \(differs\) ?node-2 has no route/);
  });

  it("gives a datapath the same colour in every report", () => {
    const colour = (page: string, name: string): string | null | undefined => {
      const rows = all(parsePage(page), "svg.plot").flatMap((plot) => all(plot, "text"));
      return rows.map((row) => row.getAttribute("fill")).find((fill) => fill?.startsWith(name));
    };
    assert.equal(colour(reportHtml([native]), "var(--series"), "var(--series-2)");
    assert.equal(colour(reportHtml([vxlan]), "var(--series"), "var(--series-1)");
  });

  it("has every datapath's medians in one table, and folds what is said run by run", () => {
    const three = [vxlan, native, madeRun({ mode: "geneve", seed: 5 })] as const;
    const page = reportHtml([...three], compareAll(three));
    const rows = all(parsePage(page), "[aria-labelledby=glance] tr").map((row) => all(row, "th, td").map(textOf));
    assert.deepEqual(rows[0], ["Median", "VXLAN", "native", "Geneve"]);
    const [name, ...medians] = rows[1] ?? [];
    assert.equal(name, "TCP, 1 stream, pod to pod, Gbit/s");
    assert.deepEqual(
      medians,
      three.map((run) => ((run.throughput.podToPod["1"]?.median ?? 0) / 1e9).toFixed(1)),
    );
    assert.ok(rows.some(([title]) => title === "Round trip, pod to pod, under load, ms"));
    assert.equal(texts(page, "[aria-labelledby=throughput] details caption").length, 3);
    assert.equal(texts(reportHtml([vxlan]), "[aria-labelledby=throughput] details").length, 0);
    const caveats = texts(page, ".note").filter((text) => text.startsWith("2 runs"));
    assert.equal(caveats.length, 1, "said once, not with each comparison");
  });

  it("draws every sample, and the nodes' median beside the pods'", () => {
    const plots = all(parsePage(both), "svg.plot");
    // Two datapaths, pods, nodes and pods on one node, five rounds; UDP between nodes; then a hundred round trips of each.
    assert.deepEqual(
      plots.map((plot) => all(plot, "circle").length),
      [30, 30, 20, 20, 600, 600],
    );
    for (const plot of plots) {
      assert.equal(all(plot, "[stroke-dasharray] line").length, 2);
      assert.match(textOf(plot.querySelector("desc")), /^VXLAN pods: median [\d.]+, \d+ samples from /);
    }
  });

  it("says where an axis does not start at zero, and only there", () => {
    const axes = (page: string): string[] => texts(page, "svg.plot text").filter((text) => /^(?:Gbit|ms)/.test(text));
    assert.deepEqual(axes(both), [
      "Gbit/s (axis does not start at 0)",
      "Gbit/s (axis does not start at 0)",
      "Gbit/s (axis does not start at 0)",
      "ms",
      "ms",
    ]);
    const unlost = vxlan.samples.map((sample) =>
      sample.protocol === "udp" && sample.result.outcome === "measured"
        ? { ...sample, result: { ...sample.result, lostPackets: 0 } }
        : sample,
    );
    assert.doesNotMatch(reportHtml([{ ...vxlan, samples: unlost, ...figuresOf(unlost) }]), /NaN/);
    const apart = reportHtml([madeRun({ spread: 0.6, streams: [1] })]);
    assert.equal(axes(apart)[0], "Gbit/s");
  });

  it("names every drawing for those who don't see it", () => {
    const page = parsePage(both);
    const drawings = all(page, "figure svg");
    assert.equal(drawings.length, 10);
    for (const drawing of drawings) {
      const ids = (drawing.getAttribute("aria-labelledby") ?? "").split(" ");
      const named = ids.map((id) => textOf(page.getElementById(id)));
      assert.ok(named.length === 2 && named.every((text) => text.length > 10), ids.join());
    }
    const ids = all(page, "[id]").map((element) => element.getAttribute("id"));
    assert.equal(new Set(ids).size, ids.length);
  });

  it("puts the proof before the numbers where a check fails, failures first and open", () => {
    assert.deepEqual(texts(wrong, "h2").slice(0, 4), [
      "The datapath as found",
      "Requested and in effect",
      "Checks",
      "Throughput",
    ]);
    const [shown = "", folded = ""] = texts(wrong, "[aria-labelledby=checks] table");
    assert.match(shown, /node-3 link cilium_vxlan ?absent ?vxlan, UDP 8472, up ?fails/);
    assert.ok(shown.indexOf("fails") < shown.indexOf("not judged"));
    assert.equal(folded.includes("fails"), false);
    assert.equal(texts(wrong, "details").length, 1);
    assert.ok(texts(wrong, "svg .failed .mono").includes("expected: absent"));
    assert.ok(texts(wrong, "section p").includes("Nothing was measured: this is not the datapath that was asked for."));
  });

  it("names failed samples with their reason", () => {
    const page = reportHtml([withFailedSample(vxlan)]);
    assert.ok(texts(page, "h3").includes("Failed samples"));
    assert.ok(page.includes("iperf3: unable to connect to server: Connection refused"));
  });

  it("escapes what runs say", () => {
    const [first, ...others] = vxlan.checks;
    assert.ok(first);
    const evil = '<script>alert("x")</script>';
    const page = reportHtml([{ ...vxlan, checks: [{ ...first, found: evil, ok: false }, ...others], kernel: evil }]);
    assert.equal(page.includes("<script"), false);
    assert.ok(page.includes("&lt;script&gt;alert(&quot;x&quot;)"));
  });
});

describe("a run of a cluster, on the page", () => {
  const run = clusterRun();
  const page = reportHtml([run]);

  it("shows every feature with what the agents made of it, and their own words for it", () => {
    const rows = all(parsePage(page), "[aria-labelledby=features] tr").map((row) => all(row, "th, td").map(textOf));
    const masquerading = rows.find(([name]) => name === "masquerading");
    assert.match(masquerading?.[2] ?? "", /^iptables, IPv4 \(differs\)/);
    assert.equal(rows.length, (run.features ?? []).length + 1);
    assert.match(
      texts(page, "[aria-labelledby=features] li").join("\n"),
      /^native, node-1, node-2, node-3: level=warning msg="Falling back to iptables-based masquerading\."/,
    );
  });

  it("shows what else there is to know of a feature that is in effect", () => {
    const [first, ...others] = run.features ?? [];
    assert.ok(first);
    const known = reportHtml([{ ...run, features: [{ ...first, reason: "the agent logged something" }, ...others] }]);
    assert.match(
      texts(known, "[aria-labelledby=features] td").join("\n"),
      /direct routes\s*the agent logged something/,
    );
    assert.doesNotMatch(texts(known, "[aria-labelledby=features] tr").join("\n"), /^routing.*differs/m);
  });

  it("names nodes of which nothing was read", () => {
    const omittedNodes = [{ name: "node-9", reason: "no pod to verify with stands there" }];
    const values = texts(reportHtml([{ ...run, omittedNodes }]), "[aria-labelledby=conditions] dd");
    assert.ok(values.includes("node-9: no pod to verify with stands there"));
  });

  it("names the NIC that was found, and which cluster it was", () => {
    assert.ok(texts(page, "svg.path text").includes("NIC ens3"));
    assert.ok(texts(page, "dd").includes("0f0ac1f5-8c4a-4c8a-9f2f-5d1b6f3f7f11"));
  });
});

describe("conditions that are not the same in every run", () => {
  it("stand side by side, also where the comparison is refused", () => {
    const newer = { ...native, kernel: "6.8.0", nodes: native.nodes.map((node) => ({ ...node, kernel: "6.8.0" })) };
    const page = reportHtml([vxlan, newer], compareAll([vxlan, newer]));
    const values = texts(page, "[aria-labelledby=conditions] dd");
    assert.ok(values.includes("VXLAN: 6.1.0-18-amd64") && values.includes("native: 6.8.0"), values.join("\n"));
    assert.ok(values.includes("2 × AMD EPYC 7763 64-Core Processor"), "once, where all have it");
  });
});

describe("where nothing can be drawn", () => {
  const nothing = (page: string): string[] => texts(page, "[aria-labelledby=throughput] > p");

  it("says that all samples failed, not that the datapath was wrong", () => {
    const samples = vxlan.samples.map((sample) => {
      const result = { outcome: "failed" as const, reason: "Connection refused" };
      return sample.protocol === "tcp" ? { ...sample, result } : { ...sample, result };
    });
    const failed = reportHtml([{ ...vxlan, samples, ...figuresOf(samples) }]);
    assert.deepEqual(nothing(failed), ["No TCP sample succeeded: what failed stands below, with the reason."]);
    assert.deepEqual(nothing(wrong), ["Nothing was measured: this is not the datapath that was asked for."]);
  });

  it("draws no planned packet where the wire was another, and says so", () => {
    const checks = vxlan.checks.map((check) =>
      check.node === "node-2" && check.name.startsWith("pod packets on the wire inside")
        ? { ...check, found: "none", ok: false }
        : check,
    );
    const page = reportHtml([{ ...vxlan, verdict: "contradicted", checks }]);
    assert.equal(all(parsePage(page), "svg.packet").length, 0);
    assert.equal(all(parsePage(page), "svg.path .tunnel").length, 0);
    assert.match(
      texts(page, "[aria-labelledby=datapaths] .note").join(),
      /no packet is drawn, because what was on the/,
    );
  });

  it("draws the way of an encrypted packet, and says why not the packet", () => {
    const encrypted = {
      ...native,
      datapath: { ...native.datapath, encryption: "wireguard" },
      plan: native.plan.map((plan) => ({ ...plan, wire: { pods: "encrypted", protocol: "wireguard" } })),
    };
    const page = reportHtml([encrypted]);
    assert.deepEqual(texts(page, "h1"), ["Native routing, encrypted by WireGuard"]);
    assert.equal(all(parsePage(page), "svg.path .tunnel").length, 1);
    assert.equal(all(parsePage(page), "svg.packet").length, 0);
    assert.match(texts(page, "[aria-labelledby=datapaths] .note").join(), /inside an encrypted one can't be read/);
  });
});

describe("the packet diagram", () => {
  it("counts what a tunnel adds, header by header", () => {
    const wire = wireOf(vxlan);
    assert.ok(wire?.pods === "encapsulated");
    assert.deepEqual(
      headersOf(wire).map(({ name, bytes, kind }) => `${kind} ${name} ${bytes}`),
      [
        "outer Ethernet 14",
        "outer IPv4 20",
        "outer UDP 8",
        "outer VXLAN 8",
        "inner Ethernet 14",
        "inner IPv4 20",
        "inner TCP 32",
      ],
    );
    assert.deepEqual(packetBudget(wire, 1450), { frameBytes: 1514, overheadBytes: 50, payloadBytes: 1398 });
  });

  it("adds nothing to a native packet, and both frames fill the same NIC", () => {
    const wire = wireOf(native);
    assert.ok(wire?.pods === "bare");
    assert.deepEqual(packetBudget(wire, 1500), { frameBytes: 1514, overheadBytes: 0, payloadBytes: 1448 });
  });

  it("goes by the path MTU that was found, the smallest of all", () => {
    assert.equal(foundPathMtu(vxlan), 1450);
    const [first] = vxlan.checks.filter(({ name }) => name.startsWith("path MTU"));
    assert.ok(first);
    assert.equal(foundPathMtu({ checks: [...vxlan.checks, { ...first, found: "1422 bytes", ok: false }] }), 1422);
    assert.equal(foundPathMtu({ checks: [{ ...first, found: "no packet passes" }] }), undefined);
  });

  it("is drawn to scale", () => {
    const page = parsePage(both);
    const widths = (selector: string): number[] => all(page, selector).map((bar) => Number(bar.getAttribute("width")));
    const outer = widths("#packet-0-title ~ rect.outer");
    const payload = widths("#packet-0-title ~ rect.payload");
    assert.equal(outer.length, 4);
    const sum = outer.reduce((all, one) => all + one, 0);
    assert.ok(Math.abs(sum / (payload[0] ?? 1) - 50 / 1398) < 0.002, `${sum} of ${payload[0] ?? 0}`);
  });
});

describe("html", () => {
  it("escapes text, also in attributes, and nothing twice", () => {
    const part = html`<b title="${'a"b'}">${"<&>"}</b>`;
    assert.equal(html`<p>${[part, undefined, 3]}</p>`.text, '<p><b title="a&quot;b">&lt;&amp;&gt;</b>3</p>');
  });
});
