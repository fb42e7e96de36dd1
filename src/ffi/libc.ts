/**
 * The symbol table: every libc function that mydocker calls, with its C prototype.
 *
 * A symbol is bound when it is first called: one alone takes 10 µs, as one of many together 4 µs, so
 * those that nearly every command calls are bound with the first of them. New system calls go through
 * syscall(2), so that an older glibc is no obstacle; such entries name the symbol that they bind.
 */
import { dlopen, type FFIFunction, FFIType, type Pointer, ptr, toArrayBuffer } from "bun:ffi";

/** 64-bit integers as JavaScript numbers where they fit (bigint else). */
const LONG = FFIType.i64_fast;
const ULONG = FFIType.u64_fast;

const prototypes = {
  // int *__errno_location(void);
  __errno_location: { args: [], returns: "ptr" },

  // --- processes
  // long syscall(SYS_clone, unsigned long flags, void *stack, int *parent_tid, …);
  clone: { symbol: "syscall", args: [LONG, ULONG, "ptr", "ptr", "ptr", "ptr"], returns: LONG },
  // long syscall(SYS_clone3, struct clone_args *cl_args, size_t size);
  clone3: { symbol: "syscall", args: [LONG, "ptr", ULONG], returns: LONG },
  // int execve(const char *path, char *const argv[], char *const envp[]);
  execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  // long syscall(SYS_execveat, int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
  execveat: { symbol: "syscall", args: [LONG, "i32", "ptr", "ptr", "ptr", "i32"], returns: LONG },
  // int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
  //                 char *const argv[], char *const envp[]);
  posix_spawn: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  // int posix_spawn_file_actions_init(posix_spawn_file_actions_t *); and its relatives
  posix_spawn_file_actions_init: { args: ["ptr"], returns: "i32" },
  posix_spawn_file_actions_adddup2: { args: ["ptr", "i32", "i32"], returns: "i32" },
  posix_spawn_file_actions_destroy: { args: ["ptr"], returns: "i32" },
  // int posix_spawnattr_init(posix_spawnattr_t *); and its relatives
  posix_spawnattr_init: { args: ["ptr"], returns: "i32" },
  posix_spawnattr_setflags: { args: ["ptr", "i16"], returns: "i32" },
  posix_spawnattr_setsigmask: { args: ["ptr", "ptr"], returns: "i32" },
  posix_spawnattr_setsigdefault: { args: ["ptr", "ptr"], returns: "i32" },
  posix_spawnattr_destroy: { args: ["ptr"], returns: "i32" },
  // void _exit(int status);
  _exit: { args: ["i32"], returns: "void" },
  // pid_t getpid(void);
  getpid: { args: [], returns: "i32" },
  // uid_t geteuid(void);
  geteuid: { args: [], returns: "i32" },
  // int kill(pid_t pid, int sig);
  kill: { args: ["i32", "i32"], returns: "i32" },
  // long syscall(SYS_pidfd_open, pid_t pid, unsigned int flags);
  pidfd_open: { symbol: "syscall", args: [LONG, "i32", "u32"], returns: LONG },
  // long syscall(SYS_pidfd_send_signal, int pidfd, int sig, siginfo_t *info, unsigned int flags);
  pidfd_send_signal: { symbol: "syscall", args: [LONG, "i32", "i32", "ptr", "u32"], returns: LONG },
  // long syscall(SYS_pidfd_getfd, int pidfd, int targetfd, unsigned int flags);
  pidfd_getfd: { symbol: "syscall", args: [LONG, "i32", "i32", "u32"], returns: LONG },
  // int waitid(idtype_t idtype, id_t id, siginfo_t *infop, int options);
  waitid: { args: ["i32", "i32", "ptr", "i32"], returns: "i32" },
  // pid_t waitpid(pid_t pid, int *status, int options);
  waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  // int sigwaitinfo(const sigset_t *set, siginfo_t *info);
  sigwaitinfo: { args: ["ptr", "ptr"], returns: "i32" },
  // int prctl(int option, unsigned long arg2, …);
  prctl: { args: ["i32", ULONG, ULONG, ULONG, ULONG], returns: "i32" },
  // prctl with a string argument
  prctl_ptr: { symbol: "prctl", args: ["i32", "ptr", ULONG, ULONG, ULONG], returns: "i32" },
  // pid_t setsid(void);
  setsid: { args: [], returns: "i32" },
  // long syscall(SYS_setresuid, uid_t, uid_t, uid_t): the calling thread only, which is all there is after fork
  setresuid: { symbol: "syscall", args: [LONG, "u32", "u32", "u32"], returns: LONG },
  setresgid: { symbol: "syscall", args: [LONG, "u32", "u32", "u32"], returns: LONG },
  // int setfsuid(uid_t fsuid);
  setfsuid: { args: ["i32"], returns: "i32" },
  // int setfsgid(gid_t fsgid);
  setfsgid: { args: ["i32"], returns: "i32" },
  // long syscall(SYS_setgroups, size_t size, const gid_t *list);
  setgroups: { symbol: "syscall", args: [LONG, ULONG, "ptr"], returns: LONG },
  // long syscall(SYS_capset, cap_user_header_t hdrp, const cap_user_data_t datap);
  capset: { symbol: "syscall", args: [LONG, "ptr", "ptr"], returns: LONG },
  // long syscall(SYS_capget, cap_user_header_t hdrp, cap_user_data_t datap);
  capget: { symbol: "syscall", args: [LONG, "ptr", "ptr"], returns: LONG },
  // int prlimit(pid_t pid, int resource, const struct rlimit *new, struct rlimit *old);
  prlimit: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  // long syscall(SYS_seccomp, unsigned int operation, unsigned int flags, void *args);
  seccomp: { symbol: "syscall", args: [LONG, "u32", "u32", "ptr"], returns: LONG },
  // long syscall(SYS_bpf, int cmd, union bpf_attr *attr, unsigned int size);
  bpf: { symbol: "syscall", args: [LONG, "i32", "ptr", "u32"], returns: LONG },
  // long syscall(SYS_keyctl, int operation, const char *name);
  keyctl_name: { symbol: "syscall", args: [LONG, "i32", "ptr"], returns: LONG },
  // long syscall(SYS_keyctl, int operation, key_serial_t key, key_perm_t perm);
  keyctl: { symbol: "syscall", args: [LONG, "i32", "i32", "u32"], returns: LONG },
  // long syscall(SYS_sched_setattr, pid_t pid, struct sched_attr *attr, unsigned int flags);
  sched_setattr: { symbol: "syscall", args: [LONG, "i32", "ptr", "u32"], returns: LONG },
  // long syscall(SYS_sched_setaffinity, pid_t pid, unsigned int len, unsigned long *mask);
  sched_setaffinity: { symbol: "syscall", args: [LONG, "i32", "u32", "ptr"], returns: LONG },
  // long syscall(SYS_ioprio_set, int which, int who, int ioprio);
  ioprio_set: { symbol: "syscall", args: [LONG, "i32", "i32", "i32"], returns: LONG },
  // long syscall(SYS_personality, unsigned long persona);
  personality: { symbol: "syscall", args: [LONG, ULONG], returns: LONG },
  // long syscall(SYS_set_mempolicy, int mode, const unsigned long *nodemask, unsigned long maxnode);
  set_mempolicy: { symbol: "syscall", args: [LONG, "i32", "ptr", ULONG], returns: LONG },
  // mode_t umask(mode_t mask);
  umask: { args: ["u32"], returns: "u32" },
  // int sigprocmask(int how, const sigset_t *set, sigset_t *oldset);
  sigprocmask: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  // long syscall(SYS_rt_sigaction, int signum, const struct sigaction *act, struct sigaction *old, size_t sigsetsize);
  rt_sigaction: { symbol: "syscall", args: [LONG, "i32", "ptr", "ptr", ULONG], returns: LONG },
  // sighandler_t signal(int signum, sighandler_t handler); SIG_DFL and SIG_IGN are the numbers 0 and 1
  signal: { args: ["i32", ULONG], returns: ULONG },
  // unsigned int alarm(unsigned int seconds);
  alarm: { args: ["u32"], returns: "u32" },
  // int madvise(void *addr, size_t length, int advice);
  madvise: { args: [ULONG, ULONG, "i32"], returns: "i32" },

  // int usleep(useconds_t usec);
  usleep: { args: ["u32"], returns: "i32" },

  // --- namespaces
  // int unshare(int flags);
  unshare: { args: ["i32"], returns: "i32" },
  // int setns(int fd, int nstype);
  setns: { args: ["i32", "i32"], returns: "i32" },
  // int sethostname(const char *name, size_t len);
  sethostname: { args: ["ptr", ULONG], returns: "i32" },
  // int setdomainname(const char *name, size_t len);
  setdomainname: { args: ["ptr", ULONG], returns: "i32" },

  // --- mounts
  // int mount(const char *source, const char *target, const char *fstype, unsigned long flags, const void *data);
  mount: { args: ["ptr", "ptr", "ptr", ULONG, "ptr"], returns: "i32" },
  // int umount2(const char *target, int flags);
  umount2: { args: ["ptr", "i32"], returns: "i32" },
  // long syscall(SYS_pivot_root, const char *new_root, const char *put_old);
  pivot_root: { symbol: "syscall", args: [LONG, "ptr", "ptr"], returns: LONG },
  // long syscall(SYS_fsopen, const char *fsname, unsigned int flags);
  fsopen: { symbol: "syscall", args: [LONG, "ptr", "u32"], returns: LONG },
  // long syscall(SYS_fsconfig, int fd, unsigned int cmd, const char *key, const void *value, int aux);
  fsconfig: { symbol: "syscall", args: [LONG, "i32", "u32", "ptr", "ptr", "i32"], returns: LONG },
  // long syscall(SYS_fsmount, int fd, unsigned int flags, unsigned int mount_attrs);
  fsmount: { symbol: "syscall", args: [LONG, "i32", "u32", "u32"], returns: LONG },
  // long syscall(SYS_open_tree, int dirfd, const char *path, unsigned int flags);
  open_tree: { symbol: "syscall", args: [LONG, "i32", "ptr", "u32"], returns: LONG },
  // long syscall(SYS_move_mount, int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags);
  move_mount: { symbol: "syscall", args: [LONG, "i32", "ptr", "i32", "ptr", "u32"], returns: LONG },
  // long syscall(SYS_mount_setattr, int dirfd, const char *path, unsigned int flags, struct mount_attr *attr, size_t size);
  mount_setattr: {
    symbol: "syscall",
    args: [LONG, "i32", "ptr", "u32", "ptr", ULONG],
    returns: LONG,
  },
  // int statfs(const char *path, struct statfs *buf);
  statfs: { args: ["ptr", "ptr"], returns: "i32" },
  // int fstatfs(int fd, struct statfs *buf);
  fstatfs: { args: ["i32", "ptr"], returns: "i32" },

  // --- descriptors
  // int open(const char *path, int flags, mode_t mode);
  openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
  // long syscall(SYS_openat2, int dirfd, const char *path, struct open_how *how, size_t size);
  openat2: { symbol: "syscall", args: [LONG, "i32", "ptr", "ptr", ULONG], returns: LONG },
  // int close(int fd);
  close: { args: ["i32"], returns: "i32" },
  // long syscall(SYS_close_range, unsigned int first, unsigned int last, unsigned int flags);
  close_range: { symbol: "syscall", args: [LONG, "u32", "u32", "u32"], returns: LONG },
  // ssize_t read(int fd, void *buf, size_t count);
  read: { args: ["i32", "ptr", ULONG], returns: LONG },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { args: ["i32", "ptr", ULONG], returns: LONG },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
  pread: { args: ["i32", "ptr", ULONG, LONG], returns: LONG },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
  pwrite: { args: ["i32", "ptr", ULONG, LONG], returns: LONG },
  // off_t lseek(int fd, off_t offset, int whence);
  lseek: { args: ["i32", LONG, "i32"], returns: LONG },
  // int ftruncate(int fd, off_t length);
  ftruncate: { args: ["i32", LONG], returns: "i32" },
  // ssize_t splice(int fd_in, off64_t *off_in, int fd_out, off64_t *off_out, size_t len, unsigned int flags);
  splice: { args: ["i32", "ptr", "i32", "ptr", ULONG, "u32"], returns: LONG },
  // int memfd_create(const char *name, unsigned int flags);
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  // int eventfd(unsigned int initval, int flags);
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  // int pipe2(int pipefd[2], int flags);
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  // int dup(int oldfd);
  dup: { args: ["i32"], returns: "i32" },
  // int dup3(int oldfd, int newfd, int flags);
  dup3: { args: ["i32", "i32", "i32"], returns: "i32" },
  // int fcntl(int fd, int cmd, long arg);
  fcntl: { args: ["i32", "i32", LONG], returns: "i32" },
  // int fcntl(int fd, int cmd, struct flock *lock);
  fcntl_ptr: { symbol: "fcntl", args: ["i32", "i32", "ptr"], returns: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll: { args: ["ptr", ULONG, "i32"], returns: "i32" },
  // int flock(int fd, int operation);
  flock: { args: ["i32", "i32"], returns: "i32" },
  // int fsync(int fd);
  fsync: { args: ["i32"], returns: "i32" },
  // int syncfs(int fd);
  syncfs: { args: ["i32"], returns: "i32" },

  // --- files
  // int statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *buf);
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
  // long syscall(SYS_getdents64, int fd, void *dirp, size_t count);
  getdents64: { symbol: "syscall", args: [LONG, "i32", "ptr", ULONG], returns: LONG },
  // ssize_t readlinkat(int dirfd, const char *path, char *buf, size_t size);
  readlinkat: { args: ["i32", "ptr", "ptr", ULONG], returns: LONG },
  // int mkdirat(int dirfd, const char *path, mode_t mode);
  mkdirat: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // int mknodat(int dirfd, const char *path, mode_t mode, dev_t dev);
  mknodat: { args: ["i32", "ptr", "u32", ULONG], returns: "i32" },
  // int symlinkat(const char *target, int dirfd, const char *path);
  symlinkat: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  // int linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags);
  linkat: { args: ["i32", "ptr", "i32", "ptr", "i32"], returns: "i32" },
  // int access(const char *path, int mode);
  access: { args: ["ptr", "i32"], returns: "i32" },
  // int unlinkat(int dirfd, const char *path, int flags);
  unlinkat: { args: ["i32", "ptr", "i32"], returns: "i32" },
  // int renameat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath);
  renameat: { args: ["i32", "ptr", "i32", "ptr"], returns: "i32" },
  // long syscall(SYS_renameat2, int olddirfd, const char *oldpath, int newdirfd, const char *newpath, unsigned int flags);
  renameat2: {
    symbol: "syscall",
    args: [LONG, "i32", "ptr", "i32", "ptr", "u32"],
    returns: LONG,
  },
  // int fchmod(int fd, mode_t mode);
  fchmod: { args: ["i32", "u32"], returns: "i32" },
  // int fchmodat(int dirfd, const char *path, mode_t mode, int flags);
  fchmodat: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  // int fchownat(int dirfd, const char *path, uid_t owner, gid_t group, int flags);
  fchownat: { args: ["i32", "ptr", "u32", "u32", "i32"], returns: "i32" },
  // int utimensat(int dirfd, const char *path, const struct timespec times[2], int flags);
  utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  // int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags);
  lsetxattr: { args: ["ptr", "ptr", "ptr", ULONG, "i32"], returns: "i32" },
  // ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size);
  lgetxattr: { args: ["ptr", "ptr", "ptr", ULONG], returns: LONG },
  // ssize_t llistxattr(const char *path, char *list, size_t size);
  llistxattr: { args: ["ptr", "ptr", ULONG], returns: LONG },
  // ssize_t getxattr(const char *path, const char *name, void *value, size_t size);
  getxattr: { args: ["ptr", "ptr", "ptr", ULONG], returns: LONG },
  // ssize_t listxattr(const char *path, char *list, size_t size);
  listxattr: { args: ["ptr", "ptr", ULONG], returns: LONG },
  // int chdir(const char *path);
  chdir: { args: ["ptr"], returns: "i32" },
  // int chroot(const char *path);
  chroot: { args: ["ptr"], returns: "i32" },
  // int fchdir(int fd);
  fchdir: { args: ["i32"], returns: "i32" },
  // long syscall(SYS_getcwd, char *buf, unsigned long size);
  getcwd: { symbol: "syscall", args: [LONG, "ptr", ULONG], returns: LONG },

  // --- sockets and terminals
  // int socket(int domain, int type, int protocol);
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  // int socketpair(int domain, int type, int protocol, int sv[2]);
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // int listen(int sockfd, int backlog);
  listen: { args: ["i32", "i32"], returns: "i32" },
  // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen, int flags);
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen);
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  // ssize_t sendmsg(int sockfd, const struct msghdr *msg, int flags);
  sendmsg: { args: ["i32", "ptr", "i32"], returns: LONG },
  // ssize_t recvmsg(int sockfd, struct msghdr *msg, int flags);
  recvmsg: { args: ["i32", "ptr", "i32"], returns: LONG },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
  recv: { args: ["i32", "ptr", ULONG, "i32"], returns: LONG },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags);
  send: { args: ["i32", "ptr", ULONG, "i32"], returns: LONG },
  // ssize_t recvfrom(int sockfd, void *buf, size_t len, int flags, struct sockaddr *src_addr, socklen_t *addrlen);
  recvfrom: { args: ["i32", "ptr", ULONG, "i32", "ptr", "ptr"], returns: LONG },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags, const struct sockaddr *dest_addr, socklen_t addrlen);
  sendto: { args: ["i32", "ptr", ULONG, "i32", "ptr", "u32"], returns: LONG },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen);
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  // int shutdown(int sockfd, int how);
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  // int epoll_create1(int flags);
  epoll_create1: { args: ["i32"], returns: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout);
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  // int ioctl(int fd, unsigned long request, void *arg);
  ioctl: { args: ["i32", ULONG, "ptr"], returns: "i32" },
  // int ioctl(int fd, unsigned long request, long arg);
  ioctl_int: { symbol: "ioctl", args: ["i32", ULONG, LONG], returns: "i32" },
} as const satisfies Record<string, FFIFunction & { symbol?: string }>;

