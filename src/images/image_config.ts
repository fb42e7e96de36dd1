/** The image configuration of the OCI image specification ("config.md"), with Docker's additions. */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";

/** What a container of the image runs. */
export interface ImageRunConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  /** `NAME=value` */
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly Healthcheck?: Healthcheck;
  readonly OnBuild?: readonly string[];
  readonly Shell?: readonly string[];
}

/** Docker's health check; times in nanoseconds. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** How a layer came to be, or a step that made none. */
export interface ImageHistory {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly empty_layer?: boolean;
}

/** The whole configuration; unknown fields are kept in the file, and not looked at. */
export interface ImageConfig {
  /** RFC 3339 */
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config?: ImageRunConfig;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly string[] };
  readonly history?: readonly ImageHistory[];
}

/** `sha256:` and 64 hex digits: the only digests that name anything in the store. */
export const SHA256 = /^sha256:([a-f0-9]{64})$/;

/** A configuration that is not what it should be. */
export class InvalidImageConfigError extends MydockerError {
  override readonly name = "InvalidImageConfigError";
}

type Check = (value: unknown) => boolean;
const isString: Check = (value) => typeof value === "string";
const isStrings: Check = (value) => Array.isArray(value) && !value.some((each) => !isString(each));
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isSet: Check = isObject;
const isStringMap: Check = (value) => isObject(value) && Object.values(value).every(isString);

/** Durations and a count: numbers that are not negative, where there is anything. */
const isHealthcheck: Check = (value) => {
  if (!isObject(value)) return false;
  dropNulls(value);
  const { Test, Interval, Timeout, StartPeriod, StartInterval, Retries } = value;
  const numbers = [Interval, Timeout, StartPeriod, StartInterval, Retries];
  return (
    (Test === undefined || isStrings(Test)) &&
    numbers.every((each) => each === undefined || (Number.isInteger(each) && Number(each) >= 0))
  );
};

const RUN_CONFIG_FIELDS: Readonly<Record<string, Check>> = {
  User: isString,
  ExposedPorts: isSet,
  Env: isStrings,
  Entrypoint: isStrings,
  Cmd: isStrings,
  Volumes: isSet,
  WorkingDir: isString,
  Labels: isStringMap,
  StopSignal: isString,
  Healthcheck: isHealthcheck,
  OnBuild: isStrings,
  Shell: isStrings,
};

function dropNulls(object: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(object)) if (value === null) delete object[key];
}

/**
 * Reads a configuration that may come from anywhere: the fields that we use have the types that we
 * rely on, and layers have digests that are safe in a path. Fields that are null are left out.
 * @throws {InvalidImageConfigError}
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(decodeBytes(bytes));
  } catch (error) {
    throw new InvalidImageConfigError("the image configuration is not JSON", { cause: error });
  }
  const config = parsed;
  // Go writes null for what is absent.
  if (isObject(config)) dropNulls(config);
  if (isObject(config) && isObject(config["config"])) dropNulls(config["config"]);
  const bad = (field: string) =>
    new InvalidImageConfigError(`the image configuration has a bad field ${JSON.stringify(field)}`);
  if (!isObject(config)) throw new InvalidImageConfigError("the image configuration is no object");
  for (const field of ["architecture", "os"]) if (!isString(config[field])) throw bad(field);
  if (config["created"] !== undefined && !isString(config["created"])) throw bad("created");
  const { rootfs } = config;
  if (!isObject(rootfs) || rootfs["type"] !== "layers") throw bad("rootfs");
  const layers = rootfs["diff_ids"];
  if (!Array.isArray(layers) || !layers.every((id) => isString(id) && SHA256.test(id as string)))
    throw bad("rootfs.diff_ids");
  const history = config["history"];
  if (history !== undefined && !(Array.isArray(history) && history.every(isObject)))
    throw bad("history");
  const run = config["config"];
  if (run !== undefined) {
    if (!isObject(run)) throw bad("config");
    for (const [field, check] of Object.entries(RUN_CONFIG_FIELDS))
      if (run[field] !== undefined && !check(run[field])) throw bad(`config.${field}`);
  }
  return parsed as ImageConfig;
}
