/** Device rules on cgroup v2: a program on the cgroup (Documentation/admin-guide/cgroup-v2.rst, "Device controller"). */
import { isErrno, SysError } from "../../ffi/call.ts";
import { errnoText } from "../../ffi/errno.ts";
import {
  attachedPrograms,
  attachProgram,
  BPF_CGROUP_DEVICE,
  BPF_F,
  BPF_PROG_TYPE_CGROUP_DEVICE,
  detachProgram,
  loadProgram,
  programFromId,
} from "../../linux/bpf.ts";
import { close, O, open } from "../../linux/fd.ts";
import type { Controller } from "../controller.ts";
import { type PlainRule, plainRules } from "../device_rules.ts";
import { CgroupError } from "../error.ts";
import { deviceProgram, encodeProgram } from "./device_program.ts";

/**
 * Gives a cgroup a program for these rules, in place of those that it has.
 * @throws {CgroupError} when the kernel has no such programs, or this process may not
 */
export function attachDeviceRules(directory: string, rules: readonly PlainRule[]): void {
  using undo = new DisposableStack();
  const held = (fd: number): number => {
    undo.defer(() => close(fd));
    return fd;
  };
  try {
    const cgroup = held(open(directory, O.O_RDONLY | O.O_DIRECTORY));
    const code = encodeProgram(deviceProgram(rules));
    const program = held(loadProgram(BPF_PROG_TYPE_CGROUP_DEVICE, code));
    const before = attachedPrograms(cgroup, BPF_CGROUP_DEVICE).map((id) => held(programFromId(id)));
    const [only, ...others] = before;
    if (only !== undefined && others.length === 0 && replace(cgroup, program, only)) return;
    // All programs have to agree, so that for the moment with both less is allowed, never more.
    attachProgram(cgroup, program, BPF_CGROUP_DEVICE, BPF_F.BPF_F_ALLOW_MULTI);
    for (const old of before) detachProgram(cgroup, old, BPF_CGROUP_DEVICE);
  } catch (error) {
    if (error instanceof SysError) throw programError(directory, error);
    throw error;
  }
}

/** @returns false when this kernel cannot, or the other program was attached otherwise */
function replace(cgroup: number, program: number, old: number): boolean {
  try {
    const flags = BPF_F.BPF_F_ALLOW_MULTI | BPF_F.BPF_F_REPLACE;
    attachProgram(cgroup, program, BPF_CGROUP_DEVICE, flags, old);
    return true;
  } catch (error) {
    if (isErrno(error, "EINVAL", "EPERM", "ENOENT")) return false;
    throw error;
  }
}

function programError(directory: string, error: SysError): CgroupError {
  const reason = `${error.code}: ${errnoText(error.errno)}`;
  const call = error.syscall === "bpf" ? `bpf ${error.args["name"]}` : error.syscall;
  return new CgroupError(
    `cgroup devices: ${call} for ${directory}: ${reason} (asked for by linux.resources.devices)`,
    {
      controller: "devices",
      cause: error,
      hint: isErrno(error, "EPERM", "EACCES")
        ? "device rules on cgroup v2 need CAP_BPF or CAP_SYS_ADMIN"
        : "device rules on cgroup v2 need a kernel with CONFIG_CGROUP_BPF",
    },
  );
}

/** Which devices may be opened and made. */
export const devices: Controller = {
  name: "devices",
  always: false,
  plan: ({ devices: rules = [] }) => {
    plainRules(rules); // refused before anything is made
    return [];
  },
  attach: (directory, { devices: rules = [] }) => {
    if (rules.length > 0) attachDeviceRules(directory, plainRules(rules));
  },
};