type Symbols = typeof prototypes;
type Libc = import("bun:ffi").ConvertFns<Symbols>;

/** What nearly every command and every init calls. By their own names: two cannot share one symbol here. */
const COMMON = [
  "__errno_location",
  "openat",
  "close",
  "read",
  "write",
  "pwrite",
  "ftruncate",
  "statx",
  "fstatfs",
  "readlinkat",
  "mkdirat",
  "unlinkat",
  "renameat",
  "symlinkat",
  "pipe2",
  "fcntl",
  "flock",
  "poll",
  "socketpair",
  "sendmsg",
  "recvmsg",
  "prctl",
  "getpid",
  "umask",
  "signal",
  "sigprocmask",
  "madvise",
  "waitid",
] as const satisfies readonly (keyof Symbols)[];

/** What init calls besides. */
const INIT = [
  "mount",
  "umount2",
  "mknodat",
  "chdir",
  "fchdir",
  "setsid",
  "sethostname",
  "socket",
  "ioctl",
  "dup3",
] as const satisfies readonly (keyof Symbols)[];

const GROUPS: readonly (readonly (keyof Symbols)[])[] = [COMMON, INIT];

function bind(names: readonly (keyof Symbols)[]): void {
  const wanted: Record<string, FFIFunction> = {};
  for (const name of names) {
    const { symbol = name, ...prototype }: FFIFunction & { symbol?: string } = prototypes[name];
    wanted[symbol] = prototype;
  }
  const { symbols } = dlopen("libc.so.6", wanted);
  for (const name of names) {
    const { symbol = name }: FFIFunction & { symbol?: string } = prototypes[name];
    Object.defineProperty(libc, name, { value: symbols[symbol] });
  }
}

/** libc, each function bound at its first use: what is not there yet is asked of the prototype. */
export const libc: Libc = Object.create(
  new Proxy({} as Libc, {
    get(_, name: keyof Symbols) {
      let names: readonly (keyof Symbols)[] = [name];
      for (const group of GROUPS) if (group.includes(name)) names = group;
      bind(names);
      return libc[name];
    },
  }),
);

/** The address of a buffer's bytes, for structs that hold pointers. The caller keeps the buffer alive. */
export function addressOf(buffer: Uint8Array | Int32Array): number {
  return ptr(buffer);
}

/** Memory of this process that is not JavaScript's, as bytes. The caller knows that it is mapped and writable. */
export function memoryAt(address: number, length: number): Uint8Array {
  return length === 0
    ? new Uint8Array(0)
    : new Uint8Array(toArrayBuffer(address as Pointer, 0, length));
}
