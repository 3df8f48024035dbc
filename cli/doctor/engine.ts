import { findEngine } from "../../offline/engine.ts";
import { ok, warning, type NeedCheck } from "./check.ts";

const origin = {
  installed: "installed on this machine",
  npm: "downloaded by the npm package pulumi",
  built: "built on this machine from its Go module",
};

/** The Pulumi CLI and its plugins. What is missing `up` brings by itself, so nothing here is an error. */
export async function engineChecks(): Promise<NeedCheck[]> {
  const { cli, plugins } = await findEngine();
  const standIns = Object.entries(plugins).flatMap(([name, kind]) => (kind === "stand-in" ? [name] : []));
  return [
    cli === undefined
      ? warning(
          "Pulumi CLI",
          "not there yet",
          "The first up downloads it, or builds it from its Go module in about five minutes.",
        )
      : ok("Pulumi CLI", origin[cli]),
    standIns.length === 0
      ? ok("Pulumi plugins", Object.keys(plugins).join(", "))
      : warning(
          "Pulumi plugins",
          `not there: ${standIns.join(", ")}`,
          "They are downloaded where that is possible; else this project's stand-ins run in their place (offline/README.md).",
        ),
  ];
}
