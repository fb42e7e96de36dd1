/** System call numbers that differ between architectures (asm/unistd_64.h, asm-generic/unistd.h), and newer ones that do not. */

const x64 = {
  clone: 56,
  execveat: 322,
  pivot_root: 155,
  setresuid: 117,
  setresgid: 119,
  setgroups: 116,
  capget: 125,
  capset: 126,
  getdents64: 217,
  futex: 202,
  getcwd: 79,
  rt_sigaction: 13,
  seccomp: 317,
  bpf: 321,
} as const;
const arm64: Record<keyof typeof x64, number> = {
  clone: 220,
  execveat: 281,
  pivot_root: 41,
  setresuid: 147,
  setresgid: 149,
  setgroups: 159,
  capget: 90,
  capset: 91,
  getdents64: 61,
  futex: 98,
  getcwd: 17,
  rt_sigaction: 134,
  seccomp: 277,
  bpf: 280,
};

export const SYS = {
  ...(process.arch === "arm64" ? arm64 : x64),
  pidfd_send_signal: 424,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
  clone3: 435,
  close_range: 436,
  openat2: 437,
  mount_setattr: 442,
} as const;
