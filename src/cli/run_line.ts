/** `inspect --run`: the command line that makes a container again, from what is on record of it. */
import type { ContainerRecord } from "../engine/container_record.ts";
import type {
  DeviceRuleRequest,
  LogRequest,
  MountRequest,
  ResourceRequest,
  RunOptions,
  SeccompRequest,
  UlimitRequest,
  VolumeMount,
} from "../engine/run_options.ts";
import type { Healthcheck } from "../images/image_config.ts";
import { dnsWords, exposeWords, networkWords, publishWords } from "./run_network_words.ts";
import { shellWord } from "./shell_word.ts";

/** A word of a command line; one of the shell's own is not quoted. */
type Word = string | { readonly shell: string };
type Words = readonly Word[];

/** A line for bash(1), without its end. */
export function runLine({ name, options }: Pick<ContainerRecord, "name" | "options">): string {
  const said: Word[] = [];
  for (const [field, inverse] of Object.entries(INVERSES)) {
    const value = options[field as keyof RunOptions];
    // Each takes the value of its own field: the table's type sees to that.
    const say = inverse as (value: unknown, options: RunOptions) => Words;
    if (value !== undefined) said.push(...say(value, options));
  }
  const background = options.stdinOnce === true || isPartial(options) ? [] : ["-d"];
  const image = options.rootfs === undefined ? (options.image ?? []) : [];
  const words: Words = ["mydocker", "run", ...background, "--name", name, ...said]
    .concat(image)
    .concat(options.args);
  return words.map((word) => (typeof word === "string" ? shellWord(word) : word.shell)).join(" ");
}

/** Whether `-a` said which streams, and others than is usual. */
function isPartial({ attach, interactive }: RunOptions): boolean {
  if (attach === undefined) return false;
  return attach.length < (interactive ? 3 : 2) || attach.includes("stdin") !== interactive;
}

type Inverses = {
  readonly [Field in keyof Required<RunOptions>]: (
    value: Required<RunOptions>[Field],
    options: RunOptions,
  ) => Words;
};

/** `--NAME VALUE`, and nothing for what is usual. */
const value =
  (name: string, usual?: string | number) =>
  (said: string | number): Words =>
    said === usual ? [] : [`--${name}`, String(said)];
const flag =
  (name: string, usual = false) =>
  (said: boolean): Words =>
    said === usual ? [] : [said ? `--${name}` : `--${name}=false`];
const list =
  (name: string) =>
  (said: readonly string[]): Words =>
    said.flatMap((each) => [`--${name}`, each]);
const pairs =
  (name: string) =>
  (said: Readonly<Record<string, string>>): Words =>
    Object.entries(said).flatMap(([key, each]) => [`--${name}`, `${key}=${each}`]);
/** Said elsewhere on the line, or of no matter for the container. */
const nothing = (): Words => [];

