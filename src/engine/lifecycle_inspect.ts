/** `inspect` of containers: what is on record of one, in Docker's shape (api/swagger.yaml, ContainerInspectResponse). */
import type { Healthcheck } from "../images/image_config.ts";
import { SIGNALS } from "../linux/process.ts";
import type { Paths } from "../paths.ts";
import { VolumeStore } from "../volumes/store.ts";
import type { ContainerRecord, ExitRecord } from "./container_record.ts";
import { sizesOf } from "./container_size.ts";
import { isChecked } from "./health.ts";
import { hostConfig } from "./inspect_host_config.ts";
import { imageConfigOf } from "./lifecycle_open.ts";
import { type FoundContainer, findContainer, recordOf } from "./lifecycle_process.ts";
import { isUp, stateOf, withPause } from "./list.ts";
import { networkSettings } from "./network_shape.ts";
import { type OwnerRecord, readOwner } from "./ownership.ts";
import type { MountRequest, RunOptions, StreamKind } from "./run_options.ts";
import type { ImageConfig } from "./spec_builder.ts";

/** A time that has not come (Go's zero time). */
const NEVER = "0001-01-01T00:00:00Z";

/** Looks a container up. @param withSize what it takes on disk, too @throws {MydockerError} when there is none */
export function inspectContainer(
  paths: Paths,
  reference: string,
  withSize = false,
): Record<string, unknown> {
  const found = findContainer(paths, reference);
  const record = recordOf(found);
  const exit = found.store.readExit(found.id);
  const owner = readOwner(paths, found.id); // once: what is said of it belongs together
  const image = ifKnown(() => imageConfigOf(paths, record)) ?? {};
  const { options, command } = record;
  const directory = found.store.directory(found.id);
  return {
    Id: record.id,
    Created: record.created,
    Path: command[0] ?? "",
    Args: command.slice(1),
    State: stateShape(found, owner, exit, options.healthcheck),
    Image: record.imageId ?? "",
    ResolvConfPath: `${paths.run}/etc/${record.id}.resolv.conf`,
    HostnamePath: `${paths.run}/etc/${record.id}.hostname`,
    HostsPath: `${paths.run}/etc/${record.id}.hosts`,
    LogPath: options.log?.driver === "none" ? "" : found.store.logPath(found.id),
    Name: `/${record.name}`,
    RestartCount: owner?.restartCount ?? exit?.restartCount ?? 0,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: hostConfig(record),
    GraphDriver: {
      Name: "overlay2",
      Data: {
        LowerDir: record.layers.toReversed().join(":"),
        // It is mounted in the container's own mount namespace, and nowhere on the host.
        MergedDir: "",
        UpperDir: `${directory}/upper`,
        WorkDir: `${directory}/work`,
      },
    },
    ...(withSize ? sizeShape(paths, record) : {}),
    // What is in memory is in HostConfig.Tmpfs.
    Mounts: options.mounts.flatMap((mount) =>
      mount.type === "tmpfs" ? [] : [mountShape(paths, mount)],
    ),
    Config: configShape(record, image),
    NetworkSettings: networkSettings(paths, record),
  };
}

function sizeShape(paths: Paths, record: ContainerRecord): object {
  const { own, all } = sizesOf(paths)(record);
  return { SizeRw: own, SizeRootFs: all };
}

/** The image may have been damaged or removed by force: what else is known is shown. */
function ifKnown<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function stateShape(
  found: FoundContainer,
  owner: OwnerRecord | undefined,
  last: ExitRecord | undefined,
  check: Healthcheck | undefined,
): object {
  const state = withPause(stateOf(owner, last), owner);
  const running = "pid" in state ? state : undefined;
  const exit = state.status === "restarting" ? state.exit : last;
  return {
    Status: state.status,
    Running: isUp(state),
    Paused: state.status === "paused",
    Restarting: state.status === "restarting",
    OOMKilled: running === undefined && exit?.oomKilled === true,
    Dead: state.status === "dead",
    Pid: running?.pid ?? 0,
    ExitCode: running === undefined ? (exit?.exitCode ?? 0) : 0,
    Error: running === undefined ? (exit?.error ?? "") : "",
    StartedAt: running?.startedAt ?? exit?.startedAt ?? NEVER,
    FinishedAt: running === undefined ? (exit?.finishedAt ?? NEVER) : NEVER,
    ...healthShape(found, check),
  };
}

