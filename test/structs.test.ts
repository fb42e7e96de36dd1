/** The structs of src/ against C's: sizes and offsets from the headers, and from gcc where it is. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineStruct, type FieldType } from "../src/ffi/struct.ts";
import { program, testIf } from "./helpers/requires.ts";

const SRC = join(import.meta.dir, "../src");

/** A struct of C's: its header, and its size and offsets in bytes on x86-64 and AArch64 alike. */
interface CStruct {
  readonly type: string;
  readonly header: string;
  readonly size: number;
  /** Our field to C's, and its offset. */
  readonly fields: Readonly<Record<string, readonly [member: string, offset: number]>>;
}

/** By the name of the constant that defines ours. */
const STRUCTS: Readonly<Record<string, CStruct>> = {
  siginfo: {
    type: "siginfo_t",
    header: "signal.h",
    size: 128,
    fields: {
      signo: ["si_signo", 0],
      errno: ["si_errno", 4],
      code: ["si_code", 8],
      pid: ["si_pid", 16],
      uid: ["si_uid", 20],
      status: ["si_status", 24],
    },
  },
  statxBuffer: {
    type: "struct statx",
    header: "linux/stat.h",
    size: 256,
    fields: {
      mask: ["stx_mask", 0],
      blksize: ["stx_blksize", 4],
      attributes: ["stx_attributes", 8],
      nlink: ["stx_nlink", 16],
      uid: ["stx_uid", 20],
      gid: ["stx_gid", 24],
      mode: ["stx_mode", 28],
      ino: ["stx_ino", 32],
      size: ["stx_size", 40],
      blocks: ["stx_blocks", 48],
      attributesMask: ["stx_attributes_mask", 56],
      atime: ["stx_atime.tv_sec", 64],
      atimeNsec: ["stx_atime.tv_nsec", 72],
      btime: ["stx_btime.tv_sec", 80],
      btimeNsec: ["stx_btime.tv_nsec", 88],
      ctime: ["stx_ctime.tv_sec", 96],
      ctimeNsec: ["stx_ctime.tv_nsec", 104],
      mtime: ["stx_mtime.tv_sec", 112],
      mtimeNsec: ["stx_mtime.tv_nsec", 120],
      rdevMajor: ["stx_rdev_major", 128],
      rdevMinor: ["stx_rdev_minor", 132],
      devMajor: ["stx_dev_major", 136],
      devMinor: ["stx_dev_minor", 140],
    },
  },
  openHow: {
    type: "struct open_how",
    header: "linux/openat2.h",
    size: 24,
    fields: { flags: ["flags", 0], mode: ["mode", 8], resolve: ["resolve", 16] },
  },
  cloneArgs: {
    type: "struct clone_args",
    header: "linux/sched.h",
    size: 88,
    fields: {
      flags: ["flags", 0],
      pidfd: ["pidfd", 8],
      childTid: ["child_tid", 16],
      parentTid: ["parent_tid", 24],
      exitSignal: ["exit_signal", 32],
      stack: ["stack", 40],
      stackSize: ["stack_size", 48],
      tls: ["tls", 56],
      setTid: ["set_tid", 64],
      setTidSize: ["set_tid_size", 72],
      cgroup: ["cgroup", 80],
    },
  },
  nlmsghdr: {
    type: "struct nlmsghdr",
    header: "linux/netlink.h",
    size: 16,
    fields: {
      len: ["nlmsg_len", 0],
      type: ["nlmsg_type", 4],
      flags: ["nlmsg_flags", 6],
      seq: ["nlmsg_seq", 8],
      pid: ["nlmsg_pid", 12],
    },
  },
  timespec: {
    type: "struct timespec",
    header: "time.h",
    size: 16,
    fields: { seconds: ["tv_sec", 0], nanoseconds: ["tv_nsec", 8] },
  },
  sockaddrIn: {
    type: "struct sockaddr_in",
    header: "netinet/in.h",
    size: 16,
    fields: {
      family: ["sin_family", 0],
      port: ["sin_port", 2],
      address: ["sin_addr", 4],
      zero: ["sin_zero", 8],
    },
  },
  sockaddrIn6: {
    type: "struct sockaddr_in6",
    header: "netinet/in.h",
    size: 28,
    fields: {
      family: ["sin6_family", 0],
      port: ["sin6_port", 2],
      flowinfo: ["sin6_flowinfo", 4],
      address: ["sin6_addr", 8],
      scope: ["sin6_scope_id", 24],
    },
  },
  sockaddrNl: {
    type: "struct sockaddr_nl",
    header: "linux/netlink.h",
    size: 12,
    fields: {
      family: ["nl_family", 0],
      pid: ["nl_pid", 4],
      groups: ["nl_groups", 8],
    },
  },
  ifinfomsg: {
    type: "struct ifinfomsg",
    header: "linux/rtnetlink.h",
    size: 16,
    fields: {
      family: ["ifi_family", 0],
      type: ["ifi_type", 2],
      index: ["ifi_index", 4],
      flags: ["ifi_flags", 8],
      change: ["ifi_change", 12],
    },
  },
  ifaddrmsg: {
    type: "struct ifaddrmsg",
    header: "linux/if_addr.h",
    size: 8,
    fields: {
      family: ["ifa_family", 0],
      prefixlen: ["ifa_prefixlen", 1],
      flags: ["ifa_flags", 2],
      scope: ["ifa_scope", 3],
      index: ["ifa_index", 4],
    },
  },
  rtmsg: {
    type: "struct rtmsg",
    header: "linux/rtnetlink.h",
    size: 12,
    fields: {
      family: ["rtm_family", 0],
      dstLen: ["rtm_dst_len", 1],
      srcLen: ["rtm_src_len", 2],
      tos: ["rtm_tos", 3],
      table: ["rtm_table", 4],
      protocol: ["rtm_protocol", 5],
      scope: ["rtm_scope", 6],
      type: ["rtm_type", 7],
      flags: ["rtm_flags", 8],
    },
  },
  statfsBuffer: {
    type: "struct statfs",
    header: "sys/vfs.h",
    size: 120,
    fields: {
      type: ["f_type", 0],
      bsize: ["f_bsize", 8],
      blocks: ["f_blocks", 16],
      bfree: ["f_bfree", 24],
      bavail: ["f_bavail", 32],
      files: ["f_files", 40],
      ffree: ["f_ffree", 48],
      fsid: ["f_fsid", 56],
      namelen: ["f_namelen", 64],
      frsize: ["f_frsize", 72],
      flags: ["f_flags", 80],
    },
  },
  pollfd: {
    type: "struct pollfd",
    header: "poll.h",
    size: 8,
    fields: { fd: ["fd", 0], events: ["events", 4], revents: ["revents", 6] },
  },
  recordLock: {
    type: "struct flock",
    header: "fcntl.h",
    size: 32,
    fields: {
      type: ["l_type", 0],
      whence: ["l_whence", 2],
      start: ["l_start", 8],
      len: ["l_len", 16],
      pid: ["l_pid", 24],
    },
  },
  sockFprog: {
    type: "struct sock_fprog",
    header: "linux/filter.h",
    size: 16,
    fields: { len: ["len", 0], filter: ["filter", 8] },
  },
  programLoad: {
    type: "union bpf_attr",
    header: "linux/bpf.h",
    size: 64,
    fields: {
      progType: ["prog_type", 0],
      insnCnt: ["insn_cnt", 4],
      insns: ["insns", 8],
      license: ["license", 16],
      logLevel: ["log_level", 24],
      logSize: ["log_size", 28],
      logBuf: ["log_buf", 32],
      kernVersion: ["kern_version", 40],
      progFlags: ["prog_flags", 44],
      progName: ["prog_name", 48],
    },
  },
  programAttach: {
    type: "union bpf_attr",
    header: "linux/bpf.h",
    size: 20,
    fields: {
      targetFd: ["target_fd", 0],
      attachBpfFd: ["attach_bpf_fd", 4],
      attachType: ["attach_type", 8],
      attachFlags: ["attach_flags", 12],
      replaceBpfFd: ["replace_bpf_fd", 16],
    },
  },
  programQuery: {
    type: "union bpf_attr",
    header: "linux/bpf.h",
    size: 32,
    fields: {
      targetFd: ["query.target_fd", 0],
      attachType: ["query.attach_type", 4],
      queryFlags: ["query.query_flags", 8],
      attachFlags: ["query.attach_flags", 12],
      progIds: ["query.prog_ids", 16],
      progCnt: ["query.prog_cnt", 24],
    },
  },
  programById: {
    type: "union bpf_attr",
    header: "linux/bpf.h",
    size: 12,
    fields: {
      progId: ["prog_id", 0],
      nextId: ["next_id", 4],
      openFlags: ["open_flags", 8],
    },
  },
  msghdr: {
    type: "struct msghdr",
    header: "sys/socket.h",
    size: 56,
    fields: {
      name: ["msg_name", 0],
      namelen: ["msg_namelen", 8],
      iov: ["msg_iov", 16],
      iovlen: ["msg_iovlen", 24],
      control: ["msg_control", 32],
      controllen: ["msg_controllen", 40],
      flags: ["msg_flags", 48],
    },
  },
  sockaddrUn: {
    type: "struct sockaddr_un",
    header: "sys/un.h",
    size: 110,
    fields: { family: ["sun_family", 0], path: ["sun_path", 2] },
  },
  schedAttr: {
    type: "struct sched_attr",
    header: "linux/sched/types.h",
    size: 48,
    fields: {
      size: ["size", 0],
      policy: ["sched_policy", 4],
      flags: ["sched_flags", 8],
      nice: ["sched_nice", 16],
      priority: ["sched_priority", 20],
      runtime: ["sched_runtime", 24],
      deadline: ["sched_deadline", 32],
      period: ["sched_period", 40],
    },
  },
  iovec: {
    type: "struct iovec",
    header: "sys/uio.h",
    size: 16,
    fields: { base: ["iov_base", 0], len: ["iov_len", 8] },
  },
  cmsghdr: {
    type: "struct cmsghdr",
    header: "sys/socket.h",
    size: 16,
    fields: { len: ["cmsg_len", 0], level: ["cmsg_level", 8], type: ["cmsg_type", 12] },
  },
  // With one descriptor: CMSG_SPACE(sizeof(int)) bytes.
  cmsgFd: {
    type: "struct cmsghdr",
    header: "sys/socket.h",
    size: 24,
    fields: { len: ["cmsg_len", 0], level: ["cmsg_level", 8], type: ["cmsg_type", 12] },
  },
  mountAttr: {
    type: "struct mount_attr",
    header: "linux/mount.h",
    size: 32,
    fields: {
      attrSet: ["attr_set", 0],
      attrClr: ["attr_clr", 8],
      propagation: ["propagation", 16],
      usernsFd: ["userns_fd", 24],
    },
  },
};

