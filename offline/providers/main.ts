// The program behind `pulumi-resource-NAME`: NAME VERSION [FLAG …] [ENGINE-ADDRESS]
import { commandProvider } from "./command/provider.ts";
import type { ProviderDefinition } from "./definition.ts";
import { kubernetesProvider } from "./kubernetes.ts";
import { randomProvider } from "./random.ts";
import { serve } from "./server.ts";

const providers: Record<string, ProviderDefinition> = {
  command: commandProvider,
  kubernetes: kubernetesProvider,
  random: randomProvider,
};

async function main([name = "", version = "", ...rest]: string[]): Promise<void> {
  const definition = providers[name];
  if (!definition) throw new Error(`there is no stand-in for the provider ${JSON.stringify(name)}`);
  // The engine's own flags come first; its address is the one argument of the form HOST:PORT.
  const engineAddress = rest.find((argument) => /^[^-].*:\d+$/.test(argument));
  const { port, stop } = await serve(definition, { version, engineAddress });

  let stopping = false;
  const end = (): void => {
    if (stopping) return;
    stopping = true;
    void stop().finally(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  // The engine holds the other end of standard input open as long as it lives; nothing may go on running without it.
  process.stdin.on("end", end).on("error", end).resume();
  process.stdout.write(`${port}\n`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
