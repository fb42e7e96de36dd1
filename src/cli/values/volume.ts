/** `-v [SRC:]DST[:OPTIONS]`, `--volumes-from CONTAINER[:OPTIONS]` and `--tmpfs DST[:OPTIONS]`. */
import type { MountRequest, RunOptions, VolumeMount } from "../../engine/run_options.ts";
import { MydockerError, UsageError } from "../../errors.ts";
import { checkVolumeName } from "../../volumes/volume.ts";
import { absolutePath, cleanPath, isRelativePath } from "./path.ts";

type Bind = Extract<MountRequest, { type: "bind" }>;
type Tmpfs = Extract<MountRequest, { type: "tmpfs" }>;

/** Mount propagation, as mount(8) names it. */
export const PROPAGATIONS = [
  "private",
  "rprivate",
  "slave",
  "rslave",
  "shared",
  "rshared",
] as const satisfies readonly NonNullable<Bind["propagation"]>[];

/** Options by what they decide: of one kind only one may be given. */
const MODES: Readonly<Record<string, string>> = {
  ro: "access",
  rw: "access",
  // SELinux labels: without SELinux, as here, they change nothing in Docker either.
  z: "label",
  Z: "label",
  // Podman's
  idmap: "ids",
  nocopy: "copy",
  // Only Docker Desktop heeds these.
  consistent: "consistency",
  cached: "consistency",
  delegated: "consistency",
  ...Object.fromEntries(PROPAGATIONS.map((name) => [name, "propagation"])),
};

/**
 * One `-v`: a path of the host, the name of a volume, or a volume without one.
 * @param cwd the directory that `./x` starts from, absolute
 */
export function parseVolume(text: string, cwd: () => string): Bind | VolumeMount {
  const invalid = `invalid volume specification: '${text}'`;
  const [source = "", target = "", mode, ...excess] = text.split(":");
  if (!text.includes(":")) return anonymous(mountTarget(text, invalid));
  if (excess.length > 0 || source === "" || target === "") throw new UsageError(invalid);
  // "-v /data:ro": a volume without a name has no options (moby: volume/mounts/linux_parser.go)
  if (mode === undefined && parseMode(target) !== undefined) throw new UsageError(invalid);
  const options = parseMode(mode ?? "rw");
  if (options === undefined) throw new UsageError(`invalid mode: ${mode}`);
  const propagation = PROPAGATIONS.find((name) => options.includes(name));
  if (!source.startsWith("/") && !isRelativePath(source)) {
    checkName(source);
    if (propagation !== undefined || options.includes("idmap"))
      throw new UsageError(`invalid mode: ${mode}`);
    return {
      type: "volume",
      name: source,
      target: mountTarget(target, invalid),
      readonly: options.includes("ro"),
      ...(options.includes("nocopy") ? { nocopy: true } : {}),
      mode: mode ?? "",
      origin: "volume",
    };
  }
  return {
    type: "bind",
    source: absolutePath(source, cwd()),
    target: mountTarget(target, invalid),
    readonly: options.includes("ro"),
    createSource: true,
    recursive: true,
    ...(propagation === undefined ? {} : { propagation }),
    ...(options.includes("idmap") ? { idmap: true } : {}),
  };
}

const anonymous = (target: string): VolumeMount => ({
  type: "volume",
  target,
  readonly: false,
  origin: "volume",
});

/** Of a volume. @throws {UsageError} */
export function checkName(name: string): void {
  try {
    checkVolumeName(name);
  } catch (cause) {
    if (!(cause instanceof MydockerError)) throw cause;
    const { hint, message } = cause;
    throw new UsageError(hint === undefined ? message : `${message}. ${hint}`, { cause });
  }
}

/** There is one driver. @throws {UsageError} */
export function checkDriver(driver: string | undefined): string {
  if (driver === undefined || driver === "" || driver === "local") return "local";
  throw new UsageError(
    `error looking up volume plugin ${driver}: plugin "${driver}" not found: the driver is local`,
  );
}

/** One `--volumes-from`. */
export function parseVolumesFrom(text: string): NonNullable<RunOptions["volumesFrom"]>[number] {
  const colon = text.indexOf(":");
  const container = colon < 0 ? text : text.slice(0, colon);
  if (container === "") throw new UsageError("malformed volumes-from specification: empty");
  if (colon < 0) return { container };
  const mode = text.slice(colon + 1);
  const options = parseMode(mode);
  // Only these may be said of what another container has (moby: ValidateVolumeFrom).
  if (options === undefined || options.some((each) => !["ro", "rw", "z", "Z"].includes(each)))
    throw new UsageError(`invalid mode for volumes-from: ${mode}`);
  return { container, ...(options.includes("ro") ? { readonly: true } : {}) };
}

/** @returns the options one by one, or undefined when they are none */
function parseMode(text: string): readonly string[] | undefined {
  const options = text.split(",");
  const kinds = options.map((option) => (Object.hasOwn(MODES, option) ? MODES[option] : undefined));
  return kinds.includes(undefined) || new Set(kinds).size < kinds.length ? undefined : options;
}

/** A mount's place in the container: absolute, and not the root itself. */
export function mountTarget(path: string, context: string): string {
  if (!path.startsWith("/"))
    throw new UsageError(`${context}: invalid mount path: '${path}' mount path must be absolute`);
  const target = cleanPath(path);
  if (target === "/") throw new UsageError(`${context}: destination can't be '/'`);
  return target;
}

/** One `--tmpfs`. */
export function parseTmpfs(text: string): Tmpfs {
  const colon = text.indexOf(":");
  const [path, options] = colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  return {
    type: "tmpfs",
    target: mountTarget(path, `invalid tmpfs '${text}'`),
    options: options.split(",").filter((option) => option !== ""),
  };
}
