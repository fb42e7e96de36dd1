/** `--filter` of `images`, by the rules of Docker (moby, daemon/images/images.go). */
import { MydockerError } from "../errors.ts";
import type { Image } from "./image.ts";
import { compilePattern } from "./path_match.ts";
import { familiarName, familiarReference, type Reference } from "./reference.ts";

/** One `NAME=VALUE`. */
export interface ImageFilter {
  readonly name: string;
  readonly value: string;
}

/** What is left of an image when filters are done with it. */
export interface ImageConditions {
  /** Whether it is shown at all, as far as its names do not matter. */
  accepts(image: Image): boolean;
  /** Those of its names that are shown; undefined when it is not. */
  names(references: readonly Reference[]): readonly Reference[] | undefined;
}

type Test = (image: Image) => boolean;

/** @param timeOf when the image that a filter names was made, in milliseconds since 1970 */
export function readFilters(
  filters: readonly ImageFilter[],
  timeOf: (image: string) => number,
): ImageConditions {
  const tests: Test[] = [];
  const patterns: ((reference: Reference) => boolean)[] = [];
  let dangling: boolean | undefined;
  for (const { name, value } of filters) {
    if (name === "dangling") {
      const wanted = readBoolean(value);
      if (dangling !== undefined && dangling !== wanted) throw invalidDangling(filters);
      dangling = wanted;
    } else if (name === "reference") patterns.push(referencePattern(value));
    else tests.push(readTest(name, value, timeOf));
  }
  return {
    accepts: (image) => tests.every((test) => test(image)),
    names(references) {
      if (references.length === 0)
        return dangling === false || patterns.length > 0 ? undefined : references;
      const shown = references.filter(
        (reference) => patterns.length === 0 || patterns.some((matches) => matches(reference)),
      );
      const isTagged = shown.some(({ digest }) => digest === undefined);
      return shown.length === 0 || (dangling === true && isTagged) ? undefined : shown;
    },
  };
}

function readTest(name: string, value: string, timeOf: (image: string) => number): Test {
  switch (name) {
    case "label":
      return labelTest(value);
    case "before": {
      const time = timeOf(value);
      return ({ created }) => timeMade(created) < time;
    }
    case "since": {
      const time = timeOf(value);
      return ({ created }) => timeMade(created) > time;
    }
    case "until": {
      const time = readUntil(value);
      return ({ created }) => timeMade(created) < time;
    }
    default:
      throw new MydockerError(`invalid filter '${name}'`, {
        hint: "there are dangling, label, before, since, until and reference",
      });
  }
}

/** `KEY`, or `KEY=VALUE`. */
function labelTest(text: string): Test {
  const sign = text.indexOf("=");
  const key = sign < 0 ? text : text.slice(0, sign);
  return ({ config }) => {
    const labels = config.config?.Labels;
    if (labels === undefined || !Object.hasOwn(labels, key)) return false;
    return sign < 0 || labels[key] === text.slice(sign + 1);
  };
}

/** When an image was made, in milliseconds since 1970 and parts of them; 0 when it does not say. */
export function timeMade(created: string): number {
  const [, beyond = ""] = /\.\d{3}(\d+)/.exec(created) ?? [];
  return (Date.parse(created) || 0) + Number(`0.${beyond}`);
}

/** A pattern for the whole name as it is shown, or for the name without its tag. */
function referencePattern(pattern: string): (reference: Reference) => boolean {
  const matches = compilePattern(pattern);
  return (reference) => matches(familiarReference(reference)) || matches(familiarName(reference));
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  "1": true,
  false: false,
  "0": false,
};

function readBoolean(value: string): boolean {
  const found = Object.hasOwn(BOOLEANS, value) ? BOOLEANS[value] : undefined;
  if (found === undefined) throw new MydockerError(`invalid filter 'dangling=[${value}]'`);
  return found;
}

const invalidDangling = (filters: readonly ImageFilter[]) =>
  new MydockerError(
    `invalid filter 'dangling=[${filters
      .filter(({ name }) => name === "dangling")
      .map(({ value }) => value)
      .join(" ")}]'`,
  );

/** Seconds since 1970; the command line reads other forms of a time. */
function readUntil(value: string): number {
  if (!/^-?\d+(?:\.\d+)?$/.test(value))
    throw new MydockerError(`invalid filter 'until=[${value}]'`);
  return Number(value) * 1000;
}
