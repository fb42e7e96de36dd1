/** From what was asked for and what the image says to an OCI config.json. Pure. */
import type { Resources } from "../cgroups/resources.ts";
import { MydockerError } from "../errors.ts";
import type { Healthcheck } from "../images/image_config.ts";
import type { NamespaceEntry } from "../namespaces/namespaces.ts";
import { REPLACEABLE_IN_PROC } from "../rootfs/proc_guard.ts";
import type { Device, Mount, Process, Spec } from "../runtime/spec.ts";
import type { VolumePlace } from "../volumes/place.ts";
import { grantedCapabilities } from "./capability_options.ts";
import {
  CGROUP_OPTIONS,
  DEFAULT_MOUNTS,
  DEFAULT_PATH,
  MASKED_PATHS,
  READONLY_PATHS,
} from "./defaults.ts";
import type { IdRange } from "./id_range.ts";
import type { OwnerMap } from "./owner_map.ts";
import type { MountRequest, RunOptions, VolumeMount } from "./run_options.ts";
import { sysctlsOf } from "./sysctl_options.ts";

/** The part of an image's configuration that a container starts from. */
export interface ImageConfig {
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly WorkingDir?: string | null;
  readonly User?: string | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  /** places of volumes; the values say nothing */
  readonly Volumes?: Readonly<Record<string, unknown>> | null;
  readonly Healthcheck?: Healthcheck | null;
  /** what executes a health check that is a line of text */
  readonly Shell?: readonly string[] | null;
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
}

/** What the machine has, found out by the caller. */
export interface HostFacts {
  readonly hostname: string;
  /** the capabilities that we hold and can pass on */
  readonly capabilities: readonly string[];
  /** oom_score_adj of a container that asks for none */
  readonly oomScoreAdj: number;
  /** Mounts that show the container its own cgroup; empty to mount a cgroup2 file system. */
  readonly cgroupMounts: readonly Mount[];
  readonly cgroupVersion: 1 | 2;
  /** count of processors that may be there, for paths that exist once for each */
  readonly processors: number;
}

/** What a config.json is made of. */
export interface SpecRequest {
  readonly id: string;
  readonly options: RunOptions;
  readonly image: ImageConfig;
  readonly host: HostFacts;
  readonly cgroupsPath: string;
  readonly resources: Resources;
  readonly devices: readonly Device[];
  /** /etc/hostname, /etc/hosts and /etc/resolv.conf: files of the host */
  readonly etcFiles: readonly Mount[];
  /** of a user namespace of its own */
  readonly ids?: IdRange;
  /** where its volumes are, by where they are mounted in it */
  readonly volumes?: ReadonlyMap<string, VolumePlace>;
  /** path of another container's network namespace */
  readonly networkNamespace?: string;
  /** ids of binds that are to belong to their owner, by where they are mounted */
  readonly owners?: ReadonlyMap<string, OwnerMap>;
}

/**
 * The command line of the first process: `--entrypoint` clears the image's CMD, arguments replace it.
 * @throws {MydockerError} when there is none
 */
export function commandOf(options: RunOptions, image: ImageConfig): string[] {
  const command =
    options.entrypoint === undefined
      ? [
          ...(image.Entrypoint ?? []),
          ...(options.args.length > 0 ? options.args : (image.Cmd ?? [])),
        ]
      : [...(options.entrypoint === "" ? [] : [options.entrypoint]), ...options.args];
  if (command.length === 0) {
    throw new MydockerError("no command specified", {
      exitCode: 125,
      hint: "the image has none of its own: name one behind the image",
    });
  }
  return command;
}

/** The whole configuration. @throws {MydockerError} for what cannot be had together */
export function buildSpec(request: SpecRequest): Spec {
  const { id, options, host } = request;
  const hostname = options.uts === "host" ? undefined : (options.hostname ?? id.slice(0, 12));
  if (options.uts === "host" && options.hostname !== undefined) {
    throw new MydockerError("conflicting options: hostname and the UTS mode", { exitCode: 125 });
  }
  checkUserNamespace(options);
  return {
    ociVersion: "1.3.0",
    process: buildProcess(request, hostname ?? host.hostname),
    root: { path: "rootfs", readonly: options.readonlyRoot },
    ...(hostname === undefined ? {} : { hostname }),
    ...(options.domainname === undefined ? {} : { domainname: options.domainname }),
    mounts: buildMounts(request),
    hooks: {},
    annotations: options.annotations ?? {},
    linux: {
      namespaces: buildNamespaces(request),
      uidMappings: request.ids === undefined ? [] : [request.ids.uid],
      gidMappings: request.ids === undefined ? [] : [request.ids.gid],
      netDevices: {},
      cgroupsPath: request.cgroupsPath,
      resources: request.resources,
      devices: request.devices,
      sysctl: sysctlsOf(options),
      maskedPaths: isOpen(options) ? [] : maskedPaths(host.processors),
      readonlyPaths: isOpen(options) ? [] : READONLY_PATHS,
    },
  };
}

