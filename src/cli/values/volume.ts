/** `-v SRC:DST[:OPTIONS]` and `--tmpfs DST[:OPTIONS]`. */
import type { MountRequest } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
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
 * One `-v`.
 * @param cwd the directory that `./x` starts from, absolute
 */
export function parseVolume(text: string, cwd: () => string): Bind {
  const [source = "", target = "", mode, ...excess] = text.split(":");
  if (excess.length > 0 || (text.includes(":") && (source === "" || target === "")))
    throw new UsageError(`invalid volume specification: '${text}'`);
  // "-v /data", and "-v /data:ro": no source, so a volume without a name
  if (mode === undefined && (!text.includes(":") || parseMode(target) !== undefined))
    throw noVolumes("volumes without a name");
  const options = parseMode(mode ?? "rw");
  if (options === undefined) throw new UsageError(`invalid mode: ${mode}`);
  if (!source.startsWith("/") && !isRelativePath(source))
    throw noVolumes(`named volumes (${source})`);
  const propagation = PROPAGATIONS.find((name) => options.includes(name));
  return {
    type: "bind",
    source: absolutePath(source, cwd()),
    target: mountTarget(target, `invalid volume specification: '${text}'`),
    readonly: options.includes("ro"),
    createSource: true,
    recursive: true,
    ...(propagation === undefined ? {} : { propagation }),
    ...(options.includes("idmap") ? { idmap: true } : {}),
  };
}

/** @returns the options one by one, or undefined when they are none */
function parseMode(text: string): readonly string[] | undefined {
  const options = text.split(",");
  const kinds = options.map((option) => (Object.hasOwn(MODES, option) ? MODES[option] : undefined));
  return kinds.includes(undefined) || new Set(kinds).size < kinds.length ? undefined : options;
}

/** The one place that says that volumes are to come. */
export function noVolumes(what: string): UsageError {
  return new UsageError(
    `${what} are not part of this version: give an absolute path of the host, as in -v /data:/data`,
  );
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
