/** Being told when a cgroup is out of memory: memory.rst, "OOM Control" (v1), cgroup-v2.rst, `memory.events`. */
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, eventfd, O, open, POLLIN, POLLPRI, pread, read } from "../linux/fd.ts";
import { statIfExists, writeControl } from "../linux/file.ts";
import { flatValue } from "./controller.ts";
import { CgroupError } from "./error.ts";
import type { Cgroup } from "./manager.ts";

/** What {@link OomWatch.check} can say. */
export type OomEvent = "oom" | "gone" | undefined;

/** A watch over one cgroup. To be closed by its owner. */
export interface OomWatch extends Disposable {
  /** to poll(2), for {@link events} */
  readonly fd: number;
  readonly events: number;
  /**
   * What happened since the last time: `oom` when the limit was met and could not be kept, `gone`
   * once the cgroup was removed. Does not wait.
   */
  check(): OomEvent;
}

/**
 * Watches a cgroup for a want of memory.
 * @throws {CgroupError} when it has no memory controller
 */
export function watchOom(cgroup: Cgroup): OomWatch {
  const member = cgroup.members.find(({ controllers }) =>
    controllers.some(({ name }) => name === "memory"),
  );
  if (member === undefined)
    throw new CgroupError(`cgroup ${cgroup.path} has no memory controller`, {
      controller: "memory",
    });
  return member.hierarchy.version === 1 ? watchV1(member.directory) : watchV2(member.directory);
}

/** An eventfd that the kernel counts up, also when the cgroup goes. */
function watchV1(directory: string): OomWatch {
  using undo = new DisposableStack();
  const fd = eventfd();
  undo.defer(() => close(fd));
  const control = open(`${directory}/memory.oom_control`, O.O_RDONLY);
  try {
    writeControl(`${directory}/cgroup.event_control`, `${fd} ${control}`);
  } finally {
    close(control); // the kernel has taken what it needs of it
  }
  const closing = undo.move();
  const counter = new Uint8Array(8);
  return {
    fd,
    events: POLLIN,
    check() {
      try {
        read(fd, counter);
      } catch (error) {
        if (isErrno(error, "EAGAIN")) return undefined;
        throw error;
      }
      return statIfExists(directory) === undefined ? "gone" : "oom";
    },
    [Symbol.dispose]: () => closing.dispose(),
  };
}

/** memory.events wakes whoever polls it when one of its counters changes. */
function watchV2(directory: string): OomWatch {
  const fd = open(`${directory}/memory.events`, O.O_RDONLY);
  const buffer = new Uint8Array(512);
  // By the polled descriptor: until it is read again, poll(2) says that there is something to read.
  const count = (): number | undefined => {
    try {
      const text = decodeBytes(buffer.subarray(0, pread(fd, buffer, 0)));
      return flatValue(text, "oom") ?? 0;
    } catch (error) {
      if (isErrno(error, "ENODEV", "ENOENT")) return undefined;
      throw error;
    }
  };
  let seen = count() ?? 0;
  return {
    fd,
    events: POLLPRI,
    check() {
      const now = count();
      if (now === undefined) return "gone";
      const isMore = now > seen;
      seen = now;
      return isMore ? "oom" : undefined;
    },
    [Symbol.dispose]: () => close(fd),
  };
}
