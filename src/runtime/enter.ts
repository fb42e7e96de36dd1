/** What every process of a container goes through before its command, whether it is the first or joins later. */
import { isErrno, SysError } from "../ffi/call.ts";
import {
  AT_EMPTY_PATH,
  close,
  closeFrom,
  dupOnto,
  F_DUPFD_CLOEXEC,
  F_SETFD,
  FD_CLOEXEC,
  fcntl,
  O,
  open,
} from "../linux/fd.ts";
import { chownAt, S_IFCHR, S_IFMT, type Stat, statFd } from "../linux/file.ts";
import { defaultSignal, PR_SET_PDEATHSIG, prctl, SIGNALS, umask } from "../linux/process.ts";
import { openPeer, setControllingTerminal, setWindowSize } from "../linux/tty.ts";
import type { Streams } from "./init_plan.ts";
import type { Label } from "./labels.ts";
import { raiseRlimits } from "./rlimits.ts";
import { type Confined, dropPrivileges } from "./security.ts";
import {
  checkWorkingDirectory,
  enterWorkingDirectory,
  tryEnterWorkingDirectory,
} from "./working_directory.ts";

/** Who a process runs as, and with which environment. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly env: readonly string[];
}

/** How a process is entered. */
export interface Entry extends Confined {
  readonly user: ResolvedUser;
  readonly streams: Streams;
  /** the master of its terminal */
  readonly master?: number;
  /** of a security module */
  readonly label?: Label;
  readonly dieWithParent: boolean;
  /** false: another process makes the terminal its own */
  readonly ownsTerminal: boolean;
}

const { SIGABRT, SIGILL, SIGTRAP, SIGBUS, SIGSEGV } = SIGNALS;

/** What the JavaScript runtime may end with when it cannot start a thread: it crashes itself on purpose. */
export const ABORTS: readonly number[] = [SIGABRT, SIGILL, SIGTRAP, SIGBUS, SIGSEGV];

/** Should it end so, no report of a crash: in a full container that is to be expected, and the creator starts over. */
export function abortSilently(): void {
  for (const signal of ABORTS) defaultSignal(signal);
}

/**
 * Takes on the standard streams. Afterwards `kept` are the only descriptors but 0–2 and the
 * preserved ones, all close-on-exec.
 * @param kept descriptors that are still needed
 * @returns their numbers now, in order; and the entry with its own one's
 */
export function takeDescriptors<E extends Entry>(
  entry: E,
  kept: readonly number[],
): { readonly numbers: readonly number[]; readonly entry: E } {
  const { user, streams, label } = entry;
  if (entry.master !== undefined) takeTerminal(entry, entry.master);
  else if (streams.stdio !== undefined) takeStreams(streams, streams.stdio, user);
  else adoptStreams(user);
  const first = 3 + (streams.preserved ?? 0);
  if (label === undefined) return { numbers: keepOnly(kept, first), entry };
  const numbers = keepOnly([...kept, label.fd], first);
  return { numbers, entry: { ...entry, label: { ...label, fd: numbers.at(-1) as number } } };
}

/** Takes on working directory and privileges, after {@link takeDescriptors}. */
export function enterProcess(entry: Entry): void {
  const { process } = entry;
  raiseRlimits(process.rlimits);
  const entered = tryEnterWorkingDirectory(process.cwd);
  dropPrivileges(entry);
  // Last, because a change of credentials may clear it (PR_SET_PDEATHSIG(2const)).
  prctl(PR_SET_PDEATHSIG, entry.dieWithParent ? SIGNALS.SIGKILL : 0);
  if (!entered) enterWorkingDirectory(process.cwd);
  checkWorkingDirectory(process.cwd);
  umask(process.user.umask ?? 0o022);
}

function takeTerminal({ user, streams, ownsTerminal }: Entry, master: number): void {
  const slave = openPeer(master);
  if (streams.windowSize !== undefined) setWindowSize(slave, streams.windowSize);
  chownAt(slave, "", user.uid, -1, AT_EMPTY_PATH);
  for (const fd of [0, 1, 2]) dupOnto(slave, fd);
  if (ownsTerminal) setControllingTerminal(0);
}

function takeStreams(
  streams: Streams,
  [stdin, stdout, stderr]: readonly [number, number, number],
  user: ResolvedUser,
): void {
  const input = streams.stdinIsPipe ? stdin : (openOwnNull() ?? stdin);
  // First out of the way of 0–2, then into place.
  const moved = [input, stdout, stderr].map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, 10));
  moved.forEach((fd, to) => {
    dupOnto(fd, to);
    // Opening /dev/stdout again is a question of the pipe's owner. Devices are not ours to give away.
    const isPipe = to !== 0 || streams.stdinIsPipe;
    if (user.uid !== 0 && isPipe) chownAt(to, "", user.uid, -1, AT_EMPTY_PATH);
  });
}

/**
 * The creator's own streams: pipes and sockets go to the user, who may want to open /dev/stdout
 * again, and the host's null device is replaced by the container's. What cannot be given away, or is
 * another device, stays as it is.
 */
function adoptStreams(user: ResolvedUser): void {
  for (const fd of [0, 1, 2]) {
    try {
      const file = statFd(fd);
      if (isNull(file)) {
        const own = openOwnNull();
        if (own !== undefined) dupOnto(own, fd);
      } else if (user.uid !== 0 && (file.mode & S_IFMT) !== S_IFCHR) {
        chownAt(fd, "", user.uid, -1, AT_EMPTY_PATH);
      }
    } catch (error) {
      if (!isErrno(error, "EBADF", "EPERM", "EINVAL", "EROFS")) throw error;
    }
  }
}

const isNull = ({ mode, rdevMajor, rdevMinor }: Stat): boolean =>
  (mode & S_IFMT) === S_IFCHR && rdevMajor === 1 && rdevMinor === 3;

/** The container's own /dev/null: of the host's, root in the container could change mode and owner. */
function openOwnNull(): number | undefined {
  try {
    const fd = open("/dev/null", O.O_RDWR | O.O_NOFOLLOW);
    if (isNull(statFd(fd))) return fd;
    close(fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error; // a /dev that has none
  }
  return undefined;
}

/** Moves the descriptors to `first` and up, close-on-exec, and closes all above. */
function keepOnly(kept: readonly number[], first: number): number[] {
  // First above every number that they are to have, so that none is overwritten.
  const above = first + kept.length;
  const safe = kept.map((fd) => (fd >= above ? fd : fcntl(fd, F_DUPFD_CLOEXEC, above)));
  safe.forEach((fd, index) => {
    dupOnto(fd, first + index);
    fcntl(first + index, F_SETFD, FD_CLOEXEC);
  });
  closeFrom(above);
  for (let fd = 3; fd < first; fd++) fcntl(fd, F_SETFD, 0);
  return safe.map((_, index) => first + index);
}