/** As Docker with `userns-remap`; an IPC namespace of the host has message queues that are not to be mounted. */
function checkUserNamespace(options: RunOptions): void {
  if (options.userns !== "private") return;
  const renamed = options.devices.find(({ source, target }) => source !== target);
  if (renamed !== undefined) {
    const what = `cannot show ${renamed.source} as ${renamed.target} with --userns private`;
    throw new MydockerError(`${what}: devices keep their names there`, { exitCode: 125 });
  }
  const message = options.privileged
    ? "privileged mode is incompatible with user namespaces: you must run the container in the host's with --userns host"
    : options.network.startsWith("container:")
      ? "cannot share another container's network namespace with --userns private"
      : (["network", "pid", "ipc"] as const)
          .filter((kind) => options[kind] === "host")
          .map((kind) => `cannot share the host's ${kind} namespace with --userns private`)[0];
  if (message !== undefined) throw new MydockerError(message, { exitCode: 125 });
}

function buildProcess({ options, image, host }: SpecRequest, hostname: string): Process {
  const granted = grantedCapabilities(options, host.capabilities);
  return {
    terminal: options.tty,
    user: { uid: 0, gid: 0, additionalGids: [] },
    args: commandOf(options, image),
    env: buildEnvironment(options, image, hostname),
    cwd: options.workdir ?? (image.WorkingDir || "/"),
    capabilities: {
      bounding: granted,
      effective: granted,
      permitted: granted,
      inheritable: [],
      ambient: [],
    },
    rlimits: options.ulimits.map(({ name, soft, hard }) => ({ type: name, soft, hard })),
    noNewPrivileges: options.noNewPrivileges,
    ...(options.appArmor === undefined ? {} : { apparmorProfile: options.appArmor }),
    oomScoreAdj: options.oomScoreAdj ?? host.oomScoreAdj,
  };
}

