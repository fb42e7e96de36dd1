/** `--log-driver` and `--log-opt`, in Docker's words (moby: daemon/logger/jsonfilelog). */
import { TAG_FIELD, TAG_FIELD_NAMES } from "../engine/log_attributes.ts";
import { DEFAULT_LOG } from "../engine/logs_writer.ts";
import type { LogAttributes, LogRequest } from "../engine/run_options.ts";
import { UsageError } from "../errors.ts";
import { quote } from "../quote.ts";
import { defined } from "./defined.ts";
import type { OptionTable } from "./option_table.ts";
import { splitPair } from "./values/key_values.ts";
import { parseSize } from "./values/size.ts";

/** Docker's options. */
export const LOG_OPTIONS = {
  "log-driver": {
    type: "value",
    value: "driver",
    description: "Where its output is logged: json-file or none",
    complete: ["json-file", "none"],
  },
  "log-opt": {
    type: "list",
    value: "name=value",
    description: "Option of the log: max-size (20m), max-file (5), labels, env, tag, mode, …",
    complete: [
      ...["max-size=", "max-file=", "labels=", "labels-regex=", "env=", "env-regex=", "tag="],
      ...["mode=blocking", "mode=non-blocking", "max-buffer-size="],
    ],
  },
} as const satisfies OptionTable;

/** How a log that is never full is written down. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;
const POWERS = { k: 1, m: 2, g: 3, t: 4, p: 5 } as const;

/** Options of the log that are about its lines. */
const ATTRIBUTES: readonly string[] = ["labels", "labels-regex", "env", "env-regex", "tag"];
const KNOWN: readonly string[] = [
  ...["max-size", "max-file", "compress", "mode", "max-buffer-size"],
  ...ATTRIBUTES,
];
/** How much a log keeps that does not hold its container up, as in Docker. */
const BUFFER = 1024 * 1024;

/** @returns undefined for what is usual. @throws {UsageError} */
export function composeLog(
  driver: string | undefined,
  options: readonly string[],
): LogRequest | undefined {
  if (driver === undefined && options.length === 0) return undefined;
  if (driver === "none") {
    if (options.length > 0) throw new UsageError("invalid logging opts for driver none");
    return { ...DEFAULT_LOG, driver };
  }
  if (driver !== undefined && driver !== "" && driver !== "json-file")
    throw new UsageError(`logger: no log driver named '${driver}' is registered`);
  const given = new Map<string, string>();
  for (const option of options) {
    const { name, value } = splitPair(option);
    if (value === undefined) throw new UsageError(`invalid logging option: ${name}`);
    if (!KNOWN.includes(name))
      throw new UsageError(`unknown log opt '${name}' for json-file log driver`);
    given.set(name, value);
  }
  if (given.size === 0) return undefined;
  const [size, files] = [given.get("max-size"), given.get("max-file")];
  checkCompress(given.get("compress"));
  return {
    driver: "json-file",
    options: Object.fromEntries([...given].sort(([a], [b]) => (a < b ? -1 : 1))),
    maxSize: size === undefined ? DEFAULT_LOG.maxSize : parseLogSize(size),
    maxFile: files !== undefined ? parseCount(files) : size === undefined ? DEFAULT_LOG.maxFile : 1,
    ...defined({ attributes: composeAttributes(given), buffer: composeBuffer(given) }),
  };
}

function checkCompress(text: string | undefined): void {
  if (text === undefined || /^(0|f|F|false|FALSE|False)$/.test(text)) return;
  throw new UsageError("log opt compress is not supported: older files stay as they are");
}

function composeBuffer(given: ReadonlyMap<string, string>): number | undefined {
  const [mode = "", size] = [given.get("mode"), given.get("max-buffer-size")];
  if (mode !== "" && mode !== "blocking" && mode !== "non-blocking")
    throw new UsageError(`logger: logging mode not supported: ${mode}`);
  if (mode !== "non-blocking") {
    if (size === undefined) return undefined;
    throw new UsageError(
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    );
  }
  return size === undefined ? BUFFER : parseSize(size);
}

function composeAttributes(given: ReadonlyMap<string, string>): LogAttributes | undefined {
  if (!ATTRIBUTES.some((name) => given.has(name))) return undefined;
  const names = (name: string) => (given.get(name) ?? "").split(",").filter(Boolean);
  const pattern = (name: string) => {
    const text = given.get(name);
    if (text) checkPattern(name, text);
    return text || undefined;
  };
  const tag = given.get("tag");
  if (tag !== undefined) checkTag(tag);
  return {
    labels: names("labels"),
    env: names("env"),
    ...defined({
      labelsRegex: pattern("labels-regex"),
      envRegex: pattern("env-regex"),
      tag,
    }),
  };
}

function checkPattern(name: string, text: string): void {
  try {
    new RegExp(text);
  } catch (cause) {
    throw new UsageError(`invalid log opt ${name}: ${quote(text)} is no regular expression`, {
      cause,
    });
  }
}

/** Docker takes any template. */
function checkTag(tag: string): void {
  const rest = tag.replaceAll(TAG_FIELD, (field, name: string) =>
    TAG_FIELD_NAMES.includes(name) ? "" : field,
  );
  if (!rest.includes("{{")) return;
  const fields = TAG_FIELD_NAMES.map((name) => `{{.${name}}}`).join(", ");
  throw new UsageError(`invalid log opt tag: ${quote(tag)}: it can have ${fields}`);
}

/** `10m`: powers of 1000, other than for memory; -1 for no limit. */
function parseLogSize(text: string): number {
  if (text === "-1") return UNLIMITED;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text);
  const unit = match?.[2]?.toLowerCase() as keyof typeof POWERS | undefined;
  const bytes = Math.floor(Number(match?.[1]) * 1000 ** (unit === undefined ? 0 : POWERS[unit]));
  if (!(bytes > 0)) throw new UsageError(`invalid log opt max-size: invalid size: '${text}'`);
  return Math.min(bytes, UNLIMITED);
}

function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > 1000)
    throw new UsageError(`invalid log opt max-file: max-file cannot be less than 1: '${text}'`);
  return count;
}
