/** The caller's terminal while a container's terminal is shown on it. */
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, closeFrom, dupOnto, POLLIN, poll } from "../linux/fd.ts";
import {
  alarm,
  exitNow,
  ignoreSignal,
  P_PIDFD,
  PR_SET_PDEATHSIG,
  pidfdSendSignal,
  prctl,
  resetSignals,
  SIGNALS,
  unblockSignals,
  waitExit,
} from "../linux/process.ts";
import { messagePair, receiveMessage, sendMessage } from "../linux/socket.ts";
import { getAttributes, rawMode, setAttributes, type Termios } from "../linux/tty.ts";

/**
 * Raw mode, taken back on dispose. A guardian, a forked child that does nothing but wait for our
 * end, takes it back when we are killed: a shell whose terminal stays raw is of no use to anybody.
 */
export class RawTerminal implements Disposable {
  readonly #fd: number;
  readonly #saved: Termios;
  readonly #guardian: Guardian | undefined;
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
    if (this.#guardian !== undefined) dismiss(this.#guardian);
  }
}

interface Guardian {
  readonly pidfd: number;
  /** our end of a message pair */
  readonly line: number;
}

/** How long a guardian may take to say that it is there, and to go, in milliseconds. */
const PATIENCE = 100;
/** A forked child may hang (ffi/fork.ts): then another one is tried. */
const ATTEMPTS = 5;

function startGuardian(terminal: number, saved: Termios): Guardian | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [line, theirs] = messagePair();
    const child = forkWithNamespaces(0, {});
    if (child === undefined) return guard(terminal, saved, theirs);
    close(theirs);
    const guardian = { pidfd: child.pidfd, line };
    if (poll([{ fd: line, events: POLLIN, revents: 0 }], PATIENCE) > 0) {
      receiveMessage(line); // unread, it would make the end of the line an error
      return guardian;
    }
    dismiss(guardian);
  }
  return undefined;
}

/** Lets a guardian go, or makes it. */
function dismiss({ pidfd, line }: Guardian): void {
  try {
    sendMessage(line, ALL_IS_WELL);
  } catch {
    // Somebody killed it.
  }
  close(line);
  if (poll([{ fd: pidfd, events: POLLIN, revents: 0 }], PATIENCE) === 0) {
    pidfdSendSignal(pidfd, SIGNALS.SIGKILL);
  }
  waitExit(P_PIDFD, pidfd);
  close(pidfd);
}

const ALL_IS_WELL = new Uint8Array([0]);
/** How long restoring may take, in seconds. */
const RESTORE_LIMIT = 5;

/**
 * Runs in the guardian: a message means that all is well, the end of it that nobody is left to
 * restore. It may hang like any forked child. Until it is there, its end is its parent's: nothing is
 * changed yet. Later nobody is left to end it, so it does that itself.
 */
function guard(terminal: number, saved: Termios, line: number): never {
  try {
    prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
    alarm(0); // looked up now, not when there is nobody left to notice that it hangs
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
    dupOnto(line, 3);
    closeFrom(4);
    unblockSignals();
    prctl(PR_SET_PDEATHSIG, 0);
    sendMessage(3, ALL_IS_WELL); // it is there
    if (receiveMessage(3) === undefined) {
      alarm(RESTORE_LIMIT);
      setAttributes(0, saved);
    }
  } catch {
    // Nobody is there to tell.
  }
  return exitNow(0);
}
