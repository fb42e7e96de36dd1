/** Trying something where nobody sees it: in a forked child with namespaces of its own. */
import { Flags, SysError } from "../../ffi/call.ts";
import { forkWithNamespaces } from "../../ffi/fork.ts";
import { close, POLLIN, poll } from "../../linux/fd.ts";
import {
  CLONE,
  exitNow,
  P_PIDFD,
  pidfdSendSignal,
  SIGNALS,
  waitExit,
} from "../../linux/process.ts";
import { messagePair, receiveMessage, sendMessage } from "../../linux/socket.ts";

/** How it went: `code` is that of the system call that failed, such as EPERM. */
export type Outcome = { readonly works: true } | Refusal;
/** Why something does not work. */
export interface Refusal {
  readonly works: false;
  readonly code: string;
  readonly message: string;
}

/** How long a child may take before it counts as hanging, in milliseconds; and how many are tried. */
const PATIENCE = 3000;
const ATTEMPTS = 3;

/**
 * Tries things in new namespaces, one after the other, whatever becomes of the others.
 * @param flags CLONE_NEW* bits
 * @param acts synchronous and short; what they leave behind goes with the namespaces
 * @returns an outcome for each; of the namespaces' making, should that fail
 */
export function tryInNamespaces(flags: number, acts: readonly (() => void)[]): Outcome[] {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcomes = attemptOnce(flags, acts);
    if (outcomes !== undefined) return outcomes;
  }
  return acts.map(() => ({ works: false, code: "ETIMEDOUT", message: "the child hangs" }));
}

function attemptOnce(flags: number, acts: readonly (() => void)[]): Outcome[] | undefined {
  const [ours, theirs] = messagePair();
  let child: ReturnType<typeof forkWithNamespaces>;
  try {
    child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
  } catch (error) {
    close(ours);
    close(theirs);
    return acts.map(() => refusal(error));
  }
  if (child === undefined) {
    sendMessage(theirs, new TextEncoder().encode(JSON.stringify(acts.map(attempted))));
    return exitNow(0);
  }
  close(theirs);
  try {
    if (poll([{ fd: ours, events: POLLIN, revents: 0 }], PATIENCE) === 0) {
      pidfdSendSignal(child.pidfd, SIGNALS.SIGKILL);
      return undefined;
    }
    const received = receiveMessage(ours);
    if (received === undefined) return undefined;
    return JSON.parse(new TextDecoder().decode(received.bytes)) as Outcome[];
  } finally {
    waitExit(P_PIDFD, child.pidfd);
    close(child.pidfd);
    close(ours);
  }
}

/** How something goes that is done here. */
export function attempted(act: () => void): Outcome {
  try {
    act();
    return { works: true };
  } catch (error) {
    return refusal(error);
  }
}

function refusal(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  return { works: false, code: error instanceof SysError ? error.code : "", message };
}