/** How each field is said: one that has no place here does not compile. */
const INVERSES: Inverses = {
  image: nothing,
  args: nothing,
  name: nothing, // it may have another one by now
  stdinOnce: nothing,
  quietPull: nothing,
  pull: value("pull", "missing"),
  platform: value("platform"),
  rootfs: value("rootfs"),
  remove: flag("rm"),
  interactive: flag("interactive"),
  tty: flag("tty"),
  init: flag("init"),
  privileged: flag("privileged"),
  readonlyRoot: flag("read-only"),
  noNewPrivileges: (said) => (said ? ["--security-opt", "no-new-privileges"] : []),
  seccomp: seccompWords,
  appArmor: (profile) => ["--security-opt", `apparmor=${profile}`],
  unconfinedPaths: (said) => (said ? ["--security-opt", "systempaths=unconfined"] : []),
  hostname: value("hostname"),
  domainname: value("domainname"),
  workdir: value("workdir"),
  user: value("user"),
  groupAdd: list("group-add"),
  entrypoint: (said) => [`--entrypoint=${said}`],
  env: list("env"),
  labels: pairs("label"),
  annotations: pairs("annotation"),
  attach: (streams, options) =>
    isPartial(options) ? streams.flatMap((each) => ["--attach", each]) : [],
  mounts: (mounts) => mounts.flatMap(mountWords),
  volumesFrom: (said) =>
    said.flatMap(({ container, readonly }) => [
      "--volumes-from",
      readonly === true ? `${container}:ro` : container,
    ]),
  devices: (said) =>
    said.flatMap(({ source, target, access }) => ["--device", `${source}:${target}:${access}`]),
  deviceRules: (rules) => rules.flatMap((rule) => ["--device-cgroup-rule", deviceRule(rule)]),
  cgroupParent: value("cgroup-parent"),
  network: (network, { networks }) => networkWords(networks ?? [{ network }]),
  networks: nothing, // said with the first one
  ports: publishWords,
  exposed: exposeWords,
  publishAll: flag("publish-all"),
  extraHosts: list("add-host"),
  dns: dnsWords,
  pid: value("pid", "private"),
  ipc: value("ipc", "private"),
  uts: value("uts", "private"),
  userns: value("userns"),
  cgroupns: value("cgroupns"),
  capAdd: list("cap-add"),
  capDrop: list("cap-drop"),
  ulimits: (limits) => limits.flatMap((limit) => ["--ulimit", ulimit(limit)]),
  sysctls: pairs("sysctl"),
  resources: resourceWords,
  shmSize: value("shm-size"),
  oomScoreAdj: value("oom-score-adj"),
  stopSignal: value("stop-signal"),
  stopTimeout: value("stop-timeout"),
  restart: ({ name, maximumRetryCount }) =>
    name === "no"
      ? []
      : ["--restart", maximumRetryCount === 0 ? name : `${name}:${maximumRetryCount}`],
  log: logWords,
  sigProxy: flag("sig-proxy", true),
  cidfile: value("cidfile"),
  healthcheck: healthWords,
};

/** A command in Docker's list form is its image's, which says it again. */
function healthWords({ Test: [kind, command = ""] = [], Retries, ...times }: Healthcheck): Words {
  if (kind === "NONE") return ["--no-healthcheck"];
  const { Interval, Timeout, StartPeriod, StartInterval } = times;
  const duration = (name: string, nanoseconds = 0): Words =>
    nanoseconds === 0 ? [] : [`--health-${name}`, `${nanoseconds / 1e6}ms`];
  return [
    ...(kind === "CMD-SHELL" ? ["--health-cmd", command] : []),
    ...duration("interval", Interval),
    ...duration("timeout", Timeout),
    ...duration("start-period", StartPeriod),
    ...duration("start-interval", StartInterval),
    ...(Retries ? ["--health-retries", String(Retries)] : []),
  ];
}

/** Of a profile its text is known and not its file: bash makes one of it. */
function seccompWords(seccomp: SeccompRequest): Words {
  if (typeof seccomp === "string") return ["--security-opt", `seccomp=${seccomp}`];
  return ["--security-opt", { shell: `seccomp=<(printf %s ${shellWord(seccomp.profile)})` }];
}

function mountWords(mount: MountRequest): Words {
  if (mount.type === "tmpfs") {
    const options = mount.options.length === 0 ? "" : `:${mount.options.join(",")}`;
    return ["--tmpfs", `${mount.target}${options}`];
  }
  if (mount.type === "volume") return volumeWords(mount);
  const { source, target, readonly, createSource, recursive, propagation, idmap } = mount;
  if (createSource && recursive) {
    const mode = [readonly && "ro", propagation, idmap === true && "idmap"].filter(Boolean);
    return ["-v", [source, target, ...(mode.length === 0 ? [] : [mode.join(",")])].join(":")];
  }
  return mountOption("bind", [
    ["source", source],
    ["target", target],
    ["readonly", readonly],
    ["bind-propagation", propagation],
    ["bind-nonrecursive", !recursive],
    ["bind-recursive", mount.writableBelow === true ? "writable" : undefined],
    ["idmap", idmap],
  ]);
}

