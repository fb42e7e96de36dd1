/** Reading what a container prints of itself. */

/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export interface MountLine {
  readonly target: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Parses mountinfo. */
export function parseMounts(text: string): MountLine[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [left, right] = line.split(" - ") as [string, string];
      const [, , , root = "", target = "", options = ""] = left.split(" ");
      const [type = "", source = "", superOptions = ""] = right.split(" ");
      return {
        target,
        root,
        options: options.split(","),
        type,
        source,
        superOptions: superOptions.split(","),
      };
    });
}

/** The fields of /proc/PID/status by name. */
export function parseStatus(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .trimEnd()
      .split("\n")
      .map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }),
  );
}

/** Whether this machine's controllers are in the unified hierarchy, version 2. */
export const isUnified = await Bun.file("/sys/fs/cgroup/cgroup.controllers").exists();

/** A cgroup file as a container sees it, by its path in version 1 and its name in version 2. */
export function cgroupFile(v1: string, v2: string): string {
  return `/sys/fs/cgroup/${isUnified ? v2 : v1}`;
}
