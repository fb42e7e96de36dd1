/** What a machine may lack. A test that needs it is skipped visibly, with the reason in its name. */

import { test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Something that tests need: undefined when it is there, else why it is not. */
export type Requirement = string | undefined;

/** The folder beside the checkout with data that is not part of it. */
export const SHARED_DATA = join(import.meta.dir, "../../../shared/data");

/** A program in PATH. */
export function program(name: string): Requirement {
  return Bun.which(name) === null ? `${name} is not installed` : undefined;
}

/** A kind of network device that this kernel can make (ip-link(8)). */
export function linkType(type: string): Requirement {
  const below = type === "dummy" ? "" : "link below";
  const script = `ip link add below type veth peer name peer && ip link add ${below} name it type ${type}`;
  const { exitCode } = Bun.spawnSync(["unshare", "--net", "sh", "-c", script], {
    stderr: "ignore",
  });
  return exitCode === 0 ? undefined : `this kernel has no ${type} devices`;
}

/** Being root, which containers need. */
export function root(): Requirement {
  return process.getuid?.() === 0 ? undefined : "not root";
}

/** A file of `../shared/data`. */
export function sharedData(name: string): Requirement {
  return existsSync(join(SHARED_DATA, name)) ? undefined : `no ../shared/data/${name}`;
}

/** A cgroup controller, of version 1 or 2, that this machine has and has switched on. */
export function controller(name: string): Requirement {
  const [, ...lines] = readFileSync("/proc/cgroups", "utf8").trim().split("\n");
  const line = lines.map((text) => text.split("\t")).find(([subsystem]) => subsystem === name);
  const v1 = line?.[3] === "1" && line[1] !== "0";
  return v1 || unifiedControllers().includes(name) ? undefined : `no cgroup controller ${name}`;
}

/** A file of a cgroup version 1 or 2 hierarchy, such as `memory.memsw.limit_in_bytes`. */
export function controllerFile(...paths: string[]): Requirement {
  return paths.some((path) => existsSync(join("/sys/fs/cgroup", path)))
    ? undefined
    : `no ${paths.join(" or ")} in /sys/fs/cgroup`;
}

/** Files that chattr(1) can make immutable, where the state directories of tests are. */
export function immutableFiles(): Requirement {
  if (Bun.which("chattr") === null) return "chattr is not installed";
  const folder = mkdtempSync(join(tmpdir(), "mydocker-test-"));
  const file = join(folder, "file");
  writeFileSync(file, "");
  const { exitCode } = Bun.spawnSync(["chattr", "+i", file], { stderr: "ignore" });
  Bun.spawnSync(["chattr", "-i", file], { stderr: "ignore" });
  rmSync(folder, { recursive: true });
  return exitCode === 0 ? undefined : `${tmpdir()} has no immutable files`;
}

/** FUSE, mountable by mount(8) itself. */
export function fuse(): Requirement {
  const isKnown = readFileSync("/proc/filesystems", "utf8").includes("\tfuse\n");
  return isKnown && existsSync("/dev/fuse") ? undefined : "no FUSE";
}

/** The controllers of the unified hierarchy when it is the only one. */
function unifiedControllers(): string[] {
  const file = "/sys/fs/cgroup/cgroup.controllers";
  return existsSync(file) ? readFileSync(file, "utf8").trim().split(" ") : [];
}

/** This kernel's pid limit for a new process, at least `count`. */
export function processes(count: number): Requirement {
  const max = Number(readFileSync("/proc/sys/kernel/pid_max", "utf8"));
  return max > count * 4 ? undefined : `pid_max is ${max}`;
}

/** True if a path is a directory. */
export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** `test`, or a visible skip that says which of the requirements is missing. */
export function testIf(
  requirements: readonly Requirement[],
  name: string,
  body: () => void | Promise<void>,
  timeout?: number,
): void {
  const missing = requirements.filter((requirement) => requirement !== undefined);
  if (missing.length > 0) test.skip(`${name} [skipped: ${missing.join(", ")}]`, body);
  else test(name, body, timeout);
}
