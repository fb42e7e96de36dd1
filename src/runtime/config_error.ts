/** What is wrong with a config.json. */
import { MydockerError } from "../errors.ts";

/** A configuration that is wrong, or asks for what cannot be had; the message begins with the JSON path. */
export class ConfigError extends MydockerError {
  override readonly name = "ConfigError";

  /** @param path of the value, in JSON */
  constructor(
    readonly problem: { readonly path: string; readonly what: string },
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(`${problem.path}: ${problem.what}`, options);
  }
}

/** A step on the way from the document to a value in it. */
export type Step = string | number;

/** The steps as people write them: `linux.sysctl["net.ipv4.ip_forward"]`; `$` is the document. */
export function formatPath(steps: readonly Step[]): string {
  let text = "";
  for (const step of steps) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^\w+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text === "" ? "$" : text;
}

/** A value as its author may recognize it. */
export function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  }
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
