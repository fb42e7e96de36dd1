/** Somebody who takes something back when we are killed. */
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

/** How long a guardian may take to say that it is there, and to go, in milliseconds. */
const PATIENCE = 100;
/** A forked child may hang (ffi/fork.ts): then another one is tried. */
const ATTEMPTS = 5;

/** A forked child that does nothing but wait for our end. */
export class Guardian {
  private constructor(
    private readonly pidfd: number,
    /** our end of a message pair */
    private readonly line: number,
  ) {}

  /**
   * Starts one.
   * @param undo what it does when we are killed: short and synchronous
   * @param keep a descriptor that this needs, which it finds as 0; it has no other one
   * @returns undefined when none gets going
   */
  static start(undo: () => void, keep?: number): Guardian | undefined {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const [line, theirs] = messagePair();
      const child = forkWithNamespaces(0, {});
      if (child === undefined) return guard(undo, keep, theirs);
      close(theirs);
      const guardian = new Guardian(child.pidfd, line);
      if (poll([{ fd: line, events: POLLIN, revents: 0 }], PATIENCE) > 0) {
        receiveMessage(line); // unread, it would make the end of the line an error
        return guardian;
      }
      guardian.dismiss();
    }
    return undefined;
  }

  /** There is nothing to take back any more. */
  dismiss(): void {
    const { pidfd, line } = this;
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
}

const ALL_IS_WELL = new Uint8Array([0]);
/** How long taking back may take, in seconds. */
const UNDO_LIMIT = 5;

/**
 * Runs in the guardian: a message means that all is well, the end of it that nobody is left to take
 * it back. It may hang like any forked child. Until it is there, its end is its parent's: nothing is
 * changed yet. Later nobody is left to end it, so it does that itself.
 */
function guard(undo: () => void, keep: number | undefined, line: number): never {
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
    if (keep !== undefined && keep !== 0) dupOnto(keep, 0);
    dupOnto(line, 3);
    closeFrom(4);
    unblockSignals();
    prctl(PR_SET_PDEATHSIG, 0);
    sendMessage(3, ALL_IS_WELL); // it is there
    if (receiveMessage(3) === undefined) {
      alarm(UNDO_LIMIT);
      undo();
    }
  } catch {
    // Nobody is there to tell.
  }
  return exitNow(0);
}
