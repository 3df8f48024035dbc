import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { commands } from "../../cli/commands/index.ts";
import { labProgram } from "../../cli/program.ts";
import { suites } from "../suites.ts";

const root = path.resolve(import.meta.dirname, "../..");

function markdownBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join(folder, name));
}

const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "offline/README.md", "docs", "examples"].flatMap(
  (place) => (place.endsWith(".md") ? [place] : markdownBelow(place)),
);

/** A page without its blocks of code, in which nothing is a link. */
function prose(page: string): string {
  return readFileSync(path.join(root, page), "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
}

/** As GitHub makes a heading's anchor. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
}

function anchorsOf(file: string): string[] {
  return [...prose(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchor(heading));
}

interface Link {
  readonly page: string;
  readonly text: string;
  /** Relative to the project; the page itself where the link is an anchor alone. */
  readonly file: string;
  readonly anchor: string | undefined;
}

const links = pages.flatMap((page) =>
  [...prose(page).matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)].flatMap(([, text = "", target = ""]): Link[] => {
    if (target.includes("://")) return [];
    const [file = "", named] = target.split("#");
    const whole = file === "" ? page : path.normalize(path.join(path.dirname(page), file));
    return [{ page, text, file: whole, anchor: named }];
  }),
);

/** Spans of code that look like a file of the project: with a folder in front that there is. */
const namedFiles = pages.flatMap((page) =>
  [...prose(page).matchAll(/`([\w@.-]+(?:\/[\w@.-]+)+\/?)`/g)].flatMap(([, name = ""]) => {
    const first = name.split("/")[0] ?? "";
    const isOurs = existsSync(path.join(root, first)) && first !== "node_modules";
    return isOurs && !first.startsWith(".lab") ? [{ page, name }] : [];
  }),
);

describe("pages", () => {
  it("link only to what there is", () => {
    assert.ok(links.length > 20, "hardly any link was found");
    const broken = links.filter(({ file }) => !existsSync(path.join(root, file)));
    assert.deepEqual(broken, []);
  });

  it("link only to headings that there are", () => {
    const broken = links.filter((link) => link.anchor !== undefined && !anchorsOf(link.file).includes(link.anchor));
    assert.deepEqual(broken, []);
  });

  it("name only files that there are", () => {
    assert.ok(namedFiles.length > 20, "hardly any file was found");
    const broken = namedFiles.filter(({ name }) => !existsSync(path.join(root, name)));
    assert.deepEqual(broken, []);
  });

  it("find a function where they link to it", () => {
    const named = links.flatMap(({ page, text, file }) => {
      const symbol = /^`(\w+)`$/.exec(text)?.[1];
      return symbol === undefined || !statSync(path.join(root, file)).isFile() ? [] : [{ page, symbol, file }];
    });
    assert.ok(named.length > 10, "hardly any function was found");
    const broken = named.filter(
      ({ symbol, file }) =>
        !new RegExp(`export (?:default )?(?:async )?(?:function\\*?|class|const|interface|type) ${symbol}\\b`).test(
          readFileSync(path.join(root, file), "utf8"),
        ),
    );
    assert.deepEqual(broken, []);
  });

  it("keep npm's own lines out of what they write to a file or another program", async () => {
    let help = "";
    const print = (text: string): void => void (help += text);
    await labProgram(["--help"], { signal: new AbortController().signal, environment: {}, log: print, print });
    const texts = [help, ...pages.map((page) => readFileSync(path.join(root, page), "utf8"))];
    const piped = texts.flatMap((text) => text.match(/npm run [^`\n]* [|>] *[\w./].*/g) ?? []);
    assert.ok(piped.length > 1, "nothing is written to a file");
    assert.deepEqual(
      piped.filter((call) => !call.startsWith("npm run --silent ")),
      [],
    );
  });

  it("call only commands, suites and npm scripts that there are", () => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const suiteNames = suites.map(({ name }) => name);
    const wrong = pages.flatMap((page) => {
      const text = readFileSync(path.join(root, page), "utf8");
      const labs = [...text.matchAll(/npm run (?:--silent )?lab -- ([a-z]+)/g)].map(([call, name = ""]) => ({
        call,
        known: Object.hasOwn(commands, name),
      }));
      const tests = [...text.matchAll(/npm test -- ([a-z ]+)/g)].flatMap(([call, names = ""]) =>
        names
          .trim()
          .split(" ")
          .slice(0, 1)
          .map((name) => ({ call, known: suiteNames.includes(name) })),
      );
      const runs = [...text.matchAll(/npm run ([a-z][a-z:-]*)/g)].map(([call, name = ""]) => ({
        call,
        known: Object.hasOwn(scripts, name),
      }));
      return [...labs, ...tests, ...runs].filter(({ known }) => !known).map(({ call }) => `${page}: ${call}`);
    });
    assert.deepEqual(wrong, []);
  });
});
