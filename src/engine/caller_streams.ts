/**
 * The caller's standard streams. They are shared: with the shell, with other commands of a pipeline.
 * So they are never told not to block, which everybody would see (O_NONBLOCK belongs to the open
 * file), and yet a read or write must not wait, because somebody else took what poll(2) promised.
 */
import { SysError } from "../ffi/call.ts";
import { fdPath, O, open, read, write } from "../linux/fd.ts";
import { ifExists, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, statFd } from "../linux/file.ts";
import { receiveNow, sendNow } from "../linux/socket.ts";
import { isTerminal } from "../linux/tty.ts";

/** How bytes are taken from standard input. EAGAIN: somebody else has them. */
export type Reader = (buffer: Uint8Array) => number;

/** How bytes are written to standard output or error. */
export interface Writer {
  /** what to wait for */
  readonly fd: number;
  readonly write: (bytes: Uint8Array) => number;
  /** It may wait, unless it is given no more than PIPE_BUF when poll(2) says that it is ready. */
  readonly blocks: boolean;
  readonly isTerminal: boolean;
}

/** The caller's streams, with the descriptors that had to be opened for them. */
export class CallerStreams {
  readonly #opened: number[] = [];

  /** @returns descriptors that are ours to close */
  get opened(): readonly number[] {
    return this.#opened;
  }

  /**
   * Standard input. Wait for descriptor 0 all the same: another description of a FIFO whose writers
   * are gone never says so (fifo(7)).
   */
  reader(): Reader {
    if (kindOf(0) === S_IFSOCK) return (buffer) => receiveNow(0, buffer);
    const fd = this.#reopen(0, O.O_RDONLY) ?? 0;
    return (buffer) => read(fd, buffer);
  }

  /** Standard output or error. */
  writer(fd: number): Writer {
    const kind = kindOf(fd);
    const plain = { fd, blocks: false, isTerminal: false };
    // A file never blocks, and another description would write at an offset of its own.
    if (kind === S_IFREG) return { ...plain, write: (bytes) => write(fd, bytes) };
    if (kind === S_IFSOCK) return { ...plain, write: (bytes) => sendNow(fd, bytes) };
    const own = this.#reopen(fd, O.O_WRONLY);
    const to = own ?? fd;
    return {
      fd: to,
      blocks: own === undefined,
      isTerminal: kind === S_IFCHR && isTerminal(fd),
      write: (bytes) => write(to, bytes),
    };
  }

  /** For output that the caller does not want. */
  nowhere(): Writer {
    const fd = open("/dev/null", O.O_WRONLY);
    this.#opened.push(fd);
    return { fd, blocks: false, isTerminal: false, write: (bytes) => bytes.length };
  }

  /** A description of our own of the same pipe or terminal, which does not block. */
  #reopen(fd: number, mode: number): number | undefined {
    const kind = kindOf(fd);
    if (kind !== S_IFIFO && !(kind === S_IFCHR && isSlave(fd))) return undefined;
    try {
      const own = open(fdPath(fd), mode | O.O_NONBLOCK | O.O_NOCTTY);
      this.#opened.push(own);
      return own;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return undefined; // not ours to open
    }
  }
}

const kindOf = (fd: number): number => (ifExists(() => statFd(fd))?.mode ?? 0) & S_IFMT;

/** A terminal; not the master of one, which opened anew is another terminal (pts(4)). */
function isSlave(fd: number): boolean {
  if (!isTerminal(fd)) return false;
  const { rdevMajor, rdevMinor } = statFd(fd);
  return !(rdevMajor === 5 && rdevMinor === 2);
}
