/** Labels of security modules for a process (apparmor(7), selinux(8)): set for its next execve(2). */

import { encodeBytes } from "../ffi/bytes.ts";
import { close, writeAll } from "../linux/fd.ts";
import { statIfExists } from "../linux/file.ts";
import { Procfs } from "../linux/procfs.ts";
import type { Process } from "./spec.ts";

/** A label, and the file that takes it: opened while /proc is certain to be procfs (CVE-2019-19921). */
export interface Label {
  readonly fd: number;
  /** below /proc */
  readonly path: string;
  readonly text: string;
}

/** The modules' files since Linux 5.8, before which the first module had the common one. */
const APPARMOR = "self/attr/apparmor/exec";
const COMMON = "self/attr/exec";

/** Opens what the process's label is written to; undefined when it has none. */
export function openLabel(
  { apparmorProfile, selinuxLabel }: Process,
  procfs: Procfs,
): Label | undefined {
  const hasProfile = (apparmorProfile ?? "") !== "" && apparmorProfile !== "unconfined";
  if (hasProfile) {
    const path = statIfExists(`/proc/${APPARMOR}`) === undefined ? COMMON : APPARMOR;
    return { fd: procfs.open(path), path, text: `exec ${apparmorProfile}` };
  }
  if ((selinuxLabel ?? "") === "") return undefined;
  return { fd: procfs.open(COMMON), path: COMMON, text: selinuxLabel as string };
}

/** The same for a process that was forked meanwhile: the file is that of whoever opens it. */
export function reopenLabel({ path, text }: Label): Label {
  using procfs = new Procfs();
  return { fd: procfs.open(path), path, text };
}

/** Writes it. @throws {SysError} ENOENT or EINVAL for a label that is not loaded */
export function applyLabel({ fd, text }: Label): void {
  writeAll(fd, encodeBytes(text));
  close(fd);
}
