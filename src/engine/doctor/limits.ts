/** Limits that all containers share: inotify, keys, open files, processes. */
import { ifExists, readFile } from "../../linux/file.ts";
import { getrlimit } from "../../linux/process.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";

/** Numbers; absent: the kernel has no such limit. */
export interface LimitFacts {
  readonly inotifyInstances?: number;
  readonly inotifyWatches?: number;
  /** root's keys, and how many it may have */
  readonly keys?: { readonly used: number; readonly max: number };
  /** RLIMIT_NOFILE */
  readonly openFiles: number;
  readonly pidMax: number;
}

// bits/resource.h
const RLIMIT_NOFILE = 7;

/** root's line of /proc/key-users: `0:  12 11/11 9/1000000 180/25000000`. Pure. */
export function rootKeys(keyUsers: string): { used: number; max: number } | undefined {
  const [, used, max] = /^\s*0:\s+\d+\s+\d+\/\d+\s+(\d+)\/(\d+)/m.exec(keyUsers) ?? [];
  return used === undefined || max === undefined
    ? undefined
    : { used: Number(used), max: Number(max) };
}

function readLimits(): LimitFacts {
  const number = (path: string) => {
    const text = ifExists(() => readFile(path));
    return text === undefined ? undefined : Number(text);
  };
  const [instances, watches] = ["instances", "watches"].map((what) =>
    number(`/proc/sys/fs/inotify/max_user_${what}`),
  );
  const keyUsers = ifExists(() => readFile("/proc/key-users"));
  // Before root has its first key it is not listed.
  const max = number("/proc/sys/kernel/keys/root_maxkeys");
  const keys = rootKeys(keyUsers ?? "") ?? (max === undefined ? undefined : { used: 0, max });
  return {
    ...(instances === undefined ? {} : { inotifyInstances: instances }),
    ...(watches === undefined ? {} : { inotifyWatches: watches }),
    ...(keys === undefined ? {} : { keys }),
    openFiles: Number(getrlimit(RLIMIT_NOFILE).soft),
    pidMax: number("/proc/sys/kernel/pid_max") ?? 0,
  };
}

const WHY_INOTIFY =
  'all containers of one user share it: programs that watch files fail with "too many open files" or ENOSPC';
const WHY_KEYS = "each container has a session keyring, which counts for the user that makes it";
const WHY_FILES = "mydocker and the commands that it starts inherit it";
const WHY_PIDS = "containers and host share the numbers of processes";

/** Below what the kernel gives by itself somebody has lowered them. */
const LEAST = { instances: 128, watches: 8192, openFiles: 256, pidMax: 4096, keys: 64 } as const;

/** The limits. */
export const limits = defineCheck({
  name: "limits",
  why: WHY_FILES,
  read: readLimits,
  judge: ({ inotifyInstances, inotifyWatches, keys, openFiles, pidMax }) => [
    ...atLeast(
      "inotify instances",
      inotifyInstances,
      LEAST.instances,
      WHY_INOTIFY,
      "sysctl -w fs.inotify.max_user_instances=512",
    ),
    ...atLeast(
      "inotify watches",
      inotifyWatches,
      LEAST.watches,
      WHY_INOTIFY,
      "sysctl -w fs.inotify.max_user_watches=524288",
    ),
    ...(keys === undefined ? [] : [judgeKeys(keys)]),
    ...atLeast("open files", openFiles, LEAST.openFiles, WHY_FILES, "ulimit -n 1024"),
    ...atLeast(
      "process numbers",
      pidMax,
      LEAST.pidMax,
      WHY_PIDS,
      "sysctl -w kernel.pid_max=4194304",
    ),
  ],
});

function atLeast(
  name: string,
  value: number | undefined,
  least: number,
  why: string,
  command: string,
): Finding[] {
  if (value === undefined) return [];
  if (value >= least) return [ok(name, String(value), why)];
  return [warning(name, `${value}, fewer than ${least}`, why, `raise it: \`${command}\``)];
}

function judgeKeys({ used, max }: { readonly used: number; readonly max: number }): Finding {
  const found = `${used} of ${max} used`;
  const fix = "raise it: `sysctl -w kernel.keys.root_maxkeys=1000000`";
  if (max - used < 1) return failure("keyrings", found, WHY_KEYS, fix);
  return max - used < LEAST.keys
    ? warning("keyrings", found, WHY_KEYS, fix)
    : ok("keyrings", found, WHY_KEYS);
}
