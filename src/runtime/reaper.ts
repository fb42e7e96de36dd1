/**
 * The first process of a container with `--init`: reaps what is orphaned and forwards signals.
 *
 * It is the forked mydocker process itself, in the container, with the container's privileges: no
 * helper binary has to be brought in. A garbage collection would never end in it (ffi/fork.ts), so
 * the loop makes no objects.
 */
import { libc } from "../ffi/libc.ts";
import { exitNow, SIGNALS } from "../linux/process.ts";

const SIG_BLOCK = 0;
const WNOHANG = 1;

/** Signals that mean this process itself, not the command. */
const OWN = new Set<number>([SIGNALS.SIGCHLD, SIGNALS.SIGTTIN, SIGNALS.SIGTTOU]);

/** Blocks all signals, waits for them one by one, and ends as the command ends. */
export function reapAndForward(command: number): never {
  const everything = new Uint8Array(128).fill(0xff);
  const status = new Int32Array(1);
  libc.sigprocmask(SIG_BLOCK, everything, null);
  for (;;) {
    for (;;) {
      const pid = libc.waitpid(-1, status, WNOHANG);
      if (pid <= 0) break;
      if (pid === command) {
        const raw = status[0] as number;
        // WIFEXITED, WEXITSTATUS, WTERMSIG (wait(2))
        exitNow((raw & 0x7f) === 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f));
      }
    }
    const signal = libc.sigwaitinfo(everything, null);
    if (signal > 0 && !OWN.has(signal)) libc.kill(command, signal);
  }
}