function volumeWords(mount: VolumeMount): Words {
  const { name, target, mode, origin, anonymous, readonly, nocopy, subpath } = mount;
  // The image says it again, or the container that it was taken from.
  if (origin === "image" || origin === "container") return [];
  const known = anonymous === true ? undefined : name;
  if (origin === "volume") {
    return [
      "-v",
      known === undefined ? target : [known, target, mode ?? ""].filter(Boolean).join(":"),
    ];
  }
  return mountOption("volume", [
    ["source", known],
    ["target", target],
    ["readonly", readonly],
    ["volume-nocopy", nocopy],
    ["volume-subpath", subpath],
    ...Object.entries(mount.driverOptions ?? {}).map(pair("volume-opt")),
    ...Object.entries(mount.labels ?? {}).map(pair("volume-label")),
  ]);
}

type Field = readonly [key: string, value: string | boolean | undefined];

const pair =
  (key: string) =>
  ([name, said]: readonly [string, string]): Field => [key, `${name}=${said}`];

/** Fields are CSV: one with a comma or a quote in it is in quotes, which are doubled inside. */
function mountOption(type: string, fields: readonly Field[]): Words {
  const said = fields.flatMap(([key, each]) => {
    if (each === undefined || each === false) return [];
    const field = each === true ? key : `${key}=${each}`;
    return [/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field];
  });
  return ["--mount", [`type=${type}`, ...said].join(",")];
}

function deviceRule({ type, major, minor, access }: DeviceRuleRequest): string {
  const number = (said: number) => (said < 0 ? "*" : String(said));
  return `${type} ${number(major)}:${number(minor)} ${access}`;
}

function ulimit({ name, soft, hard }: UlimitRequest): string {
  const limit = (said: number) => (said >= 2 ** 63 ? "-1" : String(said));
  return `${name.slice("RLIMIT_".length).toLowerCase()}=${limit(soft)}:${limit(hard)}`;
}

const RESOURCES: { readonly [Field in keyof Required<ResourceRequest>]: string } = {
  memory: "memory",
  memorySwap: "memory-swap",
  memoryReservation: "memory-reservation",
  cpus: "cpus",
  cpuShares: "cpu-shares",
  cpuQuota: "cpu-quota",
  cpuPeriod: "cpu-period",
  cpusetCpus: "cpuset-cpus",
  cpusetMems: "cpuset-mems",
  pidsLimit: "pids-limit",
  kernelMemory: "kernel-memory",
  cpuRtPeriod: "cpu-rt-period",
  cpuRtRuntime: "cpu-rt-runtime",
  memorySwappiness: "memory-swappiness",
  oomKillDisable: "oom-kill-disable",
  blkioWeight: "blkio-weight",
  blkioWeightDevice: "blkio-weight-device",
  deviceReadBps: "device-read-bps",
  deviceReadIops: "device-read-iops",
  deviceWriteBps: "device-write-bps",
  deviceWriteIops: "device-write-iops",
};

function resourceWords(resources: ResourceRequest): Words {
  return Object.entries(RESOURCES).flatMap(([field, name]) => {
    const said = resources[field as keyof ResourceRequest];
    if (said === undefined) return [];
    if (typeof said === "boolean") return said ? [`--${name}`] : [];
    if (typeof said === "object")
      return said.flatMap(({ path, rate }) => [`--${name}`, `${path}:${rate}`]);
    return [`--${name}`, String(said)];
  });
}

function logWords({ driver, options, maxSize, maxFile }: LogRequest): Words {
  if (driver === "none") return ["--log-driver", "none"];
  if (options !== undefined) return pairs("log-opt")(options);
  const size = maxSize === Number.MAX_SAFE_INTEGER ? -1 : maxSize;
  return ["--log-opt", `max-size=${size}`, "--log-opt", `max-file=${maxFile}`];
}
