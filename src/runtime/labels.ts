/** Labels of security modules for a process (apparmor(7), selinux(8)): set for its next execve(2). */

import { encodeBytes } from "../ffi/bytes.ts";
import { close, O, open, writeAll } from "../linux/fd.ts";
import { statIfExists } from "../linux/file.ts";
import type { Process } from "./spec.ts";

/** A label, and the file that takes it: opened while /proc is certain to be procfs (CVE-2019-19921). */
export interface Label {
  readonly fd: number;
  readonly text: string;
}

/** The modules' files since Linux 5.8, before which the first module had the common one. */
const APPARMOR = "/proc/thread-self/attr/apparmor/exec";
const COMMON = "/proc/thread-self/attr/exec";

/** Opens what the process's label is written to; undefined when it has none. */
export function openLabel({ apparmorProfile, selinuxLabel }: Process): Label | undefined {
  const hasProfile = (apparmorProfile ?? "") !== "" && apparmorProfile !== "unconfined";
  if (hasProfile) {
    const path = statIfExists(APPARMOR) === undefined ? COMMON : APPARMOR;
    return { fd: open(path, O.O_WRONLY), text: `exec ${apparmorProfile}` };
  }
  if ((selinuxLabel ?? "") === "") return undefined;
  return { fd: open(COMMON, O.O_WRONLY), text: selinuxLabel as string };
}

/** Writes it. @throws {SysError} ENOENT or EINVAL for a label that is not loaded */
export function applyLabel({ fd, text }: Label): void {
  writeAll(fd, encodeBytes(text));
  close(fd);
}
