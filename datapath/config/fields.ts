import { z } from "zod";
import { isCidr, isIpv6Cidr, withoutHostBits } from "../cidr.ts";

/** What a field's own check adds to an issue: how to write it instead. */
export const fieldIssueParams = z.object({ wayOut: z.string() });

/** An IPv4 CIDR in four-part notation, without host bits. */
export const ipv4Cidr = z.string().check((context) => {
  if (isCidr(context.value)) return;
  context.issues.push({
    code: "custom",
    input: context.value,
    message: `${JSON.stringify(context.value)} is no IPv4 CIDR without host bits.`,
    params: { wayOut: `Write ${withoutHostBits(context.value) ?? "four numbers and a prefix length: 10.42.0.0/16"}.` },
  });
});

/** An IPv6 CIDR without host bits. */
export const ipv6Cidr = z.string().check((context) => {
  if (isIpv6Cidr(context.value)) return;
  context.issues.push({
    code: "custom",
    input: context.value,
    message: `${JSON.stringify(context.value)} is no IPv6 CIDR without host bits.`,
    params: { wayOut: "Write a prefix with zeroes behind it: fd00::/104." },
  });
});

/** An IPv4 address in four-part notation. */
export const ipv4Address = z.ipv4("no IPv4 address in four-part notation");

/** A SHA-256 checksum as sha256sum prints it. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "no SHA-256 checksum: 64 hexadecimal digits in lower case");

/** How a schema may be written in short, for the JSON Schema of editors. */
interface ShortForm {
  /** The key that a bare word stands for. */
  readonly key: string;
  /** A key that may be missing, and the word that it then has. */
  readonly assumed?: { readonly key: string; readonly word: string };
}

/** Schemas that may be written as a bare word. */
export const bareWords = z.registry<ShortForm>();

/** A bare word is short for the object that has only that word: `routes: router` for `routes: {kind: router}`. */
export function orBareWord<Schema extends z.ZodType>(key: string, schema: Schema): z.ZodPreprocess<Schema> {
  const either = z.preprocess(
    (value) => (value === undefined || typeof value === "object" ? value : { [key]: value }),
    schema,
  );
  bareWords.add(either, { key });
  return either;
}