/** Structs whose C size is another, and why. */
const C_SIZE: Readonly<Record<string, number>> = {
  cmsgFd: 16, // the header alone
  schedAttr: 56, // SCHED_ATTR_SIZE_VER0, which every kernel takes, is without the last two fields
};

/** Every `const NAME = defineStruct({…})` of the sources; the literal is data, so it can be read as such. */
function definedStructs(): Map<string, ReturnType<typeof defineStruct>> {
  const found = new Map<string, ReturnType<typeof defineStruct>>();
  for (const path of new Bun.Glob("**/*.ts").scanSync({ cwd: SRC })) {
    if (path.endsWith(".test.ts") || path === "ffi/struct.ts") continue;
    const text = readFileSync(join(SRC, path), "utf8");
    for (const [, name, literal] of text.matchAll(
      /const (\w+) = defineStruct\((\{[\s\S]*?\})\);/g,
    )) {
      const fields = Bun.JSON5.parse((literal as string).replace(/\/\/.*$/gm, ""));
      found.set(name as string, defineStruct(fields as Record<string, FieldType>));
    }
    const mentions = text.match(/\bdefineStruct\(/g)?.length ?? 0;
    const read = text.match(/const \w+ = defineStruct\(/g)?.length ?? 0;
    if (mentions !== read) throw new Error(`${path}: a struct that this test cannot see`);
  }
  return found;
}

const structs = definedStructs();

test("every struct of the sources is compared", () => {
  expect(structs.size).toBeGreaterThan(5);
  expect([...structs.keys()].filter((name) => !(name in STRUCTS))).toEqual([]);
});

describe.each([...structs].filter(([name]) => name in STRUCTS))("%s", (name, struct) => {
  const expected = STRUCTS[name] as CStruct;

  test(`has the size of ${expected.type} (${expected.header})`, () => {
    expect(struct.size).toBe(expected.size);
  });

  test("has every field where C has it", () => {
    const isFiller = (field: string) => /pad|rest|reserved|^fd$/i.test(field);
    for (const [field, offset] of Object.entries(struct.offsets)) {
      if (isFiller(field) && expected.fields[field] === undefined) continue;
      expect([field, offset]).toEqual([field, expected.fields[field]?.[1] as number]);
    }
  });
});

testIf([program("gcc")], "the table above is what gcc says", async () => {
  // bpf(2) takes as much of its union as a command needs; the whole grows with every kernel.
  const isWhole = (type: string) => !type.startsWith("union ");
  const lines = Object.entries(STRUCTS).flatMap(([name, { type, fields }]) => [
    ...(isWhole(type) ? [`printf("${name} %zu\\n", sizeof(${type}));`] : []),
    ...Object.entries(fields).map(
      ([field, [member]]) => `printf("${name}.${field} %zu\\n", offsetof(${type}, ${member}));`,
    ),
  ]);
  const headers = [...new Set(Object.values(STRUCTS).map(({ header }) => header))].sort();
  const source = `#define _GNU_SOURCE\n#include <stddef.h>\n#include <stdio.h>\n${headers
    .map((header) => `#include <${header}>`)
    .join("\n")}\nint main(void) {\n${lines.join("\n")}\nreturn 0; }\n`;
  const executable = `${process.env["TMPDIR"] ?? "/tmp"}/mydocker-structs-${process.pid}`;
  try {
    const compiled = Bun.spawnSync(["gcc", "-x", "c", "-o", executable, "-"], {
      stdin: Buffer.from(source),
    });
    expect({ exitCode: compiled.exitCode, stderr: compiled.stderr.toString() }).toEqual({
      exitCode: 0,
      stderr: "",
    });
    const said = Bun.spawnSync([executable]).stdout.toString().trimEnd().split("\n");
    const ours = Object.entries(STRUCTS).flatMap(([name, { type, size, fields }]) => [
      ...(isWhole(type) ? [`${name} ${C_SIZE[name] ?? size}`] : []),
      ...Object.entries(fields).map(([field, [, offset]]) => `${name}.${field} ${offset}`),
    ]);
    expect(said).toEqual(ours);
  } finally {
    await Bun.file(executable).delete();
  }
});
