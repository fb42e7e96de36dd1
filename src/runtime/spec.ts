/** config.json of the OCI runtime specification 1.3, as far as mydocker builds it. */
import type { Resources } from "../cgroups/resources.ts";
import type { NamespaceEntry } from "../namespaces/namespaces.ts";

/** process.user: numeric ids. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
  readonly umask?: number;
}

/** process.rlimits: values are in the resource's unit; from 2^63 up they are RLIM_INFINITY. */
export interface Rlimit {
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

/** process.capabilities: names such as CAP_CHOWN. */
export interface CapabilitySets {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly ambient: readonly string[];
}

/** `process`: what is executed, as whom and with which rights. */
export interface Process {
  readonly terminal: boolean;
  readonly user: User;
  /** Byte strings, passed to execve(2) as they are. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: CapabilitySets;
  readonly rlimits: readonly Rlimit[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
}

/** mounts[]: `options` as in mount(8). */
export interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** An entry of `linux.devices`. */
export interface Device {
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** The whole of config.json. */
export interface Spec {
  readonly ociVersion: string;
  readonly process: Process;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly Mount[];
  readonly linux: {
    readonly namespaces: readonly NamespaceEntry[];
    readonly cgroupsPath: string;
    readonly resources: Resources;
    readonly devices: readonly Device[];
    readonly sysctl: Readonly<Record<string, string>>;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}
