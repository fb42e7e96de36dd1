/** Rules for values that occur in many places of config.json. */
import type { Rule, TextCheck } from "./config_reader.ts";

const MAX_U32 = 0xffffffff;
const MAX_U64 = 0xffffffffffffffffn;
const MAX_I64 = 0x7fffffffffffffffn;

/** true or false. */
export const BOOLEAN = { kind: "boolean" } as const satisfies Rule;
/** Any text without NUL. */
export const TEXT = { kind: "text" } as const satisfies Rule;
/** Go's clients write some of their empty texts. */
export const TEXT_OR_NONE = { kind: "text", emptyIsNone: true } as const satisfies Rule;
/** A list of texts. */
export const TEXTS = { kind: "list", of: TEXT } as const satisfies Rule;
/** Unsigned, 16 bits. */
export const UINT16 = { kind: "integer", min: 0, max: 0xffff } as const satisfies Rule;
/** Unsigned, 32 bits. */
export const UINT32 = { kind: "integer", min: 0, max: MAX_U32 } as const satisfies Rule;
/** 64 bits. */
export const INT64 = { kind: "integer", min: -MAX_I64 - 1n, max: MAX_I64 } as const satisfies Rule;
/** Unsigned, 64 bits. */
export const UINT64 = { kind: "integer", min: 0, max: MAX_U64 } as const satisfies Rule;
/** -1 stands for "no limit", nothing else below 0 for anything. */
export const LIMIT = { kind: "integer", min: -1, max: MAX_I64 } as const satisfies Rule;
/**
 * A user or group. The last number is (uid_t)-1, which setresuid(2) and chown(2) take for "as it is":
 * the process would stay root.
 */
export const ID = { kind: "integer", min: 0, max: MAX_U32 - 1 } as const satisfies Rule;

const IS_ABSOLUTE: TextCheck = {
  ok: (text) => text.startsWith("/"),
  expected: "an absolute path",
};
const IS_FILLED: TextCheck = { ok: (text) => text !== "", expected: "a text that is not empty" };
const IS_CPU_LIST: TextCheck = {
  ok: (text) => /^\s*\d{1,5}(\s*-\s*\d{1,5})?(\s*,\s*\d{1,5}(\s*-\s*\d{1,5})?)*\s*$/.test(text),
  expected: "a list such as 0-2,7",
};
const IS_VARIABLE: TextCheck = {
  ok: (text) => text.indexOf("=") > 0,
  expected: "NAME=VALUE",
};

/** A path from `/`. */
export const ABSOLUTE = { kind: "text", check: IS_ABSOLUTE } as const satisfies Rule;
/** A text that is not empty. */
export const FILLED = { kind: "text", check: IS_FILLED } as const satisfies Rule;
/** Processors or memory nodes. */
export const CPU_LIST = {
  kind: "text",
  check: IS_CPU_LIST,
  emptyIsNone: true,
} as const satisfies Rule;
/** A process's environment. */
export const ENVIRONMENT = {
  kind: "list",
  of: { kind: "text", check: IS_VARIABLE },
} as const satisfies Rule;

/** Free text by name. */
export const ANNOTATIONS = {
  kind: "map",
  of: { kind: "text", anyByte: true },
  keys: IS_FILLED,
  otherwise: {},
} as const satisfies Rule;

const ID_RANGE = {
  kind: "struct",
  fields: {
    containerID: { ...ID, required: true },
    hostID: { ...ID, required: true },
    size: { kind: "integer", min: 1, max: MAX_U32, required: true },
  },
  finish(range: { containerID: number; hostID: number; size: number }, reader) {
    for (const key of ["containerID", "hostID"] as const) {
      if (range[key] + range.size > MAX_U32)
        reader.fail(`${range[key]} and size ${range.size} go beyond the last id`, key);
    }
  },
} as const satisfies Rule;
/** `uidMappings` and `gidMappings`; 340 lines are what the kernel takes (user_namespaces(7)). */
export const ID_MAPPINGS = { kind: "list", of: ID_RANGE, most: 340 } as const satisfies Rule;
