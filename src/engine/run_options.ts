/** What `run` was asked for: the command line parsed, nothing looked up yet. All strings are byte strings (ffi/bytes.ts). */
import type { Healthcheck } from "../images/image_config.ts";

import type { EndpointRequest } from "../network/connect.ts";
import type { PortRequest } from "../network/ports.ts";
import type { RestartPolicy } from "./restart_policy.ts";

/** `--expose`: ports of the container. */
export interface ExposedPorts {
  readonly protocol: PortRequest["protocol"];
  readonly ports: readonly [first: number, last: number];
}

/** `--dns`, `--dns-search`, `--dns-option`; empty: as usual. */
export interface DnsRequest {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** `-v` and `--mount` and `--tmpfs`. */
export type MountRequest =
  | {
      readonly type: "bind";
      /** absolute path of the host */
      readonly source: string;
      /** absolute path in the container */
      readonly target: string;
      readonly readonly: boolean;
      /** `-v` makes a missing source; `--mount` refuses it. */
      readonly createSource: boolean;
      readonly propagation?: "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";
      /** false only with `bind-nonrecursive` */
      readonly recursive: boolean;
      /** What is mounted below it is not read-only, though it is itself. */
      readonly writableBelow?: boolean;
      /** What the container's user leaves belongs to the owner of the source. */
      readonly idmap?: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      /** options of mount(8), e.g. `["size=64m", "mode=1777"]` */
      readonly options: readonly string[];
    }
  | VolumeMount;

/** A volume, made if there is none of that name. */
export interface VolumeMount {
  readonly type: "volume";
  /** absent: one of the container's own, which gets a name when the container is made */
  readonly name?: string;
  /** Nobody gave it its name: it goes with the container, if that is removed with its volumes. */
  readonly anonymous?: boolean;
  readonly target: string;
  readonly readonly: boolean;
  /** It is not filled from the image. */
  readonly nocopy?: boolean;
  /** what of it is mounted: a path below it */
  readonly subpath?: string;
  /** `--opt` of the local driver, for one that has to be made */
  readonly driverOptions?: Readonly<Record<string, string>>;
  /** likewise */
  readonly labels?: Readonly<Record<string, string>>;
  /** as typed behind `-v name:/path:`; absent with `--mount` and for what no option asked for */
  readonly mode?: string;
  /** what asked for it */
  readonly origin: "volume" | "mount" | "image" | "container";
}

/** `--ulimit TYPE=SOFT[:HARD]`; `name` as in `RLIMIT_NOFILE`; no limit is given as 2^64. */
export interface UlimitRequest {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** `--device HOST[:CONTAINER[:rwm]]`. */
export interface DeviceRequest {
  /** absolute path of the host: a device, or a directory of devices */
  readonly source: string;
  /** absolute path in the container */
  readonly target: string;
  /** of `r`, `w` and `m` */
  readonly access: string;
}

/** `--device-cgroup-rule`: what may be used, whether or not there is a node for it. */
export interface DeviceRuleRequest {
  readonly allow: true;
  readonly type: "a" | "b" | "c";
  /** -1: every one */
  readonly major: number;
  readonly minor: number;
  /** of `r`, `w` and `m` */
  readonly access: string;
}

/** What is limited of a block device, by its path on the host. */
export interface DeviceRate {
  readonly path: string;
  readonly rate: number;
}

/** Limits; what is absent is not limited. -1 means "unlimited" where Docker allows it. */
export interface ResourceRequest {
  /** bytes */
  readonly memory?: number;
  /** bytes of memory and swap together; -1: swap without limit */
  readonly memorySwap?: number;
  /** bytes */
  readonly memoryReservation?: number;
  /** processors, `--cpus 1.5`: becomes quota and period */
  readonly cpus?: number;
  readonly cpuShares?: number;
  /** microseconds */
  readonly cpuQuota?: number;
  /** microseconds */
  readonly cpuPeriod?: number;
  /** microseconds of each `cpuRtPeriod`, likewise, that its real-time processes may use */
  readonly cpuRtRuntime?: number;
  readonly cpuRtPeriod?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: number;
  /** bytes; only on record: kernels have no such limit any more */
  readonly kernelMemory?: number;
  /** 0–100 */
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  /** 10–1000 */
  readonly blkioWeight?: number;
  readonly blkioWeightDevice?: readonly DeviceRate[];
  /** bytes or operations a second */
  readonly deviceReadBps?: readonly DeviceRate[];
  readonly deviceReadIops?: readonly DeviceRate[];
  readonly deviceWriteBps?: readonly DeviceRate[];
  readonly deviceWriteIops?: readonly DeviceRate[];
}

/** `--security-opt seccomp=…`: a profile is the text of its file, in Docker's form or the OCI specification's. */
export type SeccompRequest = "unconfined" | "builtin" | { readonly profile: string };

/** What else a log has of each line: what of the container's labels and environment, and a tag. */
export interface LogAttributes {
  readonly labels: readonly string[];
  readonly env: readonly string[];
  /** regular expressions, which Docker searches for */
  readonly labelsRegex?: string;
  readonly envRegex?: string;
  /** text with fields, as in `{{.Name}}/{{.ID}}` */
  readonly tag?: string;
}

/** `--log-driver` and `--log-opt`. */
export interface LogRequest {
  readonly driver: "json-file" | "none";
  /** as typed */
  readonly options?: Readonly<Record<string, string>>;
  readonly attributes?: LogAttributes;
  /** `mode=non-blocking`: so many bytes are kept while nothing can be written, and what is older is lost */
  readonly buffer?: number;
  /** bytes after which a new file is begun */
  readonly maxSize: number;
  /** how many files are kept, the newest included */
  readonly maxFile: number;
}

/** A stream that the caller of `run` is attached to. */
export type StreamKind = "stdin" | "stdout" | "stderr";

/** The options of `run`, none of them looked up or checked against the machine. */
export interface RunOptions {
  /** When the image is fetched from its registry: `missing` unless said otherwise. */
  readonly pull?: "always" | "missing" | "never";
  /** Nothing is said of that. */
  readonly quietPull?: boolean;
  /** `os/arch[/variant]` of the image, in its usual form. */
  readonly platform?: string;
  /** The first positional: an image, or a command of the default image. Absent with `--rootfs` or no positional. */
  readonly image?: string;
  /** `--rootfs`: a directory of the host, absolute. */
  readonly rootfs?: string;
  /** What follows the image (with `--rootfs`: all positionals). */
  readonly args: readonly string[];
  readonly name?: string;
  readonly remove: boolean;
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly init: boolean;
  readonly privileged: boolean;
  readonly readonlyRoot: boolean;
  readonly noNewPrivileges: boolean;
  /** Docker's default profile when absent, none with `privileged` */
  readonly seccomp?: SeccompRequest;
  /** the name of a profile that is loaded; absent: unconfined */
  readonly appArmor?: string;
  /** `--security-opt systempaths=unconfined`: nothing in /proc and /sys is masked or read-only */
  readonly unconfinedPaths?: boolean;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly workdir?: string;
  /** `-u`: user[:group], names or numbers, not looked up */
  readonly user?: string;
  readonly groupAdd: readonly string[];
  /** `--entrypoint`; the empty string clears the image's */
  readonly entrypoint?: string;
  /** `NAME=value`, from `--env-file` and then `-e`, later ones win; `NAME` alone removes the image's variable */
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly mounts: readonly MountRequest[];
  /** `--volumes-from`: containers whose mounts this one has as well; once it is made they are among `mounts` */
  readonly volumesFrom?: readonly { readonly container: string; readonly readonly?: boolean }[];
  readonly devices: readonly DeviceRequest[];
  readonly deviceRules: readonly DeviceRuleRequest[];
  /** `--cgroup-parent`: absolute in every hierarchy, clean; `/` is the root cgroup */
  readonly cgroupParent?: string;
  /** `none`, `host`, `container:` and a container, or the first network */
  readonly network: string;
  /** the networks, with what was asked for on each; the first one alone, as it is usual, when absent */
  readonly networks?: readonly EndpointRequest[];
  readonly ports?: readonly PortRequest[];
  readonly exposed?: readonly ExposedPorts[];
  /** `-P`: what is exposed is published, on ports that are free */
  readonly publishAll?: boolean;
  /** `--add-host`: `name:address`, `name:host-gateway` */
  readonly extraHosts?: readonly string[];
  readonly dns?: DnsRequest;
  readonly pid: "private" | "host";
  readonly ipc: "private" | "host";
  readonly uts: "private" | "host";
  /** the host's when absent */
  readonly userns?: "private" | "host";
  /** private with cgroup v2, the host's with v1 when absent */
  readonly cgroupns?: "private" | "host";
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly ulimits: readonly UlimitRequest[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly resources: ResourceRequest;
  /** bytes of /dev/shm */
  readonly shmSize?: number;
  readonly oomScoreAdj?: number;
  readonly stopSignal?: number;
  /** seconds until `stop` kills, -1 for never; 10 when absent */
  readonly stopTimeout?: number;
  /** none when absent; not with `remove` */
  readonly restart?: RestartPolicy;
  /** once it is made: with what its image says */
  readonly healthcheck?: Healthcheck;
  /** what is usual when absent */
  readonly log?: LogRequest;
  /** Standard input is closed for good when the first who is attached to it closes theirs. */
  readonly stdinOnce?: boolean;
  /** What the caller is attached to; nothing, with `-d`, when absent. */
  readonly attach?: readonly StreamKind[];
  /** forward signals to the container's first process; Docker's default is true */
  readonly sigProxy: boolean;
  /** `--cidfile`: an absolute path of the host, where nothing was yet; gets the container's id */
  readonly cidfile?: string;
}
