import { randomBytes, randomInt, randomUUID } from "node:crypto";
import * as z from "zod/mini";
import type { ProviderDefinition, ResourceHandler } from "./definition.ts";
import { inputFailures, parseInputs } from "./command/inputs.ts";
import { secret, unknownValue, type PropertyMap } from "./properties.ts";

const keepers = z.optional(z.record(z.string(), z.string()));
const count = z.optional(z.number());
const flag = z.optional(z.boolean());

const textInputs = z.strictObject({
  keepers,
  length: z.number(),
  lower: flag,
  upper: flag,
  number: flag,
  numeric: flag,
  special: flag,
  minLower: count,
  minUpper: count,
  minNumeric: count,
  minSpecial: count,
  overrideSpecial: z.optional(z.string()),
});
const bytesInputs = z.strictObject({ keepers, length: z.number() });
const idInputs = z.strictObject({ keepers, byteLength: z.number(), prefix: z.optional(z.string()) });
const integerInputs = z.strictObject({ keepers, min: z.number(), max: z.number() });
const uuidInputs = z.strictObject({ keepers });

/** What the official plugin draws special characters from unless `overrideSpecial` is given. */
const specialCharacters = "!@#$%&*()-_=+[]{}<>:?";

interface Drawn {
  id: string;
  outputs: PropertyMap;
}

/** The provider `random` (@pulumi/random 4.21.2): values are drawn once and kept until an input changes. */
export const randomProvider: ProviderDefinition = {
  resources: {
    "random:index/randomPassword:RandomPassword": drawnOnce(textInputs, ["result"], (inputs) => {
      const { text, outputs } = drawText(inputs);
      return { id: "none", outputs: { ...outputs, result: secret(text) } };
    }),
    "random:index/randomString:RandomString": drawnOnce(textInputs, ["result"], (inputs) => {
      const { text, outputs } = drawText(inputs);
      return { id: text, outputs: { ...outputs, result: text } };
    }),
    "random:index/randomBytes:RandomBytes": drawnOnce(bytesInputs, ["base64", "hex"], ({ length }) => {
      atLeast("length", length, 1);
      const bytes = randomBytes(length);
      const outputs = { base64: secret(bytes.toString("base64")), hex: secret(bytes.toString("hex")) };
      // An id can't be secret, so it must not tell the bytes.
      return { id: randomUUID(), outputs };
    }),
    "random:index/randomId:RandomId": drawnOnce(
      idInputs,
      ["b64Std", "b64Url", "dec", "hex"],
      ({ byteLength, prefix = "" }) => {
        atLeast("byteLength", byteLength, 1);
        const bytes = randomBytes(byteLength);
        const hex = bytes.toString("hex");
        const outputs = {
          b64Std: prefix + bytes.toString("base64"),
          b64Url: prefix + bytes.toString("base64url"),
          dec: prefix + BigInt(`0x${hex}`).toString(),
          hex: prefix + hex,
        };
        return { id: bytes.toString("base64url"), outputs };
      },
    ),
    "random:index/randomInteger:RandomInteger": drawnOnce(integerInputs, ["result"], ({ min, max }) => {
      if (max < min) throw new Error(`max: ${max} is less than min, ${min}`);
      const result = randomInt(min, max + 1);
      return { id: String(result), outputs: { result } };
    }),
    "random:index/randomUuid:RandomUuid": drawnOnce(uuidInputs, ["result"], () => {
      const result = randomUUID();
      return { id: result, outputs: { result } };
    }),
  },
};

function drawnOnce<Schema extends z.ZodMiniType>(
  schema: Schema,
  drawnOutputs: string[],
  draw: (inputs: z.output<Schema>) => Drawn,
): ResourceHandler {
  return {
    check: (inputs) => ({ inputs, failures: inputFailures(schema, inputs) }),
    replacesOn: () => true,
    create(inputs, operation) {
      if (operation.preview) {
        const unknown = Object.fromEntries(drawnOutputs.map((name) => [name, unknownValue]));
        return Promise.resolve({ id: "", outputs: { ...inputs, ...unknown } });
      }
      const { id, outputs } = draw(parseInputs(schema, inputs));
      return Promise.resolve({ id, outputs: { ...outputs, ...inputs, ...pick(outputs, drawnOutputs) } });
    },
  };
}

function pick(values: PropertyMap, names: string[]): PropertyMap {
  return Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));
}

function atLeast(property: string, value: number, least: number): void {
  if (value < least) throw new Error(`${property}: ${value} is less than ${least}`);
}

function drawText(inputs: z.output<typeof textInputs>): { text: string; outputs: PropertyMap } {
  const { length, lower = true, upper = true, special = true } = inputs;
  const { minLower = 0, minUpper = 0, minNumeric = 0, minSpecial = 0 } = inputs;
  const numeric = inputs.numeric ?? inputs.number ?? true;
  const classes = [
    { used: lower, least: minLower, characters: "abcdefghijklmnopqrstuvwxyz" },
    { used: upper, least: minUpper, characters: "ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
    { used: numeric, least: minNumeric, characters: "0123456789" },
    { used: special, least: minSpecial, characters: inputs.overrideSpecial || specialCharacters },
  ];
  const all = classes.map(({ used, characters }) => (used ? characters : "")).join("");
  const required = minLower + minUpper + minNumeric + minSpecial;
  atLeast("length", length, Math.max(1, required));
  if (all === "") throw new Error("at least one of lower, upper, numeric and special must be true");
  const characters = classes.flatMap(({ least, characters: from }) =>
    Array.from({ length: least }, () => drawOne(from)),
  );
  while (characters.length < length) characters.push(drawOne(all));
  const outputs = { lower, upper, number: numeric, numeric, special, minLower, minUpper, minNumeric, minSpecial };
  return { text: shuffled(characters).join(""), outputs };
}

function drawOne(characters: string): string {
  return characters.charAt(randomInt(characters.length));
}

/** Fisher-Yates: every order is as likely as any other. */
function shuffled(characters: string[]): string[] {
  const left = [...characters];
  return Array.from(characters, () => left.splice(randomInt(left.length), 1)[0] ?? "");
}
