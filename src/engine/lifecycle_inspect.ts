/** `inspect` of containers: what is on record of one, in Docker's shape (api/swagger.yaml, ContainerInspectResponse). */
import type { Healthcheck } from "../images/image_config.ts";
import type { Paths } from "../paths.ts";
import { VolumeStore } from "../volumes/store.ts";
import { containerCgroup } from "./container_cgroup.ts";
import type { ContainerRecord, ExitRecord } from "./container_record.ts";
import { isChecked } from "./health.ts";
import { imageConfigOf } from "./lifecycle_open.ts";
import { type FoundContainer, findContainer, recordOf } from "./lifecycle_process.ts";
import { isUp, stateOf, withPause } from "./list.ts";
import { DEFAULT_LOG } from "./logs_writer.ts";
import { readOwner } from "./ownership.ts";
import { NO_RESTART } from "./restart_policy.ts";
import type { MountRequest, RunOptions } from "./run_options.ts";
import type { ImageConfig } from "./spec_builder.ts";

/** A time that has not come (Go's zero time). */
const NEVER = "0001-01-01T00:00:00Z";

/** Looks a container up. @throws {MydockerError} when there is none */
export function inspectContainer(paths: Paths, reference: string): Record<string, unknown> {
  const found = findContainer(paths, reference);
  const record = recordOf(found);
  const exit = found.store.readExit(found.id);
  const image = ifKnown(() => imageConfigOf(paths, record)) ?? {};
  const { options, command } = record;
  const directory = found.store.directory(found.id);
  return {
    Id: record.id,
    Created: record.created,
    Path: command[0] ?? "",
    Args: command.slice(1),
    State: stateShape(found, exit, options.healthcheck),
    Image: record.imageId ?? "",
    ResolvConfPath: `${paths.run}/etc/${record.id}.resolv.conf`,
    HostnamePath: `${paths.run}/etc/${record.id}.hostname`,
    HostsPath: `${paths.run}/etc/${record.id}.hosts`,
    LogPath: options.log?.driver === "none" ? "" : found.store.logPath(found.id),
    Name: `/${record.name}`,
    RestartCount: readOwner(paths, found.id)?.restartCount ?? exit?.restartCount ?? 0,
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
        UpperDir: `${directory}/upper`,
        WorkDir: `${directory}/work`,
      },
    },
    Mounts: options.mounts.map((mount) => mountShape(paths, mount)),
    Config: configShape(record, image),
    NetworkSettings: {
      Ports: {},
      Networks: {
        [options.network]: {
          IPAddress: "",
          IPPrefixLen: 0,
          Gateway: "",
          MacAddress: "",
          Aliases: null,
          NetworkID: "",
          EndpointID: "",
        },
      },
    },
  };
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
  last: ExitRecord | undefined,
  check: Healthcheck | undefined,
): object {
  const owner = readOwner(found.paths, found.id);
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

function mountShape(paths: Paths, mount: MountRequest): object {
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
  if (mount.type === "tmpfs") {
    return {
      Type: "tmpfs",
      Source: "",
      Destination: mount.target,
      Mode: mount.options.join(","),
      RW: !mount.options.includes("ro"),
      Propagation: "",
    };
  }
  return {
    Type: "bind",
    Source: mount.source,
    Destination: mount.target,
    Mode: mount.readonly ? "ro" : "",
    RW: !mount.readonly,
    Propagation: mount.propagation ?? "rprivate",
  };
}

function configShape({ options, labels, id, image }: ContainerRecord, from: ImageConfig): object {
  const isAttached = options.stdinOnce === true;
  return {
    Hostname: options.hostname ?? id.slice(0, 12),
    Domainname: options.domainname ?? "",
    User: options.user ?? from.User ?? "",
    AttachStdin: isAttached,
    AttachStdout: false,
    AttachStderr: false,
    Tty: options.tty,
    OpenStdin: options.interactive,
    StdinOnce: isAttached,
    Env: [...(from.Env ?? []), ...options.env],
    Cmd: options.args.length > 0 ? options.args : (from.Cmd ?? null),
    Image: image,
    Volumes: null,
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
    ...(options.stopSignal === undefined ? {} : { StopSignal: String(options.stopSignal) }),
    ...(options.stopTimeout === undefined ? {} : { StopTimeout: options.stopTimeout }),
  };
}

function hostConfig({ options, id }: ContainerRecord): object {
  const { log = DEFAULT_LOG, restart = NO_RESTART } = options;
  return {
    Binds: bindsOf(options),
    ContainerIDFile: options.cidfile ?? "",
    LogConfig: {
      Type: log.driver,
      Config:
        log.driver === "none"
          ? {}
          : { "max-size": String(log.maxSize), "max-file": String(log.maxFile) },
    },
    NetworkMode: options.network,
    PortBindings: {},
    RestartPolicy: { Name: restart.name, MaximumRetryCount: restart.maximumRetryCount },
    AutoRemove: options.remove,
    VolumeDriver: "",
    VolumesFrom: null,
    CapAdd: orNull(options.capAdd),
    CapDrop: orNull(options.capDrop),
    CgroupnsMode: "",
    Dns: null,
    DnsOptions: null,
    DnsSearch: null,
    ExtraHosts: null,
    GroupAdd: orNull(options.groupAdd),
    IpcMode: options.ipc,
    Cgroup: "",
    Links: null,
    OomScoreAdj: options.oomScoreAdj ?? 0,
    PidMode: options.pid === "host" ? "host" : "",
    Privileged: options.privileged,
    PublishAllPorts: false,
    ReadonlyRootfs: options.readonlyRoot,
    SecurityOpt: securityOf(options),
    Tmpfs: tmpfsOf(options),
    UTSMode: options.uts === "host" ? "host" : "",
    UsernsMode: "",
    ShmSize: options.shmSize ?? 67108864,
    Sysctls: options.sysctls,
    Runtime: "mydocker",
    Init: options.init,
    CgroupParent: options.cgroupParent ?? "",
    ...resourcesOf(options),
    // Where it is in every hierarchy; Docker does not say.
    CgroupPath: containerCgroup(id, options.cgroupParent),
  };
}

const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length === 0 ? null : list);

