/**
 * config.json from outside: JSON text to a {@link Spec}, or one error that names the JSON path. Pure;
 * what depends on the machine is in `unsupported.ts`.
 */
import type { Resources } from "../cgroups/resources.ts";
import { parseExactJson } from "../seccomp/validate.ts";
import { ANNOTATIONS, BOOLEAN, FILLED } from "./common_rules.ts";
import { ConfigError } from "./config_error.ts";
import { ConfigReader, type Rule, type TextCheck } from "./config_reader.ts";
import { findSyntaxError } from "./json_syntax.ts";
import { LINUX } from "./linux_rules.ts";
import { HOOKS, MOUNT } from "./mount_rules.ts";
import { PROCESS } from "./process_rules.ts";
import { RESOURCES } from "./resource_rules.ts";
import type { Process, Spec } from "./spec.ts";

/** Is told of what is wrong and yet, by the specification, no error. */
export type Warn = (message: string) => void;

/** To compile a regular expression takes longer than to look here. */
const RELEASES = ["1.0.0", "1.0.1", "1.0.2", "1.0.2-dev", "1.1.0", "1.2.0", "1.2.1", "1.3.0"];

/**
 * Every 1.x: later ones are compatible with earlier ones by the specification, and runc takes any.
 * The syntax is that of semver.org, without the rules for what follows the three numbers.
 */
const IS_VERSION: TextCheck = {
  ok: (version) =>
    RELEASES.includes(version) || /^1\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-+][\w.+-]+)?$/.test(version),
  expected: "1.0.0 to 1.3.x, or a later 1.x",
};

/** setdomainname(2) and sethostname(2): __NEW_UTS_LEN. */
const IS_HOST_NAME: TextCheck = {
  ok: (name) => name.length * 3 <= 64 || new TextEncoder().encode(name).length <= 64,
  expected: "at most 64 bytes",
};
const HOST_NAME = { kind: "text", check: IS_HOST_NAME, emptyIsNone: true } as const satisfies Rule;

const SPEC = {
  kind: "struct",
  fields: {
    ociVersion: { kind: "text", check: IS_VERSION, required: true },
    process: PROCESS,
    root: {
      kind: "struct",
      required: true,
      fields: {
        path: { ...FILLED, required: true },
        readonly: { ...BOOLEAN, otherwise: false },
      },
    },
    hostname: HOST_NAME,
    domainname: HOST_NAME,
    mounts: { kind: "list", of: MOUNT, otherwise: [] },
    hooks: HOOKS,
    annotations: ANNOTATIONS,
    linux: LINUX,
  },
  finish(spec: Spec, reader) {
    const has = (type: string) => spec.linux.namespaces.some((entry) => entry.type === type);
    const named = spec.hostname === undefined ? "domainname" : "hostname";
    if (spec[named] !== undefined && !has("uts"))
      reader.fail("would be the host's: there is no uts namespace", named);
    let index = 0;
    for (const { options, uidMappings } of spec.mounts) {
      const isMapped = options.includes("idmap") || options.includes("ridmap");
      if (isMapped && uidMappings === undefined && !has("user")) {
        const what = "missing, expected with idmap where there is no user namespace";
        reader.fail(what, "mounts", index, "uidMappings");
      }
      index++;
    }
  },
} as const satisfies Rule;

/**
 * Reads a config.json.
 * @param warn is told of capabilities that cannot be granted and of what is deprecated
 * @throws {ConfigError}
 */
export function parseConfig(text: string, warn?: Warn): Spec {
  return parse(SPEC, text, warn) as Spec;
}

/** Reads what `exec --process` is given: the specification's `process`. @throws {ConfigError} */
export function parseProcess(text: string, warn?: Warn): Process {
  return parse(PROCESS, text, warn) as Process;
}

/** Reads what `update --resources` is given: the specification's `resources`. @throws {ConfigError} */
export function parseResources(text: string): Resources {
  return parse(RESOURCES, text) as Resources;
}

function parse(rule: Rule, text: string, warn?: Warn): unknown {
  const json = parseJson(text, JSON.parse);
  const warnings: string[] = [];
  let value: unknown;
  try {
    value = new ConfigReader(warnings).read(rule, json);
  } catch (error) {
    // Integers over 2^53 have become what they are not, and some have left their range by that. To
    // read them exactly takes many times as long, and hardly any config.json has one.
    if (!(error instanceof ConfigError) || !/\d{16}/.test(text)) throw error;
    warnings.length = 0;
    value = new ConfigReader(warnings).read(rule, parseJson(text, parseExactJson));
  }
  if (warn !== undefined) for (const message of warnings) warn(message);
  return value;
}

function parseJson(text: string, by: (text: string) => unknown): unknown {
  try {
    return by(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = `not JSON: ${findSyntaxError(text) ?? reason}`;
    throw new ConfigError({ path: "$", what }, { cause });
  }
}
