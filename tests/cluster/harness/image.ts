import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { cacheFolder } from "../../../offline/home.ts";
import { withLock } from "../../../offline/lock.ts";

/** Under this name the image stands on every node, with `sleep infinity` as its program; pods say `imagePullPolicy: Never`. */
export const testImage = "localhost/datapath-lab-test:1";

/** What measures and what looks at the network, and what a stand-in for a network agent needs on its node. */
const packages = [
  ...["bash", "busybox", "util-linux", "procps", "iproute2", "nftables", "ethtool"],
  ...["iperf3", "tcpdump", "iputils-ping", "jq", "ncat", "curl", "ca-certificates"],
];

/** The program that cleans nodes of Cilium: in the agent's image it is the agent's own. */
const cilium = path.join(import.meta.dirname, "scripts", "cilium-cleanup");

const run = promisify(execFile);

/**
 * Makes the test image from Debian or Ubuntu packages, once a machine and package list.
 * @returns the file, a docker-archive as `ctr images import` takes it
 */
export async function testImageArchive(log: (line: string) => void): Promise<string> {
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined)
    throw new Error("/etc/os-release names no VERSION_CODENAME: the test image needs Debian or Ubuntu.");
  const key = createHash("sha256")
    .update(JSON.stringify([testImage, suite, process.arch, packages, readFileSync(cilium, "utf8")]))
    .digest("hex");
  const folder = path.join(cacheFolder(), "test-image");
  const archive = path.join(folder, `${suite}-${key.slice(0, 16)}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(folder, { recursive: true });
  return withLock(
    `${archive}.lock`,
    async () => {
      if (!existsSync(archive)) await makeArchive(archive, suite, log);
      return archive;
    },
    (owner) => log(`Waiting for process ${owner}, which is making the test image …`),
  );
}

async function makeArchive(archive: string, suite: string, log: (line: string) => void): Promise<void> {
  const started = Date.now();
  log(`Making the test image from packages of ${suite}; about 40 s …`);
  const work = mkdtempSync(`${archive}.`);
  try {
    const layer = path.join(work, "layer.tar");
    // Without a mirror in its arguments, mmdebstrap uses this machine's own package sources.
    await run(
      "mmdebstrap",
      [
        ...["--variant=essential", "--quiet", `--include=${packages.join(",")}`],
        ...["doc", "man", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
        ...[`--customize-hook=upload '${cilium}' /usr/bin/cilium`, '--customize-hook=chmod 755 "$1/usr/bin/cilium"'],
        ...[suite, layer],
      ],
      { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, maxBuffer: 16 * 1024 * 1024 },
    );
    const digest = createHash("sha256");
    await pipeline(createReadStream(layer), digest);
    const config = JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: {
        Entrypoint: ["sleep", "infinity"],
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      },
      rootfs: { type: "layers", diff_ids: [`sha256:${digest.digest("hex")}`] },
    });
    writeFileSync(path.join(work, "config.json"), config);
    const manifest = [{ Config: "config.json", RepoTags: [testImage], Layers: ["layer.tar"] }];
    writeFileSync(path.join(work, "manifest.json"), JSON.stringify(manifest));
    await run("tar", ["-C", work, "-cf", path.join(work, "image.tar"), "manifest.json", "config.json", "layer.tar"]);
    renameSync(path.join(work, "image.tar"), archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  log(`Test image: ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
