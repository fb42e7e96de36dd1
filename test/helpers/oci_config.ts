/** A config.json that uses every field of the specification, and ways to change it. */

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A JSON document. */
export type JsonObject = { [key: string]: Json };

const CAPABILITIES = ["CAP_CHOWN", "CAP_KILL"];
const MAPPINGS = [{ containerID: 0, hostID: 100000, size: 65536 }];
const THROTTLE = [{ major: 8, minor: 0, rate: 1048576 }];
const hooks = (name: string) => [
  { path: `/usr/bin/${name}`, args: [name, "--now"], env: ["A=1"], timeout: 10 },
];

const FULL = {
  ociVersion: "1.3.0",
  process: {
    terminal: true,
    consoleSize: { height: 25, width: 80 },
    user: { uid: 1, gid: 2, umask: 18, additionalGids: [5, 6] },
    args: ["sh", "-c", ""],
    env: ["PATH=/bin", "EMPTY="],
    cwd: "/root",
    capabilities: {
      bounding: CAPABILITIES,
      effective: CAPABILITIES,
      permitted: CAPABILITIES,
      inheritable: CAPABILITIES,
      ambient: ["CAP_KILL"],
    },
    rlimits: [
      { type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    ],
    noNewPrivileges: true,
    oomScoreAdj: 100,
    apparmorProfile: "docker-default",
    selinuxLabel: "system_u:system_r:svirt_lxc_net_t:s0",
    scheduler: {
      policy: "SCHED_FIFO",
      nice: 0,
      priority: 10,
      flags: ["SCHED_FLAG_RESET_ON_FORK"],
      runtime: 0,
      deadline: 0,
      period: 0,
    },
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    execCPUAffinity: { initial: "0-3,7", final: "1" },
  },
  root: { path: "rootfs", readonly: true },
  hostname: "box",
  domainname: "example.org",
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=1777"] },
    {
      destination: "/data",
      type: "none",
      source: "data",
      options: ["rbind", "ro", "idmap"],
      uidMappings: MAPPINGS,
      gidMappings: MAPPINGS,
    },
  ],
  hooks: {
    prestart: hooks("first"),
    createRuntime: hooks("second"),
    createContainer: hooks("third"),
    startContainer: hooks("fourth"),
    poststart: hooks("fifth"),
    poststop: hooks("sixth"),
  },
  annotations: { "org.example.key": "value" },
  linux: {
    namespaces: [
      { type: "pid" },
      { type: "network", path: "/run/netns/box" },
      { type: "mount" },
      { type: "ipc" },
      { type: "uts" },
      { type: "user" },
      { type: "cgroup" },
      { type: "time" },
    ],
    uidMappings: MAPPINGS,
    gidMappings: MAPPINGS,
    timeOffsets: { monotonic: { secs: 10, nanosecs: 5 }, boottime: { secs: -1, nanosecs: 0 } },
    devices: [
      { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 438, uid: 0, gid: 0 },
      { path: "/dev/pipe", type: "p" },
    ],
    netDevices: { eth0: { name: "box0" }, eth1: {} },
    cgroupsPath: "/box/one",
    resources: {
      devices: [
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
      ],
      memory: {
        limit: 1073741824,
        reservation: 536870912,
        swap: -1,
        kernel: -1,
        kernelTCP: -1,
        swappiness: 0,
        disableOOMKiller: false,
        useHierarchy: true,
        checkBeforeUpdate: false,
      },
      cpu: {
        shares: 1024,
        quota: 100000,
        period: 500000,
        burst: 0,
        realtimeRuntime: 950000,
        realtimePeriod: 1000000,
        cpus: "0-1",
        mems: "0",
        idle: 0,
      },
      pids: { limit: 100 },
      blockIO: {
        weight: 10,
        leafWeight: 10,
        weightDevice: [{ major: 8, minor: 0, weight: 500, leafWeight: 300 }],
        throttleReadBpsDevice: THROTTLE,
        throttleWriteBpsDevice: THROTTLE,
        throttleReadIOPSDevice: THROTTLE,
        throttleWriteIOPSDevice: THROTTLE,
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 209715200 }],
      network: { classID: 1048577, priorities: [{ name: "eth0", priority: 500 }] },
      rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } },
      unified: { "memory.high": "1073741824" },
    },
    rootfsPropagation: "slave",
    seccomp: {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      listenerPath: "/run/agent.sock",
      listenerMetadata: "opaque",
      syscalls: [
        { names: ["read", "write"], action: "SCMP_ACT_ALLOW" },
        {
          names: ["clone"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 38,
          args: [{ index: 0, value: 2114060288, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    },
    sysctl: { "net.ipv4.ip_forward": "1" },
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    mountLabel: "system_u:object_r:svirt_sandbox_file_t:s0",
    intelRdt: {
      closID: "group",
      schemata: ["L3:0=7f0;1=1f"],
      l3CacheSchema: "L3:0=ffff0",
      memBwSchema: "MB:0=20",
      enableMonitoring: true,
    },
    memoryPolicy: { mode: "MPOL_INTERLEAVE", nodes: "0-1", flags: ["MPOL_F_STATIC_NODES"] },
    personality: { domain: "LINUX", flags: [] },
  },
} satisfies JsonObject;

/** A copy to change. */
export const fullConfig = (): JsonObject => JSON.parse(JSON.stringify(FULL));

/** The least that is a configuration. */
export const leastConfig = (): JsonObject => ({
  ociVersion: "1.3.0",
  process: { args: ["sh"], cwd: "/" },
  root: { path: "rootfs" },
  linux: { namespaces: [{ type: "mount" }] },
});

/** `linux.namespaces[2].type` as steps. */
export function stepsOf(path: string): (string | number)[] {
  return [...path.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
    ([, quoted, index, name]) => quoted ?? (index === undefined ? (name as string) : Number(index)),
  );
}

/** Changes the value at a path; undefined takes it away. */
export function put(
  document: JsonObject,
  steps: readonly (string | number)[],
  value: unknown,
): void {
  const holder = steps.slice(0, -1).reduce<unknown>((at, step) => {
    const object = at as Record<string | number, unknown>;
    object[step] ??= {};
    return object[step];
  }, document) as Record<string | number, unknown>;
  const last = steps.at(-1) as string | number;
  if (value === undefined) delete holder[last];
  else holder[last] = value;
}
