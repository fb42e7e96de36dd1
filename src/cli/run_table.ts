/** Table of the options of `run`, with Docker's names and letters, and the seed project's. */
import { formatPlatform, parsePlatform } from "../images/platform.ts";
import { getcwd } from "../linux/file.ts";
import { IO_OPTIONS } from "./io_table.ts";
import type { OptionTable } from "./option_table.ts";
import { HEALTH_OPTIONS } from "./run_health.ts";
import { LOG_OPTIONS } from "./run_log.ts";
import { NETWORK_OPTIONS } from "./run_network.ts";
import { parseCapability } from "./values/capability.ts";
import { parseCgroupParent } from "./values/cgroup.ts";
import { parseCpuList } from "./values/cpuset.ts";
import { parseDevice, parseDeviceRule } from "./values/device.ts";
import {
  checkDetachKeys,
  parseAnnotation,
  parseIsolation,
  parseRuntime,
  parseStream,
  refuseGpus,
  refuseStorageOption,
} from "./values/docker_only.ts";
import { parseContainerName, parseHostname, parseWorkdir } from "./values/identity.ts";
import { parseCgroupns, parseIpc, parsePid, parseUserns, parseUts } from "./values/isolation.ts";
import { parseEnv, parseLabel, parseSysctl } from "./values/key_values.ts";
import { parseMount } from "./values/mount.ts";
import { parseCpus, parseInteger } from "./values/number.ts";
import { parsePull } from "./values/pull.ts";
import { parseSecurityOption } from "./values/security_option.ts";
import { parseSignal } from "./values/signal.ts";
import { parseSize, parseSizeOrUnlimited } from "./values/size.ts";
import { parseUlimit } from "./values/ulimit.ts";
import { checkDriver, parseTmpfs, parseVolume, parseVolumesFrom } from "./values/volume.ts";

