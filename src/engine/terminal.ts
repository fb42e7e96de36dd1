/** The caller's terminal while a container's terminal is shown on it. */
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, closeFrom, dupOnto, pipe, read, writeAll } from "../linux/fd.ts";
import {
  exitNow,
  ignoreSignal,
  P_PIDFD,
  resetSignals,
  SIGNALS,
  waitExit,
} from "../linux/process.ts";
import { getAttributes, rawMode, setAttributes, type Termios } from "../linux/tty.ts";

/**
 * Raw mode, taken back on dispose. A guardian, a forked child that does nothing but wait for our
 * end, takes it back when we are killed: a shell whose terminal stays raw is of no use to anybody.
 */
export class RawTerminal implements Disposable {
  readonly #fd: number;
  readonly #saved: Termios;
  readonly #guardian: Guardian;
  #restored = false;

  /** @param fd a terminal */
  constructor(fd: number) {
    this.#fd = fd;
    this.#saved = getAttributes(fd);
    this.#guardian = startGuardian(fd, this.#saved);
    setAttributes(fd, rawMode(this.#saved));
  }

  [Symbol.dispose](): void {
    if (this.#restored) return;
    this.#restored = true;
    try {
      setAttributes(this.#fd, this.#saved);
    } catch {
      // The terminal is gone, and with it the need to restore it.
    }
    try {
      writeAll(this.#guardian.lifeline, new Uint8Array([0]));
    } catch {
      // Somebody killed the guardian.
    }
    close(this.#guardian.lifeline);
    waitExit(P_PIDFD, this.#guardian.pidfd);
    close(this.#guardian.pidfd);
  }
}

interface Guardian {
  readonly pidfd: number;
  /** what it reads from */
  readonly lifeline: number;
}

function startGuardian(terminal: number, saved: Termios): Guardian {
  const [theirs, ours] = pipe();
  const child = forkWithNamespaces(0, {});
  if (child === undefined) return guard(terminal, saved, theirs);
  close(theirs);
  return { pidfd: child.pidfd, lifeline: ours };
}

/** Runs in the guardian: a byte means that all is well, the end of the file that nobody is left to restore. */
function guard(terminal: number, saved: Termios, lifeline: number): never {
  const byte = new Uint8Array(1);
  try {
    resetSignals();
    // A terminal's signals, and what a background process gets for changing it, are not for us.
    for (const signal of [
      SIGNALS.SIGINT,
      SIGNALS.SIGQUIT,
      SIGNALS.SIGHUP,
      SIGNALS.SIGTERM,
      SIGNALS.SIGTTOU,
    ]) {
      ignoreSignal(signal);
    }
    if (terminal !== 0) dupOnto(terminal, 0);
    dupOnto(lifeline, 3);
    closeFrom(4); // the lock of the container's owner above all
    if (read(3, byte) === 0) setAttributes(0, saved);
  } catch {
    // Nobody is there to tell.
  }
  return exitNow(0);
}
