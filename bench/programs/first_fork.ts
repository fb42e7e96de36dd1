/**
 * Forks once, as a container is started, and prints how many milliseconds it is from the call of the
 * fork to the first instruction of the child.
 */

import { forkWithNamespaces } from "../../src/ffi/fork.ts";
import { pipe, read, write } from "../../src/linux/fd.ts";
import { CLONE, exitNow, P_PIDFD, waitExit } from "../../src/linux/process.ts";

const { CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWPID, CLONE_NEWIPC } = CLONE;
const [reader, writer] = pipe();
const time = new Float64Array(1);
const bytes = new Uint8Array(time.buffer);

const flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWIPC;
const before = performance.now();
const child = forkWithNamespaces(flags, {});
if (child === undefined) {
  time[0] = performance.now();
  write(writer, bytes);
  exitNow(0);
}
waitExit(P_PIDFD, child.pidfd);
read(reader, bytes);
process.stdout.write(`${(time[0] as number) - before}\n`);
