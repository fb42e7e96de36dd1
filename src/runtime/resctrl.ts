/**
 * `linux.intelRdt`: a container's class of service, a directory of the resctrl file system that says
 * which part of caches and memory bandwidth its tasks may use (the kernel's documentation,
 * filesystems/resctrl).
 */
import { MydockerError } from "../errors.ts";
import {
  ifExists,
  mkdirIfMissing,
  readFile,
  rmdir,
  statIfExists,
  writeControl,
} from "../linux/file.ts";
import { ConfigError } from "./config_error.ts";
import type { IntelRdt } from "./spec.ts";

/** What is written down of it, for `exec` and `delete`. */
export interface ResctrlRecord {
  /** Files that a process joins by writing "0". */
  readonly tasks: readonly string[];
  /** Directories that are the container's own, in the order in which they are removed. */
  readonly own: readonly string[];
}

/** What is to be made. */
export interface ResctrlPlan {
  readonly root: string;
  /** the class of service, then the monitoring group, if one is wanted */
  readonly directories: readonly string[];
  /** lines for the class of service; none: it is as it is */
  readonly schemata: readonly string[];
  readonly record: ResctrlRecord;
}

/** Where the file system is mounted, by mountinfo. */
export function resctrlRoot(mountinfo: string): string | undefined {
  const line = mountinfo.split("\n").find((text) => text.includes(" - resctrl "));
  return line?.split(" ")[4];
}

/**
 * What a container needs there.
 * @param root the file system
 * @throws {ConfigError} for a class of service that is not there, or is another one than is asked for
 */
export function planResctrl(rdt: IntelRdt, id: string, root: string): ResctrlPlan {
  const { closID, l3CacheSchema, memBwSchema, enableMonitoring } = rdt;
  const group = closID === "/" ? root : `${root}/${closID ?? id}`;
  const lines = [l3CacheSchema, memBwSchema].filter((line) => line !== undefined);
  const schemata = [...lines, ...rdt.schemata];
  const exists = statIfExists(group) !== undefined;
  if (closID !== undefined && schemata.length === 0 && !exists) {
    const what = `${group} does not exist, and there is no schema to make it with`;
    throw new ConfigError({ path: "linux.intelRdt.closID", what });
  }
  if (closID !== undefined && exists) {
    const current = ifExists(() => readFile(`${group}/schemata`)) ?? "";
    for (const field of ["l3CacheSchema", "memBwSchema"] as const) {
      const differing = firstDifference(rdt[field] ?? "", current, (resource) =>
        granularity(root, resource),
      );
      if (differing === undefined) continue;
      const what = `${JSON.stringify(rdt[field])}, but ${group} has ${differing}`;
      throw new ConfigError({ path: `linux.intelRdt.${field}`, what });
    }
  }
  const monitoring = enableMonitoring ? [`${group}/mon_groups/${id}`] : [];
  return {
    root,
    directories: [group, ...monitoring],
    schemata,
    record: {
      tasks: [group, ...monitoring].map((directory) => `${directory}/tasks`),
      own: [...monitoring, ...(closID === undefined && !exists ? [group] : [])],
    },
  };
}

/** Makes its directories, and says what the class of service may use. @throws {MydockerError} */
export function makeResctrl({ root, directories, schemata }: ResctrlPlan): void {
  for (const directory of directories) {
    if (directory !== root) explained(root, () => mkdirIfMissing(directory, 0o755));
  }
  if (schemata.length === 0) return;
  const text = `${schemata.join("\n")}\n`;
  explained(root, () => writeControl(`${directories[0]}/schemata`, text));
}

/** Puts a process there. @throws {MydockerError} */
export function joinResctrl({ root, record }: ResctrlPlan, pid: number): void {
  for (const file of record.tasks) explained(root, () => writeControl(file, String(pid)));
}

/** Removes what is the container's own; what is missing is fine. */
export function removeResctrl({ own }: ResctrlRecord): void {
  for (const directory of own) ifExists(() => rmdir(directory));
}

/** The kernel says more of what it has refused in a file of the file system. */
function explained(root: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const status = ifExists(() => readFile(`${root}/info/last_cmd_status`))?.trim() ?? "ok";
    const more = status === "ok" || status === "" ? "" : ` (${status})`;
    throw new MydockerError(`linux.intelRdt: ${cause.message}${more}`, { cause });
  }
}

/** Memory bandwidth is rounded up by the kernel, to a multiple of so many percent. */
function granularity(root: string, resource: string): number {
  const file = `${root}/info/${resource}/bandwidth_gran`;
  return resource === "MB" ? Number(ifExists(() => readFile(file)) ?? 1) : 1;
}

/** The first line of `current` that is not as `asked` says; of caches that it does not name anything goes. */
function firstDifference(
  asked: string,
  current: string,
  step: (resource: string) => number,
): string | undefined {
  const there = parseSchemata(current);
  for (const [resource, domains] of parseSchemata(asked)) {
    const own = there.get(resource);
    if (own === undefined) return `no ${resource}`;
    const round = step(resource);
    for (const [domain, value] of domains) {
      if (own.get(domain) === Math.ceil(value / round) * round) continue;
      return current
        .split("\n")
        .map((line) => line.trim())
        .find((line) => line.startsWith(`${resource}:`));
    }
  }
  return undefined;
}

/** `L3:0=ff;1=f`: numbers by cache id, by resource. Bit masks are hexadecimal, bandwidths are not. */
function parseSchemata(text: string): Map<string, Map<number, number>> {
  const found = new Map<string, Map<number, number>>();
  for (const line of text.split("\n")) {
    const [, resource, rest = ""] = /^\s*(\w+)\s*:(.*)$/.exec(line) ?? [];
    if (resource === undefined) continue;
    const domains = rest.split(";").map((part) => {
      const [domain = "", value = ""] = part.split("=");
      const radix = /^(MB|SMBA)$/.test(resource) ? 10 : 16;
      return [Number.parseInt(domain, 10), Number.parseInt(value, radix)] as const;
    });
    found.set(resource, new Map(domains));
  }
  return found;
}
