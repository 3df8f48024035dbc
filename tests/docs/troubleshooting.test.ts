import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");

/** Everything that prints something to a person, in one text. */
const sources = ["cli", "components", "datapath", "offline", "report", "scripts", "verification"]
  .flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
      path.join(root, folder, name),
    ),
  )
  .filter((file) => statSync(file).isFile() && !file.endsWith(".md"))
  .map((file) => withoutComments(readFileSync(file, "utf8")))
  .join("\n");

/** Without lines of comment: what stands in them nobody is told. */
function withoutComments(source: string): string {
  return source.replaceAll(/^\s*(?:\/\/|#|\*|\/\*).*$/gm, "");
}

const page = readFileSync(path.join(root, "docs/troubleshooting.md"), "utf8");

/** What others print: Kubernetes, Helm, Pulumi's engine. */
const foreign = [
  "NotReady",
  "failed to load checkpoint: EOF",
  "cni plugin not initialized",
  "pending-install",
  "pending-upgrade",
];

describe("The page on what goes wrong", () => {
  const messages = page
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| it says") && !line.startsWith("| ---"))
    .flatMap((line) => [...(line.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, message = ""]) => message));

  it("has something for every place where things go wrong", () => {
    assert.ok(messages.length > 20, `${messages.length} messages`);
  });

  for (const message of messages.filter((text) => !foreign.includes(text))) {
    it(`quotes what the program prints: ${message}`, () => {
      assert.ok(sources.includes(message), "no source has these words");
    });
  }
});
