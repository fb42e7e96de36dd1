/** What a file in v1/ or v2/ provides: one controller, its limits as pure values, its figures as parsed text. */
import type { ResourceField, Resources } from "./resources.ts";

/** One limit, as it is written. */
export interface CgroupWrite {
  readonly controller: string;
  /** a file of the container's cgroup */
  readonly file: string;
  readonly value: string;
  /** What asked for it; absent for values that the kernel wants whoever asks (cpuset v1). */
  readonly field?: ResourceField;
}

/** The trimmed content of a file of the cgroup (`../FILE`: of its parent), or undefined when there is none. */
export type ReadCurrent = (file: string) => string | undefined;

/** Figures of a cgroup; a part is absent when its controller is. */
export interface CgroupStats {
  readonly memory?: {
    /** bytes, page cache included */
    readonly usage: number;
    /** bytes of page cache that can be dropped at once: Docker shows usage without it */
    readonly inactiveFile: number;
    /** bytes; absent: no limit */
    readonly limit?: number;
    /** processes killed for want of memory, in this cgroup itself on v1, with its descendants on v2 */
    readonly oomKills: number;
  };
  readonly cpu?: {
    /** nanoseconds since the cgroup was made */
    readonly usage: number;
  };
  readonly pids?: {
    /** processes and threads, descendants included */
    readonly current: number;
    /** absent: no limit */
    readonly limit?: number;
  };
}

/** One controller of one version. */
export interface Controller {
  /** As the kernel calls it in this version. */
  readonly name: string;
  /**
   * Whether every container gets it, limited or not: for its figures, for killing, for a fair share.
   * The others are set up when a limit asks for them, because each v1 hierarchy costs (see
   * docs/decisions/cgroup-hierarchies.md).
   */
  readonly always: boolean;
  /** Whether it counts what engines show, though not {@link always} set up. */
  readonly counts?: boolean;
  /**
   * The writes for these limits. Pure but for `current`.
   * @param isNew the cgroup was just made, so that it has nothing of its own yet
   * @throws {CgroupError} for a value that cannot be
   */
  plan(resources: Resources, current: ReadCurrent, isNew?: boolean): CgroupWrite[];
  /** Whether these limits need it at all, where a plan costs more than that answer. */
  concerns?(resources: Resources): boolean;
  /** Limits that are not written into a file. @throws {CgroupError} */
  attach?(directory: string, resources: Resources): void;
  /** Writes that make a new directory usable at all, limited or not (its parents included). */
  inherit?(current: ReadCurrent): CgroupWrite[];
  stats?(read: ReadCurrent): CgroupStats;
}

/** True when the field asks for something: absent and 0 mean "leave as it is". */
export function isSet(value: number | undefined): value is number {
  return value !== undefined && value !== 0;
}

/** The number in `text`, or undefined for `max`, v1's "no limit" (above 2^62) and no text. */
export function parseLimit(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "max") return undefined;
  const value = Number(text);
  return Number.isFinite(value) && value < 2 ** 62 ? value : undefined;
}

/** The number after `key` in "key number" lines. */
export function flatValue(text: string | undefined, key: string): number | undefined {
  for (const line of (text ?? "").split("\n"))
    if (line.startsWith(`${key} `)) return Number(line.slice(key.length + 1));
  return undefined;
}

/** Whether these limits need the controller. */
export function isConcerned(controller: Controller, resources: Resources): boolean {
  return controller.concerns?.(resources) ?? controller.plan(resources, () => undefined).length > 0;
}