/** Every option that this version has; their conflicts are checked by the parser. */
export const RUN_OPTIONS = {
  annotation: {
    type: "list",
    value: "name=value",
    description: "Add an annotation to the container's config.json",
    parse: parseAnnotation,
  },
  attach: {
    type: "list",
    short: "a",
    value: "stream",
    description: "Be attached to stdin, stdout or stderr only",
    parse: parseStream,
    complete: ["stdin", "stdout", "stderr"],
  },
  "cap-add": {
    type: "list",
    value: "capability",
    description: "Add a Linux capability, or ALL",
    parse: parseCapability,
  },
  "cap-drop": {
    type: "list",
    value: "capability",
    description: "Drop a Linux capability, or ALL",
    parse: parseCapability,
  },
  cgroupns: {
    type: "value",
    value: "mode",
    description: "Cgroup namespace: private (default with cgroup v2) or host (with v1)",
    parse: parseCgroupns,
    complete: ["private", "host"],
  },
  "cgroup-parent": {
    type: "value",
    value: "cgroup",
    description: "Make the container's cgroup in this one",
    parse: parseCgroupParent,
  },
  cidfile: {
    type: "value",
    unsetByEmpty: true,
    value: "file",
    description: "Write the container's id to a file",
    complete: "file",
  },
  "cpu-period": {
    type: "value",
    value: "microseconds",
    description: "Length of a CPU period, 1000 to 1000000",
    parse: parseInteger,
  },
  "cpu-quota": {
    type: "value",
    value: "microseconds",
    description: "CPU time in each period",
    parse: parseInteger,
  },
  "cpu-shares": {
    type: "value",
    short: "c",
    value: "weight",
    description: "CPU weight relative to other containers, 1024 is usual",
    parse: parseInteger,
  },
  "cpu-rt-period": {
    type: "value",
    value: "microseconds",
    description: "Period of real-time processes, with cgroup v1",
    parse: parseInteger,
  },
  "cpu-rt-runtime": {
    type: "value",
    value: "microseconds",
    description: "CPU time of real-time processes in each period, with cgroup v1",
    parse: parseInteger,
  },
  cpus: {
    type: "value",
    seed: "cpu",
    value: "number",
    description: "How many CPUs it may use, such as 1.5",
    parse: parseCpus,
    conflicts: ["cpu-quota", "cpu-period"],
  },
  "cpuset-cpus": {
    type: "value",
    unsetByEmpty: true,
    seed: "cpuset",
    value: "list",
    description: "CPUs it may run on, such as 0-2,4",
    parse: parseCpuList,
  },
  "cpuset-mems": {
    type: "value",
    unsetByEmpty: true,
    value: "list",
    description: "Memory nodes it may use, such as 0-1",
    parse: parseCpuList,
  },
  detach: {
    type: "boolean",
    short: "d",
    description: "Run it in the background and print its id",
  },
  "detach-keys": {
    type: "value",
    value: "keys",
    description: "Keys that leave the container running, ctrl-p,ctrl-q by default",
    parse: checkDetachKeys,
  },
  device: {
    type: "list",
    value: "src[:dst[:rwm]]",
    description: "Add a device of the host, or a directory of devices",
    parse: parseDevice,
    complete: "file",
  },
  "device-cgroup-rule": {
    type: "list",
    value: "rule",
    description: "Allow devices by number, such as 'c 10:229 rwm'",
    parse: parseDeviceRule,
  },
  "disable-content-trust": {
    type: "boolean",
    default: true,
    description: "Skip verification of the image's signature, always on",
  },
  domainname: {
    type: "value",
    unsetByEmpty: true,
    value: "name",
    description: "NIS domain name of the container",
    parse: parseHostname,
  },
  entrypoint: {
    type: "value",
    value: "command",
    description: "Instead of the image's entrypoint",
  },
  env: {
    type: "list",
    short: "e",
    value: "variable",
    description: "Set an environment variable: NAME=value, or NAME to pass it on",
    parse: parseEnv,
  },
  "env-file": {
    type: "list",
    value: "file",
    description: "Read environment variables from a file",
    complete: "file",
  },
  gpus: {
    type: "value",
    value: "request",
    description: "Refused: there is no driver for GPUs",
    parse: refuseGpus,
    hidden: true,
  },
  "group-add": {
    type: "list",
    value: "group",
    description: "Add a supplementary group, by name or number",
  },
  hostname: {
    type: "value",
    unsetByEmpty: true,
    short: "h",
    value: "name",
    description: "Host name of the container",
    parse: parseHostname,
  },
  init: {
    type: "boolean",
    description: "Run an init as pid 1 that forwards signals and reaps processes",
  },
  interactive: {
    type: "boolean",
    short: "i",
    description: "Keep stdin open",
  },
  ipc: {
    type: "value",
    value: "mode",
    description: "IPC namespace: private or host",
    parse: parseIpc,
    complete: ["private", "host"],
  },
  isolation: {
    type: "value",
    value: "technology",
    description: "Isolation technology: default",
    parse: parseIsolation,
    complete: ["default"],
  },
  "kernel-memory": {
    type: "value",
    value: "bytes",
    description: "Accepted, and limits nothing: kernel memory counts towards --memory",
    parse: parseSize,
  },
  label: {
    type: "list",
    short: "l",
    value: "name=value",
    description: "Set a label on the container",
    parse: parseLabel,
  },
  "label-file": {
    type: "list",
    value: "file",
    description: "Read labels from a file",
    complete: "file",
  },
  ...HEALTH_OPTIONS,
  ...IO_OPTIONS,
  ...LOG_OPTIONS,
  memory: {
    type: "value",
    short: "m",
    seed: "mem",
    value: "bytes",
    description: "Memory limit, such as 64m or 1.5g",
    parse: parseSize,
  },
  "memory-reservation": {
    type: "value",
    value: "bytes",
    description: "Memory that is left to it when the host runs short",
    parse: parseSize,
  },
  "memory-swap": {
    type: "value",
    value: "bytes",
    description: "Memory and swap together, -1 for swap without limit",
    parse: parseSizeOrUnlimited,
  },
  mount: {
    type: "list",
    value: "mount",
    description: "Mount a file system: type=bind|volume|tmpfs,source=…,target=…",
    parse: (text) => parseMount(text, getcwd),
  },
  name: {
    type: "value",
    unsetByEmpty: true,
    seed: "name",
    value: "name",
    description: "Name of the container",
    parse: parseContainerName,
  },
  ...NETWORK_OPTIONS,
  "oom-score-adj": {
    type: "value",
    value: "number",
    description: "Preference of the kernel's OOM killer, -1000 to 1000",
    parse: parseInteger,
  },
  pid: {
    type: "value",
    value: "mode",
    description: "PID namespace: private or host",
    parse: parsePid,
    complete: ["private", "host"],
  },
  "pids-limit": {
    type: "value",
    value: "number",
    description: "How many processes it may have, -1 for no limit",
    parse: parseInteger,
  },
  privileged: {
    type: "boolean",
    description: "Give it all capabilities and devices: no isolation from the host's root",
  },
  platform: {
    type: "value",
    unsetByEmpty: true,
    value: "os/arch[/variant]",
    description: "Which of several images, this machine's by default",
    parse: (text) => formatPlatform(parsePlatform(text)),
  },
  pull: {
    type: "value",
    value: "when",
    description: "Fetch the image from its registry: always, missing (default) or never",
    parse: parsePull,
    complete: ["always", "missing", "never"],
  },
  quiet: {
    type: "boolean",
    short: "q",
    description: "Say nothing of fetching the image",
  },
  "read-only": {
    type: "boolean",
    description: "Mount the container's root file system read-only",
  },
  restart: {
    type: "value",
    unsetByEmpty: true,
    value: "policy",
    description: "Start it again when it ends: no, on-failure[:N], always or unless-stopped",
    complete: ["no", "on-failure", "always", "unless-stopped"],
  },
  rm: {
    type: "boolean",
    description: "Remove the container when it ends",
  },
  rootfs: {
    type: "value",
    value: "directory",
    description: "Run in a directory of the host, copy-on-write, instead of an image",
    complete: "directory",
  },
  runtime: {
    type: "value",
    value: "name",
    description: "Runtime of the container: mydocker",
    parse: parseRuntime,
    complete: ["mydocker"],
  },
  "security-opt": {
    type: "list",
    value: "option",
    description: "Security option: seccomp=FILE, unconfined or builtin, no-new-privileges, …",
    parse: parseSecurityOption,
    complete: [
      "no-new-privileges",
      "seccomp=",
      "seccomp=unconfined",
      "apparmor=unconfined",
      "label=disable",
      "systempaths=unconfined",
    ],
  },
  "shm-size": {
    type: "value",
    value: "bytes",
    description: "Size of /dev/shm, 64m by default",
    parse: parseSize,
  },
  "sig-proxy": {
    type: "boolean",
    default: true,
    description: "Forward signals to the container, on by default",
  },
  "stop-signal": {
    type: "value",
    unsetByEmpty: true,
    value: "signal",
    description: "Signal that asks the container to end",
    parse: parseSignal,
  },
  "stop-timeout": {
    type: "value",
    value: "seconds",
    description: "How long stop waits before it kills, 10 seconds by default",
    parse: parseInteger,
  },
  "storage-opt": {
    type: "list",
    value: "name=value",
    description: "Refused: a container's own layer has no size of its own",
    parse: refuseStorageOption,
    hidden: true,
  },
  sysctl: {
    type: "list",
    value: "name=value",
    description: "Set a kernel parameter of the container's namespaces",
    parse: parseSysctl,
  },
  tmpfs: {
    type: "list",
    value: "path[:options]",
    description: "Mount a tmpfs",
    parse: parseTmpfs,
  },
  tty: {
    type: "boolean",
    short: "t",
    description: "Give it a terminal",
  },
  ulimit: {
    type: "list",
    value: "type=soft[:hard]",
    description: "Set a resource limit, such as nofile=1024:2048",
    parse: parseUlimit,
  },
  user: {
    type: "value",
    short: "u",
    value: "user[:group]",
    description: "User to run as, names or numbers",
  },
  userns: {
    type: "value",
    value: "mode",
    description: "User namespace: host, or private (ids of the container are others on the host)",
    parse: parseUserns,
    complete: ["private", "host"],
  },
  uts: {
    type: "value",
    value: "mode",
    description: "UTS namespace: private or host",
    parse: parseUts,
    complete: ["private", "host"],
  },
  volume: {
    type: "list",
    short: "v",
    value: "[src:]dst[:options]",
    description:
      "Mount a path of the host or a volume, by its name or one of its own; made when missing",
    parse: (text) => parseVolume(text, getcwd),
    complete: "file",
  },
  "volume-driver": {
    type: "value",
    value: "driver",
    description: "Driver of volumes that have to be made: local",
    parse: checkDriver,
    complete: ["local"],
  },
  "volumes-from": {
    type: "list",
    value: "container[:ro]",
    description: "Mount what another container mounts",
    parse: parseVolumesFrom,
    complete: "container",
  },
  workdir: {
    type: "value",
    unsetByEmpty: true,
    short: "w",
    value: "directory",
    description: "Working directory in the container",
    parse: parseWorkdir,
  },
} as const satisfies OptionTable;

/** Docker's other options of `run`, by name and letter. */
export const LATER_RUN_OPTIONS: Readonly<Record<string, string>> = {
  link: "",
  "link-local-ip": "",
  "use-api-socket": "",
};
