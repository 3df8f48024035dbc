import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Client, SFTPWrapper, Stats } from "ssh2";
import type { CheckFailure, Operation, ResourceHandler } from "../definition.ts";
import {
  archiveSignature,
  assetSignature,
  containsUnknown,
  isAsset,
  reveal,
  signatureKey,
  type PropertyMap,
} from "../properties.ts";
import { copyToRemoteInputs, inputFailures, parseInputs, type CopyToRemoteInputs } from "./inputs.ts";
import { uniqueId, withConnectionDefaults } from "./resource.ts";
import { withConnection } from "./ssh.ts";

/** What is copied: text, or a local file or folder. */
type Source = { text: string } | { localPath: string };

/** What the SFTP server answers about a path that does not exist (draft-ietf-secsh-filexfer-02, section 7). */
const noSuchFile = 2;

/** `command:remote:CopyToRemote` of @pulumi/command 1.2.1. */
export const copyToRemote: ResourceHandler = {
  check: (inputs) => {
    const complete = withConnectionDefaults(inputs);
    return { inputs: complete, failures: [...inputFailures(copyToRemoteInputs, complete), ...sourceFailures(inputs)] };
  },
  replacesOn: (property) => property === "triggers",

  async create(inputs, operation) {
    const id = uniqueId("");
    if (!operation.preview) await copy(parseInputs(copyToRemoteInputs, inputs), operation);
    return { id, outputs: inputs };
  },

  async update({ inputs, state }, operation) {
    const sameSource = hashOf(inputs) === hashOf(state) && inputs["remotePath"] === state["remotePath"];
    if (!operation.preview && !sameSource) await copy(parseInputs(copyToRemoteInputs, inputs), operation);
    return inputs;
  },
};

function hashOf(inputs: PropertyMap): unknown {
  const source = reveal(inputs["source"] ?? null);
  return isAsset(source) ? source["hash"] : undefined;
}

function sourceFailures(inputs: PropertyMap): CheckFailure[] {
  const source = reveal(inputs["source"] ?? null);
  if (containsUnknown(source)) return [];
  if (!isAsset(source)) return [{ property: "source", reason: "either asset or archive must be set" }];
  if (sourceOf(source)) return [];
  const reason =
    source[signatureKey] === archiveSignature
      ? "archive must be a path to a file or directory"
      : "asset must be a path-based file asset or a text asset";
  return [{ property: "source", reason }];
}

function sourceOf(source: Record<string, unknown>): Source | undefined {
  const { path: localPath, text } = source;
  if (typeof localPath === "string" && localPath !== "") return { localPath };
  return source[signatureKey] === assetSignature && typeof text === "string" ? { text } : undefined;
}

async function copy(inputs: CopyToRemoteInputs, operation: Operation): Promise<void> {
  const source = sourceOf(inputs.source);
  if (!source) throw new Error("source: either asset or archive must be set");
  await withConnection(inputs.connection, operation, async (client) => {
    const files = new RemoteFiles(await openSftp(client), operation.signal);
    if ("text" in source) await copyText(files, source.text, inputs.remotePath);
    else await copyPath(files, source.localPath, inputs.remotePath);
  });
}

async function copyText(files: RemoteFiles, text: string, target: string): Promise<void> {
  if ((await files.stat(target))?.isDirectory()) {
    throw new Error(`remote path ${target} is a directory; when using a text asset, remotePath must be a file path`);
  }
  await files.makeFolders(path.posix.dirname(target));
  await files.write(target, Buffer.from(text));
}

/**
 * A file goes to the target, or into it where that is a folder. A folder goes into the target, or, with a slash at its
 * end, its content does; the target is made where it does not exist.
 */
async function copyPath(files: RemoteFiles, source: string, target: string): Promise<void> {
  const isFolder = (await stat(source)).isDirectory();
  const remote = await files.stat(target);
  if (!isFolder) {
    if (!remote) await files.makeFolders(path.posix.dirname(target));
    const goal = remote?.isDirectory() ? path.posix.join(target, path.basename(source)) : target;
    await files.write(goal, await readFile(source));
    return;
  }
  if (!remote) await files.makeFolders(target);
  const goal = source.endsWith("/") ? target : path.posix.join(target, path.basename(source));
  await files.makeFolder(goal);
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    const local = path.join(entry.parentPath, entry.name);
    const remotePath = path.posix.join(goal, path.relative(source, local).split(path.sep).join("/"));
    // What a link in the folder points to is copied, as it is for a single file.
    if ((await stat(local)).isDirectory()) await files.makeFolder(remotePath);
    else await files.write(remotePath, await readFile(local));
  }
}

function openSftp(client: Client): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp)));
  });
}

/** The few file operations that copying needs; errors name the remote path. */
class RemoteFiles {
  readonly #sftp: SFTPWrapper;
  readonly #signal: AbortSignal;

  constructor(sftp: SFTPWrapper, signal: AbortSignal) {
    this.#sftp = sftp;
    this.#signal = signal;
  }

  stat(file: string): Promise<Stats | undefined> {
    return new Promise((resolve, reject) => {
      this.#sftp.stat(file, (error: (Error & { code?: unknown }) | undefined, found) => {
        if (!error) resolve(found);
        else if (error.code === noSuchFile) resolve(undefined);
        else reject(new Error(`failed to stat remote path ${file}: ${error.message}`, { cause: error }));
      });
    });
  }

  async makeFolder(folder: string): Promise<void> {
    this.#signal.throwIfAborted();
    if (await this.#isFolder(folder)) return;
    const problem = await new Promise<Error | undefined>((resolve) => {
      this.#sftp.mkdir(folder, (error) => resolve(error ?? undefined));
    });
    // Another copy may have made it in between.
    if (problem && !(await this.#isFolder(folder))) {
      throw new Error(`failed to create remote directory ${folder}: ${problem.message}`, { cause: problem });
    }
  }

  async #isFolder(folder: string): Promise<boolean> {
    const found = await this.stat(folder);
    if (found && !found.isDirectory()) throw new Error(`remote path ${folder} exists but is not a directory`);
    return found !== undefined;
  }

  async makeFolders(folder: string): Promise<void> {
    const parent = path.posix.dirname(folder);
    if (parent !== folder && !(await this.stat(folder))) await this.makeFolders(parent);
    await this.makeFolder(folder);
  }

  async write(file: string, content: Buffer): Promise<void> {
    this.#signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      this.#sftp.writeFile(file, content, (error) =>
        error
          ? reject(new Error(`failed to create remote file ${file}: ${error.message}`, { cause: error }))
          : resolve(),
      );
    });
  }
}
