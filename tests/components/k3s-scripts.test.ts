import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { quoted, remoteJobs, type RemoteJobs, type RemoteVariables } from "../../components/remote-job.ts";

const version = "v1.26.6+k3s1";
const binaryOf = (release: string): Buffer => Buffer.from(`#!/bin/sh\necho "k3s version ${release} (test)"\n`);
const sha256Of = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

describe("A value of the config, on its way to a machine", function () {
  this.timeout("1m");
  it("is the same there, whatever is in it", () => {
    const hostile = fc.constantFrom("'", "'\\''", "$(id)", "`id`", "\\", "a\nb", "-n", "*", "~", "!");
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string(), fc.string({ unit: "binary" })), (text) => {
        const value = text.replaceAll("\0", "");
        const sent = Buffer.from(value).toString();
        assert.equal(execFileSync("sh", ["-s"], { input: `printf %s ${quoted(sent)}`, encoding: "utf8" }), sent);
      }),
      { numRuns: 40 },
    );
  });
});

describe("The scripts that bring K3s to a machine", function () {
  this.timeout("1m");
  let root: string;
  let server: Server;
  let origin: string;
  /** What the mirror gives by path, and what was asked of it. */
  const served = new Map<string, Buffer>();
  let asked: string[] = [];

  before(async () => {
    server = createServer((request, response) => {
      const url = decodeURIComponent(request.url ?? "");
      const body = served.get(url);
      const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
      asked.push(`${url}${from === undefined ? "" : ` from ${from}`}`);
      if (body === undefined) {
        response.writeHead(404).end("not here");
      } else if (from === undefined) {
        response.writeHead(200, { "Content-Length": body.length }).end(body);
      } else if (Number(from) >= body.length) {
        response.writeHead(416).end();
      } else {
        const range = `bytes ${from}-${body.length - 1}/${body.length}`;
        response.writeHead(206, { "Content-Range": range }).end(body.subarray(Number(from)));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    origin = `http://127.0.0.1:${address.port}`;
  });
  after(() => server.close());
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), "datapath-lab-k3s-root-"));
    served.clear();
    asked = [];
    // Programs that would look at, or change, the machine that runs the tests.
    for (const [name, text] of Object.entries({
      uname: "echo x86_64",
      systemctl: '[ "$1" != is-enabled ] && [ "$1" != is-active ]',
      ip: "exit 0",
      tc: "exit 0",
      ipvsadm: "exit 0",
      "iptables-save": "exit 0",
      "ip6tables-save": "exit 0",
    })) {
      stub(name, text);
    }
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function stub(name: string, text: string): void {
    mkdirSync(path.join(root, "stubs"), { recursive: true });
    writeFileSync(path.join(root, "stubs", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  function place(file: string, content: string | Buffer): void {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), content);
  }
  function install(release: string): void {
    place("usr/local/bin/k3s", binaryOf(release));
    chmodSync(path.join(root, "usr/local/bin/k3s"), 0o755);
  }
  function serve(mirror: string, content = binaryOf(version), published = sha256Of(binaryOf(version))): void {
    served.set(`/${mirror}/${version}/k3s`, content);
    served.set(
      `/${mirror}/${version}/sha256sum-amd64.txt`,
      Buffer.from(`${"0".repeat(64)}  k3s-airgap-images-amd64.tar\n${published}  k3s\n`),
    );
  }

  function run(jobs: RemoteJobs, variables: RemoteVariables): Promise<{ status: number; said: string }> {
    return new Promise((resolve) => {
      const shell = spawn("sh", ["-s", "up"], {
        cwd: root,
        env: { PATH: `${root}/stubs:${process.env["PATH"] ?? ""}`, no_proxy: "127.0.0.1" },
        stdio: ["pipe", "ignore", "pipe"],
      });
      let said = "";
      shell.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
      shell.on("close", (status) => {
        resolve({ status: status ?? -1, said });
      });
      shell.stdin.end(remoteJobs(jobs, { LAB_NODE: "node-1", LAB_ROOT: root, ...variables }));
    });
  }
  const bring = (variables: RemoteVariables = {}): ReturnType<typeof run> =>
    run(
      { up: ["k3s/bring-binary"] },
      { LAB_VERSION: version, LAB_LIMIT_SECONDS: "20", LAB_URLS: `${origin}/good`, ...variables },
    );
  const release = (): string => path.join(root, "usr/local/lib/k3s", version);

  it("download a binary once, and check it against the release's checksum file", async () => {
    serve("good");
    const { status, said } = await bring();
    assert.equal(status, 0, said);
    assert.deepEqual(readFileSync(path.join(release(), "k3s")), binaryOf(version));
    assert.match((await bring()).said, /K3s v1\.26\.6\+k3s1 is here already, sha256 [0-9a-f]{64}/);
    assert.deepEqual(asked, [`/good/${version}/sha256sum-amd64.txt`, `/good/${version}/k3s`]);
    assert.deepEqual(readdirSync(release()).sort(), ["k3s", "sha256"]);
  });

  it("take the next mirror where one has it not, or not the right one", async () => {
    serve("corrupt", Buffer.from("something else"));
    serve("good");
    const urls = ["absent", "corrupt", "good"].map((mirror) => `${origin}/${mirror}`);
    const { status, said } = await bring({ LAB_URLS: urls.join("\n") });
    assert.equal(status, 0, said);
    assert.deepEqual(readFileSync(path.join(release(), "k3s")), binaryOf(version));
  });

  it("keep nothing where no mirror has it, and say what each gave", async () => {
    serve("corrupt", Buffer.from("something else"));
    served.set(`/other/${version}/sha256sum-amd64.txt`, Buffer.from("<html>\n"));
    const urls = ["absent", "corrupt", "other"].map((mirror) => `${origin}/${mirror}`);
    const { status, said } = await bring({ LAB_URLS: urls.join("\n") });
    assert.equal(status, 1);
    assert.match(said, /node-1: No URL gave K3s v1\.26\.6\+k3s1 \(k3s\.source\); nothing was installed\./);
    assert.match(said, /absent\/v1\.26\.6\+k3s1\/sha256sum-amd64\.txt: curl ended with status 22/);
    assert.match(said, /corrupt\/v1\.26\.6\+k3s1\/k3s: sha256 [0-9a-f]{64}, and the release says [0-9a-f]{64}/);
    assert.match(said, /other\/v1\.26\.6\+k3s1\/sha256sum-amd64\.txt: names no k3s/);
    assert.ok(!existsSync(path.join(release(), "k3s")) && !existsSync(path.join(release(), "k3s.partial")));
  });

  it("go on where a download was cut off", async () => {
    serve("good");
    place(`usr/local/lib/k3s/${version}/k3s.partial`, binaryOf(version).subarray(0, 10));
    const { status, said } = await bring();
    assert.equal(status, 0, said);
    assert.ok(asked.includes(`/good/${version}/k3s from 10`), asked.join());
    assert.deepEqual(readFileSync(path.join(release(), "k3s")), binaryOf(version));
  });

  it("refuse a release that is not the pinned one, before it is downloaded", async () => {
    serve("good");
    const { status, said } = await bring({ LAB_SHA256: "f".repeat(64) });
    assert.equal(status, 1);
    assert.match(said, /the release says sha256 [0-9a-f]{64}, and k3s\.source\.sha256 is f{64}/);
    assert.deepEqual(asked, [`/good/${version}/sha256sum-amd64.txt`]);
  });

  it("refuse a binary of another release than its folder says", async () => {
    const other = binaryOf("v1.26.7+k3s1");
    serve("good", other, sha256Of(other));
    const { status, said } = await bring();
    assert.equal(status, 1);
    assert.match(said, /The binary is K3s v1\.26\.7\+k3s1, and v1\.26\.6\+k3s1 was asked for\./);
    assert.ok(!existsSync(path.join(release(), "k3s")));
  });

  it("take binary and images that were copied there, without any network", async () => {
    place("datapath-lab-k3s-binary", binaryOf(version));
    place("datapath-lab-k3s-images.tar.zst", "images");
    const files = { LAB_URLS: "", LAB_FILE: "datapath-lab-k3s-binary", LAB_IMAGES: "datapath-lab-k3s-images.tar.zst" };
    const sent = { LAB_IMAGES_SHA256: sha256Of(Buffer.from("images")) };
    const { status, said } = await bring({ ...files, ...sent, LAB_SHA256: sha256Of(binaryOf(version)) });
    assert.equal(status, 0, said);
    const images = path.join(root, "var/lib/rancher/k3s/agent/images");
    assert.deepEqual(readdirSync(images), ["k3s-airgap-images.tar.zst"]);
    assert.deepEqual(readFileSync(path.join(release(), "k3s")), binaryOf(version));
    const wrong = await bring({ ...files, ...sent, LAB_SHA256: "f".repeat(64) });
    assert.match(wrong.said, /The binary that was copied here has sha256 [0-9a-f]{64}, and f{64} was asked for/);
    const cutOff = await bring({ ...files, LAB_IMAGES_SHA256: "e".repeat(64) });
    assert.match(cutOff.said, /The archive of images that was copied here has sha256 [0-9a-f]{64}, and e{64} was sent/);
    assert.deepEqual(asked, []);
  });

  for (const [installed, isRefused] of [
    ["v1.26.6+k3s1", false],
    ["v1.26.5+k3s9", false],
    ["v1.25.16+k3s4", false],
    ["v1.26.6-rc1+k3s1", false],
    ["v1.26.6+k3s2", true],
    ["v1.26.10+k3s1", true],
    ["v1.27.1+k3s1", true],
  ] as const) {
    it(`${isRefused ? "refuse" : "take"} ${version} where ${installed} is installed`, async () => {
      serve("good");
      install(installed);
      const { status, said } = await bring();
      assert.equal(status, isRefused ? 1 : 0, said);
      if (isRefused)
        assert.match(said, /is installed, and v1\.26\.6\+k3s1 is older: its data can't be read by an older one/);
    });
  }

  describe("on a machine where somebody was before", () => {
    const look = (variables: RemoteVariables = {}): ReturnType<typeof run> =>
      run({ up: ["k3s/check-leftovers"] }, { LAB_ID: "lab/one", LAB_CLEAN: "false", ...variables });

    it("name everything that is left, and stop", async () => {
      place("etc/cni/net.d/10-flannel.conflist", "{}");
      place("var/lib/kubelet/config", "");
      install("v1.24.0+k3s1");
      stub("ip", 'echo "3: flannel.1: <UP>"; echo "4: cilium_host@cilium_net: <UP>"; echo "5: eth0: <UP>"');
      stub("iptables-save", 'echo ":KUBE-SERVICES - [0:0]"; echo ":CILIUM_INPUT - [0:0]"; echo ":INPUT ACCEPT [0:0]"');
      stub("systemctl", '[ "$1" = is-enabled ] && [ "$3" = k3s ]');
      const { status, said } = await look();
      assert.equal(status, 1);
      assert.deepEqual(
        said.split("\n").filter((line) => line.startsWith("  | ")),
        [
          "  | service k3s",
          "  | /var/lib/kubelet",
          "  | /etc/cni/net.d",
          "  | /usr/local/bin/k3s",
          "  | link flannel.1",
          "  | link cilium_host",
          "  | iptables chains of CILIUM",
          "  | iptables chains of KUBE",
        ],
      );
      assert.match(said, /Set k3s\.clean to true to have them removed, or take a fresh machine\./);
    });

    it("remove it when told so, and what is not Kubernetes' stays", async () => {
      place("etc/cni/net.d/10-flannel.conflist", "{}");
      place("etc/rancher/k3s/config.yaml", "");
      place("etc/hosts", "127.0.0.1 localhost");
      const { status, said } = await look({ LAB_CLEAN: "true" });
      assert.equal(status, 0, said);
      assert.ok(!existsSync(path.join(root, "etc/cni/net.d")) && !existsSync(path.join(root, "etc/rancher")));
      assert.ok(existsSync(path.join(root, "etc/hosts")));
    });

    it("take away what Cilium has in both families and on the NIC, and nothing of LXC", async () => {
      const links = ["lxcbr0", "lxc_health@if4", "lxc807633bfedea@if6", "eth0"];
      const xdp = "    prog/xdp id 98 name cil_xdp_entry tag 614b434cd8324ecc jited";
      stub(
        "ip",
        `case "$*" in
  "-o link") ${links.map((link, index) => `[ -e gone-${link.replace(/@.*/, "")} ] || echo "${index + 2}: ${link}: <UP>"`).join("; ")}; true ;;
  "link delete "*) touch "gone-$3"; echo "$*" >>ip ;;
  "-details link show dev eth0") echo "${xdp}" ;;
  "-4 rule" | "-6 rule") echo "9:	from all fwmark 0x200/0xf00 lookup 2004" ;;
  "-4 route show "*) echo "10.42.1.0/24 via 192.0.2.2 dev eth0" ;;
  "-6 route show "*) echo "fd00::100/120 via fe80::1 dev eth0" ;;
  *" show "*) ;;
  *) echo "$*" >>ip ;;
esac`,
      );
      const { status, said } = await look({ LAB_CLEAN: "true", LAB_POD_CIDRS: "10.42.0.0/16 fd00::/104" });
      assert.equal(status, 0, said);
      assert.doesNotMatch(said, /lxcbr0/);
      const done = readFileSync(path.join(root, "ip"), "utf8").trim().split("\n");
      assert.deepEqual(
        [...new Set(done)].filter((words) => !words.includes("flush")),
        [
          "link delete lxc_health",
          "link delete lxc807633bfedea",
          "link set dev eth0 xdpdrv off",
          "link set dev eth0 xdpgeneric off",
          "-4 rule delete pref 9",
          "-6 rule delete pref 9",
          "-4 route delete 10.42.1.0/24",
          "-6 route delete fd00::100/120",
        ],
      );
    });

    it("are told by the preflight in the same words", async () => {
      place("var/lib/cni/networks", "");
      stub("ip", 'echo "3: kube-bridge: <UP>"; echo "4: lxcbr0: <UP>"');
      stub("iptables-save", 'echo ":KUBE-SERVICES - [0:0]"');
      const text = ["k3s/leftovers.sh", "machine/facts"].map((name) =>
        readFileSync(path.resolve(import.meta.dirname, "../../scripts", name), "utf8"),
      );
      const facts = execFileSync("sh", ["-s"], {
        cwd: root,
        input: text.join("\n"),
        encoding: "utf8",
        env: { PATH: `${root}/stubs:${process.env["PATH"] ?? ""}`, LAB_ROOT: root },
        stdio: ["pipe", "pipe", "ignore"],
      });
      const told = facts.split("\n").flatMap((line) => /^leftover\t(.*)/.exec(line)?.[1] ?? []);
      const { said } = await look();
      assert.deepEqual(told, ["/var/lib/cni", "link kube-bridge", "iptables chains of KUBE"]);
      assert.deepEqual(
        told,
        said.split("\n").flatMap((line) => /^ {2}\| (.*)/.exec(line)?.[1] ?? []),
      );
    });

    it("take what this lab itself brought for none", async () => {
      assert.equal((await look()).status, 0);
      place("etc/rancher/k3s/config.yaml", "");
      assert.deepEqual(await look(), { status: 0, said: "" });
    });

    it("leave another lab's K3s alone", async () => {
      assert.equal((await look({ LAB_ID: "lab/other" })).status, 0);
      const { status, said } = await look();
      assert.equal(status, 1);
      assert.match(said, /The K3s on this machine belongs to the lab lab\/other\. Destroy that/);
      assert.equal((await look({ LAB_CLEAN: "true" })).status, 0);
    });
  });

  describe("and let it run", () => {
    const states = (): string => path.join(root, "state");
    /** A service manager that starts whatever has settings without the word wrong, and counts. */
    beforeEach(() => {
      stub(
        "systemctl",
        `cd ${root}
unit() { for word; do case $word in k3s*) echo "$word" ;; esac; done; }
u=$(unit "$@")
case "$*" in
  "start --no-block "*)
    echo "$u" >>starts
    if grep -q wrong etc/rancher/k3s/config.yaml || [ -e "fails-$(readlink usr/local/bin/k3s | cut -d / -f 4)" ]; then
      echo failed >state; else echo active >state; fi ;;
  "stop "* | "disable "*) echo inactive >state ;;
  "show --property ActiveState "*) cat state ;;
  "show --property NRestarts "*) echo 0 ;;
  "is-active "*) [ "$(cat state)" = active ] ;;
  "enable "*) touch enabled ;;
  "is-enabled "*) [ -e enabled ] ;;
esac`,
      );
      stub("journalctl", "echo level=fatal; echo told to fail");
      for (const each of [version, "v1.26.9+k3s1"]) {
        place(`usr/local/lib/k3s/${each}/k3s`, binaryOf(each));
        chmodSync(path.join(root, `usr/local/lib/k3s/${each}/k3s`), 0o755);
        place(`usr/local/lib/k3s/${each}/sha256`, sha256Of(binaryOf(each)));
      }
      mkdirSync(path.join(root, "etc/systemd/system"), { recursive: true });
    });

    const configure = (variables: RemoteVariables = {}): ReturnType<typeof run> =>
      run(
        { up: ["k3s/configure"] },
        {
          LAB_ROLE: "first-server",
          LAB_VERSION: version,
          LAB_CONFIG: 'node-name: "node-1"\n',
          LAB_TOKEN: "T0kenThatNobodyMaySee",
          LAB_CLUSTER: "making-1",
          LAB_INHERITED: "{}",
          LAB_LIMIT_SECONDS: "5",
          ...variables,
        },
      );
    const upgrade = (): ReturnType<typeof run> =>
      run({ up: ["k3s/upgrade"] }, { LAB_ROLE: "first-server", LAB_VERSION: "v1.26.9+k3s1", LAB_LIMIT_SECONDS: "5" });
    const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
    const starts = (): number => (existsSync(path.join(root, "starts")) ? read("starts").trim().split("\n").length : 0);
    const mode = (file: string): string => (statSync(path.join(root, file)).mode & 0o777).toString(8);

    it("write settings and token for root alone, and start once", async () => {
      const { status, said } = await configure();
      assert.equal(status, 0, said);
      assert.equal(read("etc/rancher/k3s/config.yaml"), 'node-name: "node-1"\n');
      assert.equal(read("etc/rancher/k3s/token"), "T0kenThatNobodyMaySee\n");
      const files = ["etc/rancher/k3s/config.yaml", "etc/rancher/k3s/token", "etc/systemd/system/k3s.service"];
      assert.deepEqual(files.map(mode), ["600", "600", "644"]);
      assert.match(
        read("etc/systemd/system/k3s.service"),
        /\nType=notify\n[^]*\nExecStart=\/usr\/local\/bin\/k3s server\n/,
      );
      assert.ok(!said.includes("T0ken"));
      assert.match((await configure()).said, /K3s runs with these settings already/);
      assert.equal(starts(), 1);
    });

    for (const [what, variables] of [
      ["its settings", { LAB_CONFIG: 'node-name: "other"\n' }],
      ["what agents take from their server", { LAB_INHERITED: "disable-kube-proxy: true" }],
      ["its token", { LAB_TOKEN: "another" }],
    ] as const) {
      it(`start again where ${what} changed`, async () => {
        await configure();
        assert.equal((await configure(variables)).status, 0);
        assert.equal(starts(), 2);
      });
    }

    it("start again with another archive of images, which is imported then", async () => {
      const send = async (content: string): Promise<void> => {
        place("images.tar", content);
        const images = { LAB_IMAGES: "images.tar", LAB_IMAGES_SHA256: sha256Of(Buffer.from(content)) };
        assert.equal((await bring({ LAB_SHA256: sha256Of(binaryOf(version)), ...images })).status, 0);
        assert.equal((await configure()).status, 0);
      };
      await send("one");
      await send("one");
      assert.equal(starts(), 1);
      await send("two");
      assert.equal(starts(), 2);
    });

    it("start again what was stopped, or was changed by hand", async () => {
      await configure();
      writeFileSync(states(), "inactive\n");
      assert.equal((await configure()).status, 0);
      writeFileSync(path.join(root, "etc/rancher/k3s/config.yaml"), "by: hand\n");
      assert.equal((await configure()).status, 0);
      assert.equal(read("etc/rancher/k3s/config.yaml"), 'node-name: "node-1"\n');
      assert.equal(starts(), 3);
    });

    it("take kube-proxy's rules away while it is stopped where it is not to run, and no others", async () => {
      const rules = [
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":KUBE-SERVICES - [0:0]",
        ":KUBE-SVC-A - [0:0]",
        ":CILIUM_PRE_nat - [0:0]",
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-A PREROUTING -j CILIUM_PRE_nat",
        "-A KUBE-SERVICES -d 10.43.0.1/32 -j KUBE-SVC-A",
        "COMMIT",
        "*filter",
        ":INPUT ACCEPT [0:0]",
        "-A INPUT -s 192.0.2.99/32 -j DROP",
        "COMMIT",
      ];
      stub("iptables-save", `cat <<'RULES'\n${rules.join("\n")}\nRULES`);
      stub("iptables-restore", `{ cat '${states()}'; echo "$*"; cat; } >>${root}/restored`);
      stub("ip", "exit 1");
      await configure();
      assert.ok(!existsSync(path.join(root, "restored")), "kube-proxy runs");
      for (const told of [
        { LAB_CONFIG: "disable-kube-proxy: true\n" },
        { LAB_INHERITED: "disable-kube-proxy: true" },
      ]) {
        assert.equal((await configure(told)).status, 0);
        assert.deepEqual(read("restored").trim().split("\n"), [
          "inactive",
          "--noflush",
          "*nat",
          '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
          "-F KUBE-SERVICES",
          "-F KUBE-SVC-A",
          "-X KUBE-SERVICES",
          "-X KUBE-SVC-A",
          "COMMIT",
        ]);
        assert.equal(read("state"), "active\n");
        rmSync(path.join(root, "restored"));
      }
    });

    it("put settings back that it does not start with, and say the end of its journal", async () => {
      await configure();
      const { status, said } = await configure({ LAB_CONFIG: "wrong: true\n" });
      assert.equal(status, 1);
      assert.match(
        said,
        /K3s did not come up: the service k3s ends as soon as it starts\. The end of its journal:\n {2}\| level=fatal\n {2}\| told to fail/,
      );
      assert.match(
        said,
        /The settings of before are in place again, and K3s runs with them\. With config\.yaml it did not/,
      );
      assert.equal(read("etc/rancher/k3s/config.yaml"), 'node-name: "node-1"\n');
      assert.equal(read("state"), "active\n");
      assert.match((await configure()).said, /K3s runs with these settings already/);
    });

    it("stop what never ran, and try again the next time", async () => {
      const { status, said } = await configure({ LAB_CONFIG: "wrong: true\n" });
      assert.equal(status, 1);
      assert.match(said, /K3s never ran here before, and is stopped/);
      assert.equal(read("state"), "inactive\n");
      assert.equal((await configure()).status, 0);
    });

    it("start the release that is asked for where the one before never came up", async () => {
      place(`fails-${version}`, "");
      assert.equal((await configure()).status, 1);
      const newer = { LAB_VERSION: "v1.26.9+k3s1" };
      assert.deepEqual(await upgrade(), { status: 0, said: "" });
      const { status, said } = await configure(newer);
      assert.equal(status, 0, said);
      assert.match(said, /K3s v1\.26\.9\+k3s1 runs as server/);
      assert.match((await configure(newer)).said, /K3s runs with these settings already/);
    });

    it("go on to the new release where an upgrade was killed", async () => {
      await configure();
      rmSync(path.join(root, "var/lib/datapath-lab/k3s/applied"));
      assert.deepEqual(await upgrade(), { status: 0, said: "" });
      assert.match((await configure({ LAB_VERSION: "v1.26.9+k3s1" })).said, /K3s v1\.26\.9\+k3s1 runs as server/);
    });

    it("leave nothing of themselves behind", async () => {
      await configure();
      await configure({ LAB_CONFIG: "wrong: true\n" });
      assert.deepEqual(readdirSync(path.join(root, "var/lib/datapath-lab/k3s")).sort(), [
        "applied",
        "cluster",
        "inherited",
      ]);
      assert.deepEqual(readdirSync(path.join(root, "etc/rancher/k3s")).sort(), ["config.yaml", "token"]);
    });

    it("give a node's old certificates up where the cluster was made anew", async () => {
      const agent = { LAB_ROLE: "agent" };
      await configure(agent);
      place("var/lib/rancher/k3s/agent/client-ca.crt", "old");
      place("var/lib/rancher/k3s/agent/images/kept.tar", "kept");
      const { said } = await configure({ ...agent, LAB_CLUSTER: "making-2" });
      assert.match(said, /The cluster was made anew: this node leaves the old one/);
      assert.deepEqual(readdirSync(path.join(root, "var/lib/rancher/k3s/agent")), ["images"]);
    });

    it("make no agent of a server in passing", async () => {
      await configure();
      const { status, said } = await configure({ LAB_ROLE: "agent" });
      assert.equal(status, 1);
      assert.match(said, /This machine is a server, and its part of the datastore can't be taken from it in passing/);
    });

    it("go to another release only where one runs, with the settings that are there", async () => {
      assert.deepEqual(await upgrade(), { status: 0, said: "" });
      await configure();
      const { status, said } = await upgrade();
      assert.equal(status, 0, said);
      assert.match(said, /K3s goes from v1\.26\.6\+k3s1 to v1\.26\.9\+k3s1/);
      assert.equal(starts(), 2);
      // The step that follows finds nothing to do.
      assert.match((await configure({ LAB_VERSION: "v1.26.9+k3s1" })).said, /K3s runs with these settings already/);
      assert.equal(starts(), 2);
    });

    it("put the old release back where the new one does not start", async () => {
      await configure();
      place("fails-v1.26.9+k3s1", "");
      const { status, said } = await upgrade();
      assert.equal(status, 1);
      assert.match(said, /K3s v1\.26\.9\+k3s1 does not start: the service k3s ends as soon as it starts/);
      assert.match(said, /\| told to fail[^]*K3s v1\.26\.6\+k3s1 is back in its place and runs\./);
      assert.match((await configure()).said, /K3s runs with these settings already/);
    });
  });

  describe("and wait for its nodes", () => {
    const wait = (): ReturnType<typeof run> =>
      run({ up: ["k3s/wait-for-nodes"] }, { LAB_NODES: "node-1 node-2 node-3", LAB_LIMIT_SECONDS: "1" });
    /** What kubectl prints. */
    function nodes(...names: readonly string[]): void {
      place("usr/local/bin/k3s", `#!/bin/sh\n${names.map((name) => `echo ${name}\n`).join("")}`);
      chmodSync(path.join(root, "usr/local/bin/k3s"), 0o755);
    }

    it("name each that is not registered", async () => {
      nodes("node-1", "node-2", "node-33");
      const { status, said } = await wait();
      assert.equal(status, 1);
      assert.match(
        said,
        /Not all nodes are registered after 1 s \(k3s\.nodeLimitSeconds\):\n {2}\| node-3 is not registered: sudo journalctl/,
      );
      assert.ok(!said.includes("node-2 is not"));
      nodes("node-1", "node-2", "node-3");
      assert.deepEqual(await wait(), { status: 0, said: "" });
    });

    it("say so where the API does not answer", async () => {
      place("usr/local/bin/k3s", "#!/bin/sh\necho connection refused >&2\nexit 1\n");
      chmodSync(path.join(root, "usr/local/bin/k3s"), 0o755);
      assert.match((await wait()).said, /\| the API did not list them: connection refused/);
    });
  });

  it("let a node that was made anew join under its name again, and leave the others", async () => {
    place("usr/local/bin/k3s", `#!/bin/sh\necho "$*" >>${root}/kubectl\n`);
    chmodSync(path.join(root, "usr/local/bin/k3s"), 0o755);
    const forget = (nodes: string): ReturnType<typeof run> =>
      run({ up: ["k3s/forget-nodes"] }, { LAB_NODES: nodes, LAB_LIMIT_SECONDS: "5" });
    await forget("node-1 a\nnode-2 b");
    assert.ok(!existsSync(path.join(root, "kubectl")));
    const { said } = await forget("node-1 a\nnode-2 c");
    assert.match(said, /node-2 was made anew: its old node goes/);
    assert.deepEqual(readFileSync(path.join(root, "kubectl"), "utf8").trim().split("\n"), [
      "kubectl get --raw /readyz",
      "kubectl delete node node-2 --ignore-not-found --wait=false",
      "kubectl delete secret node-2.node-password.k3s --namespace kube-system --ignore-not-found",
    ]);
  });
});
