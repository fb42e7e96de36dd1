/** `info`: what is here, and what this machine offers. */
import { readLayout } from "../cgroups/layout.ts";
import { listImages } from "../images/listing.ts";
import { openImageStore } from "../images/store.ts";
import { ifExists, readFile } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import { hostName } from "./host_facts.ts";
import { listContainers } from "./list.ts";

/** Under the names that `docker info --format json` has for them. */
export interface Info {
  readonly Containers: number;
  readonly ContainersRunning: number;
  readonly ContainersStopped: number;
  readonly Images: number;
  readonly Driver: string;
  readonly CgroupDriver: string;
  /** `v1`, `hybrid`, `v2`, or `none` */
  readonly CgroupLayout: string;
  /** What can be limited here, sorted. */
  readonly CgroupControllers: readonly string[];
  readonly KernelVersion: string;
  readonly OperatingSystem: string;
  readonly NCPU: number;
  /** bytes */
  readonly MemTotal: number;
  readonly Name: string;
  readonly DockerRootDir: string;
}

/** Collects the facts; reads, but changes nothing. @throws {SysError} when /proc is not there */
export function systemInfo(paths: Paths): Info {
  const containers = listContainers(paths);
  const running = containers.filter(({ state }) => state.status === "running").length;
  const { mode, controllers } = cgroupFacts();
  return {
    Containers: containers.length,
    ContainersRunning: running,
    ContainersStopped: containers.length - running,
    Images: listImages(openImageStore(paths.root)).images.length,
    Driver: "overlay",
    CgroupDriver: "cgroupfs",
    CgroupLayout: mode,
    CgroupControllers: controllers,
    KernelVersion: readFile("/proc/sys/kernel/osrelease").trim(),
    OperatingSystem: osName(ifExists(() => readFile("/etc/os-release")) ?? ""),
    NCPU: navigator.hardwareConcurrency,
    MemTotal: memoryTotal(readFile("/proc/meminfo")),
    Name: hostName(),
    DockerRootDir: paths.root,
  };
}

function cgroupFacts(): { mode: string; controllers: readonly string[] } {
  const { mode, v1, v2 } = readLayout();
  const unified =
    v2 === undefined
      ? undefined
      : ifExists(() => readFile(`${v2.mountPoint}/cgroup.controllers`).trim());
  const controllers = new Set([
    ...v1.flatMap((hierarchy) => hierarchy.controllers),
    ...(unified ?? "").split(" ").filter((name) => name !== ""),
  ]);
  return { mode, controllers: [...controllers].sort() };
}

/** PRETTY_NAME of os-release(5). */
export function osName(osRelease: string): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? "Linux";
}

/** MemTotal of proc_meminfo(5), in bytes. */
export function memoryTotal(meminfo: string): number {
  return Number(/^MemTotal:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
}
