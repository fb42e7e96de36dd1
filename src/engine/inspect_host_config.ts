/** The `HostConfig` of `inspect`: what a container was asked for, as far as it is its host's matter. */
import { readLayout } from "../cgroups/layout.ts";
import type { PortRequest } from "../network/ports.ts";
import { containerCgroup } from "./container_cgroup.ts";
import type { ContainerRecord } from "./container_record.ts";
import { MASKED_PATHS, READONLY_PATHS } from "./defaults.ts";
import { DEFAULT_LOG } from "./logs_writer.ts";
import { NO_RESTART } from "./restart_policy.ts";
import type { DeviceRate, MountRequest, RunOptions } from "./run_options.ts";

/** What was asked for; which ports they became is in NetworkSettings. */
function portBindings(ports: readonly PortRequest[]): object {
  const groups = Map.groupBy(ports, ({ port, protocol }) => `${port}/${protocol}`);
  const range = (hostPorts: PortRequest["hostPorts"] = [0, 0]) => [...new Set(hostPorts)].join("-");
  return Object.fromEntries(
    [...groups].map(([key, group]) => [
      key,
      group.map(({ hostIp = "", hostPorts }) => ({
        HostIp: hostIp,
        HostPort: hostPorts === undefined ? "" : range(hostPorts),
      })),
    ]),
  );
}

/** How a container is isolated and limited, in Docker's shape. */
export function hostConfig({ options, id }: ContainerRecord): object {
  const { log = DEFAULT_LOG, restart = NO_RESTART } = options;
  const isOpen = options.privileged || options.unconfinedPaths === true;
  return {
    Binds: bindsOf(options),
    ContainerIDFile: options.cidfile ?? "",
    LogConfig: {
      Type: log.driver,
      Config:
        log.options ??
        (log.driver === "none"
          ? {}
          : { "max-size": String(log.maxSize), "max-file": String(log.maxFile) }),
    },
    NetworkMode: options.network,
    PortBindings: portBindings(options.ports ?? []),
    RestartPolicy: { Name: restart.name, MaximumRetryCount: restart.maximumRetryCount },
    AutoRemove: options.remove,
    VolumeDriver: "",
    VolumesFrom: orNull(
      (options.volumesFrom ?? []).map(({ container, readonly }) =>
        readonly === true ? `${container}:ro` : container,
      ),
    ),
    CapAdd: orNull(options.capAdd),
    CapDrop: orNull(options.capDrop),
    CgroupnsMode: options.cgroupns ?? (readLayout().mode === "v2" ? "private" : "host"),
    Dns: options.dns?.servers ?? [],
    DnsOptions: options.dns?.options ?? [],
    DnsSearch: options.dns?.search ?? [],
    ExtraHosts: orNull(options.extraHosts ?? []),
    GroupAdd: orNull(options.groupAdd),
    IpcMode: options.ipc,
    Cgroup: "",
    Links: null,
    OomScoreAdj: options.oomScoreAdj ?? 0,
    PidMode: options.pid === "host" ? "host" : "",
    Privileged: options.privileged,
    PublishAllPorts: options.publishAll === true,
    ReadonlyRootfs: options.readonlyRoot,
    SecurityOpt: securityOf(options),
    Tmpfs: tmpfsOf(options),
    UTSMode: options.uts === "host" ? "host" : "",
    UsernsMode: options.userns ?? "",
    ShmSize: options.shmSize ?? 67108864,
    Sysctls: options.sysctls,
    Runtime: "mydocker",
    ConsoleSize: [0, 0],
    Isolation: "",
    Init: options.init,
    Mounts: mountOptions(options),
    MaskedPaths: isOpen ? null : MASKED_PATHS,
    ReadonlyPaths: isOpen ? null : READONLY_PATHS,
    CgroupParent: options.cgroupParent ?? "",
    ...(options.annotations === undefined ? {} : { Annotations: options.annotations }),
    ...resourcesOf(options),
    // Where it is in every hierarchy; Docker does not say.
    CgroupPath: containerCgroup(id, options.cgroupParent),
  };
}

const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length === 0 ? null : list);

