/** `mydocker info` as people read it. */
import type { Info } from "../engine/info.ts";
import { humanBinarySize } from "./human.ts";

/** A line for each fact, in the words of `docker info`. */
export function infoText(
  info: Info & { readonly ServerVersion: string; readonly Architecture: string },
): string {
  const lines: readonly (readonly [string, string | number])[] = [
    ["Containers", info.Containers],
    [" Running", info.ContainersRunning],
    [" Stopped", info.ContainersStopped],
    ["Images", info.Images],
    ["Server Version", info.ServerVersion],
    ["Storage Driver", info.Driver],
    ["Cgroup Driver", info.CgroupDriver],
    ["Cgroup Layout", info.CgroupLayout],
    ["Cgroup Controllers", info.CgroupControllers.join(" ")],
    ["Kernel Version", info.KernelVersion],
    ["Operating System", info.OperatingSystem],
    ["Architecture", info.Architecture],
    ["CPUs", info.NCPU],
    ["Total Memory", humanBinarySize(info.MemTotal)],
    ["Name", info.Name],
    ["Root Dir", info.DockerRootDir],
  ];
  return lines.map(([name, value]) => `${name}: ${value}\n`).join("");
}
