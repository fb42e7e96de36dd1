/** `--mount type=bind|volume|tmpfs,…`: keys, quoting and errors as in Docker's opts/mount.go. */
import type { MountRequest, VolumeMount } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
import { parseCsvRecord } from "./csv.ts";
import { splitPair } from "./key_values.ts";
import { absolutePath, isRelativePath } from "./path.ts";
import { sizeOf } from "./size.ts";
import { checkDriver, checkName, mountTarget, PROPAGATIONS } from "./volume.ts";

/** Every key, under the name it is kept by. */
const KEYS: Readonly<Record<string, string>> = {
  type: "type",
  source: "source",
  src: "source",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
  // Only Docker Desktop heeds it.
  consistency: "consistency",
  "bind-propagation": "bind-propagation",
  "bind-nonrecursive": "bind-nonrecursive",
  "bind-recursive": "bind-recursive",
  idmap: "idmap",
  "tmpfs-size": "tmpfs-size",
  "tmpfs-mode": "tmpfs-mode",
  "volume-nocopy": "volume-nocopy",
  "volume-subpath": "volume-subpath",
  "volume-driver": "volume-driver",
  "volume-label": "volume-label",
  "volume-opt": "volume-opt",
};
/** Keys that may be given several times, each with a name and a value. */
const LISTS = new Set(["volume-label", "volume-opt"]);
/** Keys that may stand without a value. */
const SWITCHES = new Set(["readonly", "ro", "bind-nonrecursive", "idmap", "volume-nocopy"]);

/** One `--mount`. @param cwd the directory that `./x` starts from, absolute */
export function parseMount(text: string, cwd: () => string): MountRequest {
  const { fields, lists } = readFields(text);
  const type = (fields.get("type") ?? "volume").toLowerCase();
  if (type !== "bind" && type !== "tmpfs" && type !== "volume")
    throw new UsageError(`mount type '${type}' is not supported: use bind, volume or tmpfs`);
  for (const other of ["bind", "volume", "tmpfs"]) {
    const keys = [...fields.keys(), ...lists.keys()];
    if (other !== type && keys.some((key) => key.startsWith(`${other}-`)))
      throw new UsageError(`cannot mix '${other}-*' options with mount type '${type}'`);
  }
  const given = fields.get("target");
  if (given === undefined || given === "") throw new UsageError("target is required");
  const context = `invalid mount config for type "${type}"`;
  const target = mountTarget(given, context);
  if (type === "volume") return volume(fields, lists, target, context);
  return type === "bind"
    ? bind(fields, target, context, cwd)
    : { type, target, options: tmpfsOptions(fields, context) };
}

interface Fields {
  readonly fields: Map<string, string>;
  /** of {@link LISTS} */
  readonly lists: Map<string, Record<string, string>>;
}

function readFields(text: string): Fields {
  if (text === "") throw new UsageError("value is empty");
  const fields = new Map<string, string>();
  const lists: Fields["lists"] = new Map();
  for (const field of parseCsvRecord(text)) {
    const sign = field.indexOf("=");
    const key = (sign < 0 ? field : field.slice(0, sign)).toLowerCase();
    const value = sign < 0 ? "true" : field.slice(sign + 1);
    if (sign < 0 && !SWITCHES.has(key))
      throw new UsageError(`invalid field '${field}' must be a key=value pair`);
    const name = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (name === undefined) throw new UsageError(`unexpected key '${key}' in '${field}'`);
    if (SWITCHES.has(key) && !/^(1|t|true|0|f|false)$/i.test(value))
      throw new UsageError(`invalid value for ${key}: ${value}`);
    if (LISTS.has(name)) {
      const pair = splitPair(value);
      lists.set(name, { ...lists.get(name), [pair.name]: pair.value ?? "" });
    } else fields.set(name, value);
  }
  return { fields, lists };
}

const isOn = (value: string | undefined): boolean =>
  value !== undefined && /^(1|t|true)$/i.test(value);