/** What `-v` asked for. */
function bindsOf({ mounts }: RunOptions): readonly string[] | null {
  return orNull(
    mounts.flatMap((mount) => {
      if (mount.type === "bind" && mount.createSource) {
        const { source, target, readonly, propagation, idmap } = mount;
        const words = [readonly ? "ro" : "", propagation ?? "", idmap === true ? "idmap" : ""];
        const mode = words.filter(Boolean).join(",");
        return [[source, target, mode].filter(Boolean).join(":")];
      }
      if (mount.type !== "volume" || mount.origin !== "volume") return [];
      const { name = "", target, mode = "", anonymous } = mount;
      return anonymous === true ? [] : [[name, target, mode].filter(Boolean).join(":")];
    }),
  );
}

/** Of `--mount type=bind` (api/swagger.yaml, Mount). */
function bindOptions({
  propagation,
  recursive,
  writableBelow,
}: Extract<MountRequest, { type: "bind" }>): object {
  const options = {
    ...(propagation === undefined ? {} : { Propagation: propagation }),
    ...(recursive ? {} : { NonRecursive: true }),
    ...(writableBelow === true ? { ReadOnlyNonRecursive: true } : {}),
  };
  return Object.keys(options).length === 0 ? {} : { BindOptions: options };
}

/** What `--mount` asked for; of a tmpfs it is not known by which option. */
function mountOptions({ mounts }: RunOptions): readonly object[] | null {
  return orNull(
    mounts.flatMap((mount): object[] => {
      if (mount.type === "bind" && !mount.createSource) {
        const { source: Source, target: Target, readonly } = mount;
        return [
          {
            Type: "bind",
            Source,
            Target,
            ...(readonly ? { ReadOnly: true } : {}),
            ...bindOptions(mount),
          },
        ];
      }
      if (mount.type !== "volume" || mount.origin !== "mount") return [];
      const { name = "", anonymous, target: Target, readonly, nocopy } = mount;
      return [
        {
          Type: "volume",
          ...(anonymous === true ? {} : { Source: name }),
          Target,
          ...(readonly ? { ReadOnly: true } : {}),
          ...(nocopy === true ? { VolumeOptions: { NoCopy: true } } : {}),
        },
      ];
    }),
  );
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

/** What there is no option for. */
const UNLIMITED = {
  DeviceRequests: null,
  KernelMemoryTCP: 0,
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
};

const ratesOf = (limits: readonly DeviceRate[] = []) =>
  orNull(limits.map(({ path, rate }) => ({ Path: path, Rate: rate })));

function resourcesOf({ resources, ulimits, devices, deviceRules }: RunOptions): object {
  const { memory = 0, memorySwap = 2 * memory } = resources;
  return {
    ...UNLIMITED,
    BlkioWeight: resources.blkioWeight ?? 0,
    BlkioWeightDevice: (resources.blkioWeightDevice ?? []).map(({ path, rate }) => ({
      Path: path,
      Weight: rate,
    })),
    BlkioDeviceReadBps: ratesOf(resources.deviceReadBps),
    BlkioDeviceWriteBps: ratesOf(resources.deviceWriteBps),
    BlkioDeviceReadIOps: ratesOf(resources.deviceReadIops),
    BlkioDeviceWriteIOps: ratesOf(resources.deviceWriteIops),
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? false,
    CpuShares: resources.cpuShares ?? 0,
    Memory: memory,
    NanoCpus: Math.round((resources.cpus ?? 0) * 1e9),
    CpuPeriod: resources.cpuPeriod ?? 0,
    CpuQuota: resources.cpuQuota ?? 0,
    CpuRealtimePeriod: resources.cpuRtPeriod ?? 0,
    CpuRealtimeRuntime: resources.cpuRtRuntime ?? 0,
    KernelMemory: resources.kernelMemory ?? 0,
    CpusetCpus: resources.cpusetCpus ?? "",
    CpusetMems: resources.cpusetMems ?? "",
    Devices: devices.map(({ source, target, access }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: access,
    })),
    DeviceCgroupRules: orNull(
      deviceRules.map(({ type, major, minor, access }) => {
        const [first, second] = [major, minor].map((each) => (each < 0 ? "*" : each));
        return `${type} ${first}:${second} ${access}`;
      }),
    ),
    MemoryReservation: resources.memoryReservation ?? 0,
    MemorySwap: memorySwap,
    PidsLimit: resources.pidsLimit ?? null,
    Ulimits: ulimits.map(({ name, soft, hard }) => ({
      Name: name.slice("RLIMIT_".length).toLowerCase(),
      Hard: hard >= 2 ** 63 ? -1 : hard,
      Soft: soft >= 2 ** 63 ? -1 : soft,
    })),
  };
}
