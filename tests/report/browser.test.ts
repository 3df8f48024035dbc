import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer, { type Browser } from "puppeteer-core";
import { ensurePackages } from "../../offline/packages.ts";
import { compareAll } from "../../datapath/run/comparison.ts";
import { reportHtml } from "../../report/html.ts";
import { contradictedRun, madeRun, withFailedSample } from "../made-runs.ts";

const vxlan = madeRun();
const native = madeRun({ mode: "native", seed: 3, startedAt: "2026-11-23T09:05:00.000Z" });
const three = [withFailedSample(vxlan), native, madeRun({ mode: "geneve", seed: 5 })] as const;
const long = "a.very.long.name.without.any.blank".repeat(8);
const [firstCheck, ...otherChecks] = contradictedRun().checks;
assert.ok(firstCheck);

const pages = {
  compared: reportHtml([vxlan, native], compareAll([vxlan, native])),
  contradicted: reportHtml([contradictedRun()]),
  "three-datapaths": reportHtml([...three], compareAll(three)),
  refused: reportHtml([vxlan, native], [{ a: "vxlan", b: "native", refused: ["the kernel differs"] }]),
  "long-words": reportHtml([
    { ...contradictedRun(), kernel: long, checks: [{ ...firstCheck, found: long, ok: false }, ...otherChecks] },
  ]),
};
/** To be looked at; git ignores the folder. */
const screenshots = path.join(".lab", "screenshots");

describe("the report in Chromium", function () {
  this.timeout(180_000);
  let browser: Browser | undefined;
  let folder: string;
  let inThePage: string;

  before(async function () {
    // A machine that lacks Chromium downloads a hundred megabytes first.
    this.timeout(600_000);
    await ensurePackages([{ tool: "chromium", package: "chromium" }], (line) => process.stderr.write(`${line}\n`));
    folder = await mkdtemp(path.join(tmpdir(), "datapath-lab-chromium-"));
    inThePage = await readFile(path.join(import.meta.dirname, "in-the-page.js"), "utf8");
    await mkdir(screenshots, { recursive: true });
    browser = await puppeteer.launch({
      executablePath: "/usr/bin/chromium",
      userDataDir: path.join(folder, "profile"),
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  });

  after(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  for (const [name, html] of Object.entries(pages)) {
    for (const { device, width } of [
      { device: "phone", width: 375 },
      { device: "desktop", width: 1280 },
    ]) {
      for (const scheme of ["light", "dark"]) {
        it(`is laid out well: ${name}, ${device}, ${scheme}`, async () => {
          assert.ok(browser);
          const file = path.join(folder, `${name}.html`);
          await writeFile(file, html);
          const page = await browser.newPage();
          try {
            await page.setViewport({ width, height: 800, deviceScaleFactor: 1 });
            await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
            const requests: string[] = [];
            page.on("request", (request) => requests.push(request.url()));
            await page.goto(pathToFileURL(file).href);
            assert.deepEqual(await page.evaluate(inThePage), []);
            assert.deepEqual(requests, [pathToFileURL(file).href]);
            await page.screenshot({ path: path.join(screenshots, `${name}-${device}-${scheme}.png`), fullPage: true });
          } finally {
            await page.close();
          }
        });
      }
    }
  }

  it("would notice text that can't be read and what does not fit", async () => {
    assert.ok(browser);
    const page = await browser.newPage();
    try {
      await page.setViewport({ width: 375, height: 800 });
      await page.setContent('<p style="color:#aaa;background:#fff;width:900px">pale</p>');
      assert.deepEqual(await page.evaluate(inThePage), [
        "the page is 908 px wide in a window of 375 px",
        '<p> "pale" has a contrast of 2.32',
        "only 1 elements with text were found",
      ]);
    } finally {
      await page.close();
    }
  });
});
