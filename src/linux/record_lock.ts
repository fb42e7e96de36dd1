/** Record locks on single bytes of a file: fcntl_locking(2). The bytes need not be there. */
import { check, checkUnless, retryInterrupted } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";

// struct flock, asm-generic/fcntl.h
const recordLock = defineStruct({
  type: "i16",
  whence: "i16",
  start: "i64",
  len: "i64",
  pid: "i32",
});
const F_GETLK = 5;
const F_SETLK = 6;
const F_SETLKW = 7;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** Reused, and seen as words: hundreds of locks may be asked for before a container starts. */
const shared = recordLock.alloc();
const words = new Int32Array(shared.buffer);
const [TYPE, START, LENGTH, PID] = (["type", "start", "len", "pid"] as const).map(
  (field) => recordLock.offsets[field] / Int32Array.BYTES_PER_ELEMENT,
) as [number, number, number, number];

/** A lock of a byte, as fcntl(2) takes it; until the next one is made. */
function byteLock(type: number, at: number): Uint8Array {
  words[TYPE] = type; // and SEEK_SET, 0, in its upper half
  words[START] = at % 2 ** 32;
  words[START + 1] = Math.floor(at / 2 ** 32);
  words[LENGTH] = 1;
  words[LENGTH + 1] = 0;
  return shared;
}

/**
 * Locks a byte for this process. A forked child does not have the lock, and it goes when the process
 * ends, or closes *any* descriptor of the file.
 * @returns false when another process has it
 */
export function lockByte(fd: number, at: number): boolean {
  const lock = byteLock(F_WRLCK, at);
  const locked = checkUnless(
    "fcntl",
    ["EAGAIN", "EACCES"],
    () => ({ fd, command: "F_SETLK", at }),
    libc.fcntl_ptr(fd, F_SETLK, lock),
  );
  return locked !== undefined;
}

/** Waits for a byte's lock. */
export function awaitByte(fd: number, at: number): void {
  const lock = byteLock(F_WRLCK, at);
  retryInterrupted(() =>
    check("fcntl", () => ({ fd, command: "F_SETLKW", at }), libc.fcntl_ptr(fd, F_SETLKW, lock)),
  );
}

/** Gives a byte's lock back. */
export function unlockByte(fd: number, at: number): void {
  const lock = byteLock(F_UNLCK, at);
  retryInterrupted(() =>
    check("fcntl", () => ({ fd, command: "F_SETLK", at }), libc.fcntl_ptr(fd, F_SETLK, lock)),
  );
}

/** The other process that has a byte's lock; undefined when there is none. */
export function byteLockHolder(fd: number, at: number): number | undefined {
  const lock = byteLock(F_WRLCK, at);
  check("fcntl", () => ({ fd, command: "F_GETLK", at }), libc.fcntl_ptr(fd, F_GETLK, lock));
  return ((words[TYPE] as number) & 0xffff) === F_UNLCK ? undefined : words[PID];
}
