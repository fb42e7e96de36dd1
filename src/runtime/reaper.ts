/**
 * The first process of a container with `--init`: reaps what is orphaned and forwards signals.
 *
 * It is the forked mydocker process itself, in the container, with the container's privileges: no
 * helper binary has to be brought in. A garbage collection would never end in it (ffi/fork.ts), so
 * the loop makes no objects.
 */
import { encodeBytes } from "../ffi/bytes.ts";
import { libc, memoryAt } from "../ffi/libc.ts";
import { readFile } from "../linux/file.ts";
import { exitNow, PR_SET_NAME, prctlString, SIGNALS } from "../linux/process.ts";

const WNOHANG = 1;
/** What `ps` shows in the container. */
const TITLE = "mydocker-init";

/** Signals that mean this process itself, not the command. */
const OWN = new Set<number>([SIGNALS.SIGCHLD, SIGNALS.SIGTTIN, SIGNALS.SIGTTOU]);

/** Our command line and environment say what the caller typed, which is none of the container's business. */
function hideOrigin(): void {
  const stat = readFile("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // arg_start, arg_end, env_start, env_end (proc_pid_stat(5), fields 48 to 51)
  const [argStart = 0, argEnd = 0, envStart = 0, envEnd = 0] = fields.slice(45, 49).map(Number);
  memoryAt(envStart, envEnd - envStart).fill(0);
  const commandLine = memoryAt(argStart, argEnd - argStart).fill(0);
  commandLine.set(encodeBytes(TITLE).subarray(0, commandLine.length - 1));
  prctlString(PR_SET_NAME, TITLE);
}

const everything = new Uint8Array(128).fill(0xff);

/**
 * Waits for signals one by one, and ends as the command ends. They have all been blocked since the
 * fork (ffi/fork.ts), so none is lost, and have their default actions.
 */
export function reapAndForward(command: number): never {
  const status = new Int32Array(1);
  hideOrigin();
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