/** PATH, HOSTNAME and TERM first, so that the image and then the caller have the last word. */
function buildEnvironment(options: RunOptions, image: ImageConfig, hostname: string): string[] {
  const variables = new Map<string, string>([
    ["PATH", DEFAULT_PATH],
    ["HOSTNAME", hostname],
  ]);
  if (options.tty) variables.set("TERM", "xterm");
  for (const entry of [...(image.Env ?? []), ...options.env]) {
    const equals = entry.indexOf("=");
    if (equals === -1) variables.delete(entry);
    else variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function buildNamespaces({ options, host, networkNamespace: path }: SpecRequest): NamespaceEntry[] {
  const namespaces: NamespaceEntry[] = [{ type: "mount" }];
  if (path !== undefined) namespaces.push({ type: "network", path });
  else if (options.network !== "host") namespaces.push({ type: "network" });
  if (options.uts !== "host") namespaces.push({ type: "uts" });
  if (options.pid !== "host") namespaces.push({ type: "pid" });
  if (options.ipc !== "host") namespaces.push({ type: "ipc" });
  const cgroupns = options.cgroupns ?? (host.cgroupVersion === 2 ? "private" : "host");
  if (cgroupns === "private") namespaces.push({ type: "cgroup" });
  if (options.userns === "private") namespaces.push({ type: "user" });
  return namespaces;
}

/** Whether all of /proc and /sys is there, as the kernel shows it. */
const isOpen = ({ privileged, unconfinedPaths }: RunOptions): boolean =>
  privileged || unconfinedPaths === true;

function maskedPaths(processors: number): string[] {
  const paths: string[] = [...MASKED_PATHS];
  for (let cpu = 0; cpu < processors; cpu++)
    paths.push(`/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`);
  return paths;
}

/**
 * Docker's mounts, then the container's files and the caller's, parents before what lies in them
 * (moby: daemon/oci_linux.go, withMounts). One of the caller's replaces Docker's at the same place,
 * and those below it, which it would hide.
 */
function buildMounts({ options, host, etcFiles, volumes, owners }: SpecRequest): Mount[] {
  const asked = options.mounts.map((mount) =>
    mount.type === "volume"
      ? toMount(volumeMount(mount, volumes), options.userns === "private")
      : toMount(mount, owners?.get(mount.target)),
  );
  const taken = new Map<string, Mount>();
  for (const mount of asked) {
    const { destination } = mount;
    if (taken.has(destination)) {
      throw new MydockerError(`Duplicate mount point: ${destination}`, { exitCode: 125 });
    }
    taken.set(destination, mount);
  }
  const cgroups = host.cgroupMounts.length > 0 ? host.cgroupMounts : [unifiedMount(options)];
  const defaults: Mount[] = [];
  const inside: Mount[] = [];
  for (const mount of [...DEFAULT_MOUNTS, ...cgroups]) {
    const { destination } = mount;
    if (taken.has(destination)) continue;
    const below = [...taken.values()].find((user) =>
      destination.startsWith(`${user.destination}/`),
    );
    if (below === undefined) defaults.push(adjust(mount, options));
    else if (belongsInside(mount, below, options)) inside.push(adjust(mount, options));
  }
  const files = etcFiles.filter(({ destination }) => !taken.has(destination));
  const others = [...inside, ...files, ...asked];
  return [...defaults, ...others.toSorted((a, b) => depth(a) - depth(b))];
}

/** cgroup v2. Whose cgroup namespace is the host's may mount that in the host's user namespace only. */
function unifiedMount({ cgroupns, userns }: RunOptions): Mount {
  const destination = "/sys/fs/cgroup";
  return userns === "private" && cgroupns === "host"
    ? { destination, type: "bind", source: destination, options: ["rbind", ...CGROUP_OPTIONS] }
    : { destination, type: "cgroup2", source: "cgroup", options: CGROUP_OPTIONS };
}

/** Whether one of Docker's mounts is had inside of one of the caller's. */
function belongsInside(mount: Mount, user: Mount, { tty }: RunOptions): boolean {
  if (user.destination !== "/dev") return false;
  // A new /dev needs them all. A /dev of the host has its own, but a terminal is never one of the host's.
  return user.type === "tmpfs" || (tty && mount.destination === "/dev/pts");
}

const depth = ({ destination }: Mount): number =>
  destination.split("/").filter((part) => part !== "").length;

/** A default mount under the options that change it. */
function adjust(mount: Mount, options: RunOptions): Mount {
  if (options.ipc === "host" && mount.destination === "/dev/shm") {
    // Message queues are the namespace's, whichever mount shows them (mq_overview(7)).
    const { destination } = mount;
    return { destination, type: "bind", source: destination, options: ["rbind", "rprivate"] };
  }
  if (mount.destination === "/dev/shm" && options.shmSize !== undefined) {
    const others = mount.options.filter((option) => !option.startsWith("size="));
    return { ...mount, options: [...others, `size=${options.shmSize}`] };
  }
  const writable = options.privileged && mount.destination.startsWith("/sys");
  return writable
    ? { ...mount, options: mount.options.filter((option) => option !== "ro") }
    : mount;
}

type DirectMount = Exclude<MountRequest, { type: "volume" }>;

/** A volume that is a file system. */
interface FileSystemMount {
  readonly type: "mount";
  readonly fileSystem: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

function volumeMount(
  { target, readonly, nocopy }: VolumeMount,
  places: SpecRequest["volumes"],
): DirectMount | FileSystemMount {
  const place = places?.get(target);
  if (place === undefined) throw new TypeError(`the volume on ${target} is nowhere`);
  if (place.kind === "mount") {
    // tmpfs is what a container has of its own: it is filled with what lies under it.
    const copies = place.type === "tmpfs" && nocopy !== true;
    const more = [...(copies ? ["tmpcopyup"] : []), ...(readonly ? ["ro"] : [])];
    return {
      ...place,
      type: "mount",
      fileSystem: place.type,
      target,
      options: [...place.options, ...more],
    };
  }
  const { path, recursive } = place;
  const isReadonly = readonly || place.readonly;
  return {
    type: "bind",
    source: path,
    target,
    readonly: isReadonly,
    createSource: false,
    recursive,
  };
}

/** @param idmap of a bind: which ids it shows; true, as of a volume, for those of all containers, whoever they are on the host */
function toMount(request: DirectMount | FileSystemMount, idmap: OwnerMap | boolean = false): Mount {
  const destination = cleanPath(request.target);
  if (destination === "/") {
    throw new MydockerError("invalid mount: destination can't be '/'", { exitCode: 125 });
  }
  if (destination.startsWith("/proc/") && !REPLACEABLE_IN_PROC.has(destination)) {
    // What guards the host's /proc would be written to, and read from, somewhere else.
    throw new MydockerError(`${destination} cannot be mounted because it is inside /proc`, {
      exitCode: 125,
    });
  }
  if (destination === "/proc" && request.type !== "bind") {
    const message = "/proc cannot be mounted because it is not of type proc";
    throw new MydockerError(message, { exitCode: 125 });
  }
  if (request.type === "tmpfs") {
    // The caller's options come last: `exec` takes `noexec` back.
    const options = ["noexec", "nosuid", "nodev", "rprivate", ...request.options];
    return { destination, type: "tmpfs", source: "tmpfs", options };
  }
  if (request.type === "mount") {
    const { fileSystem, source } = request;
    return { destination, type: fileSystem, source, options: [...request.options, "rprivate"] };
  }
  const options = [
    request.recursive ? "rbind" : "bind",
    request.propagation ?? "rprivate",
    ...(request.readonly ? ["ro"] : []),
    ...(request.readonly && request.recursive && request.writableBelow !== true ? ["rro"] : []),
    ...(idmap === false ? [] : ["idmap"]),
  ];
  const mapped = typeof idmap === "boolean" ? {} : idmap;
  return { destination, type: "bind", source: request.source, options, ...mapped };
}

/** Lexically clean: no empty, "." or ".." parts, no slash at the end. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
