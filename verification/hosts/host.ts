/** What a command left behind. Nothing is trimmed. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A command that runs until it is told to stop. */
export interface RunningCommand {
  /** Resolves when `text` appears in its output; rejects with what it printed when it ends or `timeoutSeconds` pass first. */
  readonly waitForOutput: (text: string, timeoutSeconds: number) => Promise<void>;
  /** Interrupts it (SIGINT) and resolves with its output once it ended. */
  readonly stop: () => Promise<CommandResult>;
}

/** A place to run commands in: a node's or a pod's network. Commands are argument lists; no shell reads them. */
export interface Host {
  /**
   * Runs a command to its end. A non-zero exit status is a result, not an error; rejects where the command can't be started,
   * `timeoutSeconds` pass or the verification is interrupted.
   */
  readonly run: (
    command: readonly string[],
    options: { readonly timeoutSeconds: number; readonly stdin?: string },
  ) => Promise<CommandResult>;
  readonly start: (command: readonly string[]) => RunningCommand;
}

/** Where a node's and its pod's commands run, whatever kind of lab it is. */
export interface Hosts {
  readonly node: (name: string) => Host;
  readonly pod: (node: string) => Host;
  /** Another pod on the same node. Throws where a node has none. */
  readonly secondPod: (node: string) => Host;
}