function bindsOf({ mounts }: RunOptions): string[] | null {
  const binds = mounts.flatMap((mount) =>
    mount.type === "bind" ? [`${mount.source}:${mount.target}${mount.readonly ? ":ro" : ""}`] : [],
  );
  return binds.length === 0 ? null : binds;
}

function tmpfsOf({ mounts }: RunOptions): Record<string, string> {
  return Object.fromEntries(
    mounts.flatMap((mount) =>
      mount.type === "tmpfs" ? [[mount.target, mount.options.join(",")]] : [],
    ),
  );
}

function securityOf({ noNewPrivileges, seccomp }: RunOptions): string[] | null {
  const said = [
    ...(noNewPrivileges ? ["no-new-privileges"] : []),
    ...(seccomp === undefined
      ? []
      : [`seccomp=${typeof seccomp === "string" ? seccomp : seccomp.profile}`]),
  ];
  return said.length === 0 ? null : said;
}

function resourcesOf({ resources, ulimits, devices }: RunOptions): object {
  return {
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memory ?? 0,
    NanoCpus: Math.round((resources.cpus ?? 0) * 1e9),
    CpuPeriod: resources.cpuPeriod ?? 0,
    CpuQuota: resources.cpuQuota ?? 0,
    CpusetCpus: resources.cpusetCpus ?? "",
    CpusetMems: resources.cpusetMems ?? "",
    Devices: devices.map(({ source, target, access }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: access,
    })),
    MemoryReservation: resources.memoryReservation ?? 0,
    MemorySwap: resources.memorySwap ?? 0,
    PidsLimit: resources.pidsLimit ?? null,
    Ulimits: ulimits.map(({ name, soft, hard }) => ({
      Name: name.slice("RLIMIT_".length).toLowerCase(),
      Soft: soft,
      Hard: hard,
    })),
  };
}
