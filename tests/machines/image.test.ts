import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

const script = path.resolve(import.meta.dirname, "../../scripts/libvirt/image");
const image = randomBytes(300_000);
const sha256 = createHash("sha256").update(image).digest("hex");

describe("The base image", () => {
  let cache: string;
  let server: Server;
  let origin: string;
  /** What the server gives by path, and what was asked of it. */
  const served = new Map<string, Buffer>();
  let asked: string[] = [];

  before(async () => {
    server = createServer((request, response) => {
      const body = served.get(request.url ?? "");
      const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
      if (request.method === "GET") asked.push(`${request.url ?? ""}${range === undefined ? "" : ` from ${range}`}`);
      if (body === undefined) {
        response.writeHead(404).end("<html>not here</html>");
      } else if (range === undefined) {
        response.writeHead(200, { "Content-Length": body.length }).end(request.method === "HEAD" ? "" : body);
      } else if (Number(range) >= body.length) {
        response.writeHead(416).end();
      } else {
        const rest = body.subarray(Number(range));
        const where = `bytes ${range}-${body.length - 1}/${body.length}`;
        response.writeHead(206, { "Content-Length": rest.length, "Content-Range": where }).end(rest);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    origin = `http://127.0.0.1:${address.port}`;
  });
  after(() => server.close());
  beforeEach(() => {
    cache = mkdtempSync(path.join(tmpdir(), "datapath-lab-image-"));
    served.clear();
    served.set("/good", image);
    asked = [];
  });
  afterEach(() => rmSync(cache, { recursive: true, force: true }));

  function bring(
    environment: Readonly<Record<string, string>>,
  ): Promise<{ status: number; file: string; said: string }> {
    return new Promise((resolve) => {
      const env = {
        PATH: process.env["PATH"] ?? "",
        no_proxy: "127.0.0.1",
        LAB_CACHE: cache,
        LAB_IMAGE_SHA256: sha256,
        LAB_IMAGE_FORMAT: "raw",
        LAB_IMAGE_DISK_BYTES: "1000000",
        ...environment,
      };
      execFile(script, { env }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code), file: stdout, said: stderr });
      });
    });
  }
  const kept = (): string[] => readdirSync(path.join(cache, "images")).filter((name) => !name.endsWith(".lock"));

  it("is downloaded once", async () => {
    const { status, file, said } = await bring({ LAB_IMAGE_URLS: `${origin}/good` });
    assert.equal(status, 0, said);
    assert.deepEqual(readFileSync(file), image);
    assert.equal((await bring({ LAB_IMAGE_URLS: `${origin}/good` })).file, file);
    assert.deepEqual(asked, ["/good"]);
    assert.deepEqual(kept(), [`${sha256}.img`]);
  });

  it("goes on where an earlier download was cut off", async () => {
    mkdirSync(path.join(cache, "images"));
    writeFileSync(path.join(cache, "images", `${sha256}.img.partial`), image.subarray(0, 100_000));
    const { status, file, said } = await bring({ LAB_IMAGE_URLS: `${origin}/good` });
    assert.equal(status, 0, said);
    assert.deepEqual(readFileSync(file), image);
    assert.deepEqual(asked, ["/good from 100000"]);
  });

  it("comes from the next URL where one has none, or another", async () => {
    served.set("/other", randomBytes(1000));
    const urls = `${origin}/none ${origin}/other ${origin}/good`;
    const { status, file, said } = await bring({ LAB_IMAGE_URLS: urls });
    assert.equal(status, 0, said);
    assert.deepEqual(readFileSync(file), image);
    assert.deepEqual(asked, ["/none", "/other", "/good"]);
  });

  it("is refused and not kept where no URL gives what was asked for", async () => {
    const other = randomBytes(1000);
    served.set("/other", other);
    const { status, file, said } = await bring({ LAB_IMAGE_URLS: `${origin}/other ${origin}/none` });
    assert.deepEqual([status, file], [1, ""]);
    assert.match(said, new RegExp(`no URL gave the image with sha256 ${sha256}; nothing was kept`));
    assert.match(said, new RegExp(`/other: sha256 ${createHash("sha256").update(other).digest("hex")}`));
    assert.match(said, /\/none: curl ended with status 22/);
    assert.match(said, /Set machines\.image\.urls and machines\.image\.sha256/);
    assert.deepEqual(kept(), []);
  });

  it("is downloaded again where the cached file was damaged", async () => {
    const { file } = await bring({ LAB_IMAGE_URLS: `${origin}/good` });
    writeFileSync(file, "damaged");
    const again = await bring({ LAB_IMAGE_URLS: `${origin}/good` });
    assert.match(again.said, /The cached image was damaged/);
    assert.deepEqual(readFileSync(again.file), image);
  });

  it("is refused as a file of this machine where it is another one, of another format, or not there", async () => {
    const file = path.join(cache, "mine.img");
    writeFileSync(file, image);
    assert.equal((await bring({ LAB_IMAGE_PATH: file })).file, file);
    const other = await bring({ LAB_IMAGE_PATH: file, LAB_IMAGE_SHA256: "0".repeat(64) });
    assert.match(
      other.said,
      new RegExp(`is not the image that was asked for\\.\\s+expected sha256 0{64}\\s+found +${sha256}`),
    );
    const qcow2 = await bring({ LAB_IMAGE_PATH: file, LAB_IMAGE_FORMAT: "qcow2" });
    assert.match(qcow2.said, /is no qcow2 image: set machines\.image\.format to raw/);
    assert.match((await bring({ LAB_IMAGE_PATH: `${file}.none` })).said, /there is no file .* that can be read/);
  });
});
