/** What init needs, computed before the fork: a value that also passes as JSON to a fresh process. */
import type { MountOp } from "../rootfs/plan.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import type { AccountRequest } from "./account.ts";
import type { Spec } from "./spec.ts";

/** How the root file system comes about: a fresh mount, one that is there, or a directory. */
export type RootSource =
  | {
      readonly kind: "mount";
      readonly type: string;
      readonly source: string;
      readonly flags: number;
      /** joined; a directory is opened in the container's mount namespace and named by descriptor */
      readonly data: readonly (string | { readonly directory: string; readonly mount?: string })[];
    }
  /** a descriptor of a mount that is attached nowhere yet */
  | { readonly kind: "tree"; readonly tree: number }
  | { readonly kind: "directory"; readonly path: string };

/** Standard streams of the container's process; with a terminal there are none to give. */
export interface Streams {
  /** Descriptors that become 0, 1, 2; absent: those that the creator has itself. */
  readonly stdio?: readonly [number, number, number];
  /** false: standard input is /dev/null, the container's own */
  readonly stdinIsPipe: boolean;
  /** struct winsize of the terminal to start with. */
  readonly windowSize?: Uint8Array;
  /** How many of the creator's descriptors from 3 up pass on to the command. */
  readonly preserved?: number;
}

/** All that init needs. */
export interface InitPlan extends Streams {
  readonly spec: Spec;
  readonly mounts: readonly MountOp[];
  readonly root: RootSource;
  /** An existing directory of the host on which the root is mounted, in init's own namespace only. */
  readonly attachAt: string;
  /** The first of `mounts` that waits for what the creator makes while init is at work (rootfs/plan.ts, holdBack). */
  readonly lateFrom: number;
  /** Files of cgroups that a process joins by writing "0". */
  readonly joinFiles: readonly string[];
  /** A cgroup of v2 that is there already: init is made in it, where the kernel can, and joins nothing. */
  readonly birthplace?: string;
  /** Replaces process.user, and gives HOME, by what the image's own files say. */
  readonly account?: AccountRequest;
  /** Ends with the creator: SIGKILL when the thread that forked it is gone. */
  readonly dieWithParent: boolean;
  /** Stays as the first process, which reaps and forwards signals; the command is its child. */
  readonly reaper: boolean;
  /** The container's id: names a session keyring of its own. Absent: it keeps the creator's. */
  readonly keyring?: string;
  /** The filter of system calls; absent: none. */
  readonly seccomp?: CompiledFilter;
  /** A listening socket: the command is executed when somebody who connects to it says so. */
  readonly startSocket?: number;
  /** Hooks run while init waits, or by init: the container's state for them, as JSON, without the pid. */
  readonly hookState?: string;
  /** The root is changed by moving the mount and chroot(2): for a host whose root is a ramfs. */
  readonly noPivot?: boolean;
}
