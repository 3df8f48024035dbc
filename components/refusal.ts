import * as pulumi from "@pulumi/pulumi";

/** An error that the engine prints as its message alone, without a stack trace: the person's input is at fault. */
export function refusal(error: Error): pulumi.RunError {
  const refused = new pulumi.RunError(error.message);
  // The SDK has Node lay out the stack, which it does not print: under tsx that takes ten seconds.
  refused.stack = "";
  return refused;
}