function bind(
  fields: ReadonlyMap<string, string>,
  target: string,
  context: string,
  cwd: () => string,
): MountRequest {
  const source = fields.get("source") ?? "";
  if (source === "") throw new UsageError(`${context}: field Source must not be empty`);
  if (!source.startsWith("/") && !isRelativePath(source))
    throw new UsageError(`${context}: invalid mount path: '${source}' mount path must be absolute`);
  const asked = fields.get("bind-propagation");
  const propagation = PROPAGATIONS.find((name) => name === asked?.toLowerCase());
  if (asked !== undefined && propagation === undefined)
    throw new UsageError(`${context}: invalid propagation mode: ${asked}`);
  const readonly = isOn(fields.get("readonly"));
  const recursion = readRecursion(fields.get("bind-recursive"), readonly, propagation);
  return {
    type: "bind",
    source: absolutePath(source, cwd()),
    target,
    readonly,
    createSource: false,
    recursive: recursion !== "disabled" && !isOn(fields.get("bind-nonrecursive")),
    ...(recursion === "writable" ? { writableBelow: true } : {}),
    ...(propagation === undefined ? {} : { propagation }),
    ...(isOn(fields.get("idmap")) ? { idmap: true } : {}),
  };
}

const RECURSIONS = ["enabled", "disabled", "writable", "readonly"] as const;

/** `bind-recursive`. What is read-only is so with all below it, unless it is `writable`; `readonly` says that it has to be. */
function readRecursion(
  asked: string | undefined,
  readonly: boolean,
  propagation: string | undefined,
): (typeof RECURSIONS)[number] {
  const recursion = asked === undefined ? "enabled" : RECURSIONS.find((word) => word === asked);
  if (recursion === undefined) {
    const words = `must be "enabled", "disabled", "writable", or "readonly"`;
    throw new UsageError(`invalid value for bind-recursive: ${asked} (${words})`);
  }
  const needs = (what: string) =>
    new UsageError(
      `option 'bind-recursive=${recursion}' requires '${what}' to be specified in conjunction`,
    );
  if ((recursion === "writable" || recursion === "readonly") && !readonly) throw needs("readonly");
  if (recursion === "readonly" && propagation !== "rprivate")
    throw needs("bind-propagation=rprivate");
  return recursion;
}

function volume(
  fields: ReadonlyMap<string, string>,
  lists: ReadonlyMap<string, Record<string, string>>,
  target: string,
  context: string,
): VolumeMount {
  if (fields.has("idmap")) throw new UsageError(`${context}: idmap is for a bind`);
  const name = fields.get("source") ?? "";
  if (name !== "") checkName(name);
  checkDriver(fields.get("volume-driver"));
  const subpath = fields.get("volume-subpath");
  const parts = subpath?.split("/") ?? [];
  if (subpath?.startsWith("/") === true || parts.includes(".."))
    throw new UsageError(`${context}: subpath must be a relative path within the volume`);
  if (subpath !== undefined && name === "")
    throw new UsageError(`${context}: must not set Subpath when using anonymous volumes`);
  const [labels, options] = [lists.get("volume-label"), lists.get("volume-opt")];
  return {
    type: "volume",
    ...(name === "" ? {} : { name }),
    target,
    readonly: isOn(fields.get("readonly")),
    ...(isOn(fields.get("volume-nocopy")) ? { nocopy: true } : {}),
    ...(subpath === undefined || subpath === "" ? {} : { subpath }),
    ...(options === undefined ? {} : { driverOptions: options }),
    ...(labels === undefined ? {} : { labels }),
    origin: "mount",
  };
}

function tmpfsOptions(fields: ReadonlyMap<string, string>, context: string): string[] {
  if (fields.has("idmap")) throw new UsageError(`${context}: idmap is for a bind`);
  if (fields.has("source")) throw new UsageError(`${context}: field Source must not be specified`);
  const options: string[] = [];
  if (isOn(fields.get("readonly"))) options.push("ro");
  const size = fields.get("tmpfs-size");
  if (size !== undefined) {
    const bytes = sizeOf(size);
    if (bytes === undefined) throw new UsageError(`invalid value for tmpfs-size: ${size}`);
    options.push(`size=${bytes}`);
  }
  const mode = fields.get("tmpfs-mode");
  if (mode !== undefined) {
    if (!/^[0-7]{1,6}$/.test(mode)) throw new UsageError(`invalid value for tmpfs-mode: ${mode}`);
    options.push(`mode=${mode}`);
  }
  return options;
}