/** Of one that was started; absent, as in Docker, for one without health check. */
function healthShape({ store, id }: FoundContainer, check: Healthcheck | undefined): object {
  if (!isChecked(check)) return {};
  const health = store.readHealth(id);
  return health === undefined ? {} : { Health: health };
}

function mountShape(paths: Paths, mount: Exclude<MountRequest, { type: "tmpfs" }>): object {
  if (mount.type === "volume") {
    const { name = "", target, mode, origin, readonly } = mount;
    // Docker says "z" where nothing else was said, for SELinux.
    const usual = origin === "image" || mode === undefined ? "" : "z";
    return {
      Type: "volume",
      Name: name,
      Source: new VolumeStore(paths.root).data(name),
      Destination: target,
      Driver: "local",
      Mode: mode || usual,
      RW: !readonly,
      Propagation: "",
    };
  }
  return {
    Type: "bind",
    Source: mount.source,
    Destination: mount.target,
    // Of `--mount` Docker says none.
    Mode: mount.readonly && mount.createSource ? "ro" : "",
    RW: !mount.readonly,
    Propagation: mount.propagation ?? "rprivate",
  };
}

function configShape({ options, labels, id, image }: ContainerRecord, from: ImageConfig): object {
  const isAttached = (stream: StreamKind) => options.attach?.includes(stream) === true;
  return {
    Hostname: options.hostname ?? id.slice(0, 12),
    Domainname: options.domainname ?? "",
    User: options.user ?? from.User ?? "",
    AttachStdin: isAttached("stdin"),
    AttachStdout: isAttached("stdout"),
    AttachStderr: isAttached("stderr"),
    Tty: options.tty,
    OpenStdin: options.interactive,
    StdinOnce: options.stdinOnce === true,
    Env: environment(options.env, from.Env ?? []),
    Cmd: options.args.length > 0 ? options.args : (from.Cmd ?? null),
    Image: image,
    Volumes: volumesShape(options, from),
    WorkingDir: options.workdir ?? from.WorkingDir ?? "",
    Entrypoint:
      options.entrypoint === undefined
        ? (from.Entrypoint ?? null)
        : options.entrypoint === ""
          ? null
          : [options.entrypoint],
    OnBuild: null,
    Labels: labels,
    ...(options.healthcheck === undefined ? {} : { Healthcheck: options.healthcheck }),
    ...(options.stopSignal === undefined ? {} : { StopSignal: signalName(options.stopSignal) }),
    ...(options.stopTimeout === undefined ? {} : { StopTimeout: options.stopTimeout }),
  };
}

/** What was asked for, then what the image has besides; a name alone takes the image's away. */
function environment(asked: readonly string[], image: readonly string[]): string[] {
  const nameOf = (entry: string) => entry.split("=", 1)[0] as string;
  const own = new Map(asked.map((entry) => [nameOf(entry), entry]));
  return [
    ...[...own.values()].filter((entry) => entry.includes("=")),
    ...image.filter((entry) => !own.has(nameOf(entry))),
  ];
}

/** Where volumes without a name are, by the image or by `-v`. */
function volumesShape(
  { mounts }: RunOptions,
  { Volumes }: ImageConfig,
): Record<string, object> | null {
  const own = mounts.flatMap((mount) =>
    mount.type === "volume" && mount.anonymous === true && mount.origin === "volume"
      ? [mount.target]
      : [],
  );
  const targets = [...Object.keys(Volumes ?? {}), ...own];
  return targets.length === 0 ? null : Object.fromEntries(targets.map((each) => [each, {}]));
}

/** `SIGINT`; of a real-time signal the number. */
function signalName(signal: number): string {
  return Object.entries(SIGNALS).find(([, number]) => number === signal)?.[0] ?? String(signal);
}
