/**
 * A program of a few instructions between mydocker and a container's command.
 *
 * The kernel looks a command up, and whatever interprets it, while /proc/self/exe still is the program
 * that calls execve(2). Whoever can swap files in the container could so have mydocker itself executed
 * in there, hold it open, and overwrite it (CVE-2019-5736); a look at the path beforehand is a race.
 * So the caller becomes this program first, which lives in a memory file of its own: what leads to
 * /proc/self/exe leads to it, and nobody executes that file again.
 *
 * For a process that joins a container it forks, too: the child is born in the container's pid
 * namespace, and has neither memory, descriptors nor the executable of mydocker's to show, not even to
 * somebody with CAP_SYS_PTRACE there (CVE-2016-9962).
 */
import { isErrno } from "../ffi/call.ts";
import { F_SETFD, fcntl, memfdCreate, writeAll } from "../linux/fd.ts";
import { CLONE, execMemory, SIGNALS, type StringVector } from "../linux/process.ts";

/**
 * The instructions, for `[path, ...argv]` and the environment on the stack. A failed call, and after
 * the clone its caller, writes the result to the socket as 8 bytes and exits.
 *
 *   if (listener >= 0) {
 *     fcntl(listener, F_SETFD, FD_CLOEXEC);
 *     write(socket, 1); exits unless read(socket) == "keep";
 *     do { close(socket); socket = accept4(listener, SOCK_CLOEXEC); } while (read(socket) != "start");
 *     write(socket, 0);
 *   } else fcntl(socket, F_SETFD, FD_CLOEXEC); fails if somebody in the container executes it again
 *   if (flags) { clone(flags); in the child: setsid(); if (terminal) ioctl(0, TIOCSCTTY, 0); }
 *   execve(path, argv, environment);
 *
 * Behind them lie words which are filled in: socket, flags, terminal, listener. The source is in
 * build/trampoline/.
 */
export const CODE: Readonly<Record<string, string>> = {
  x64: "SYnkRIstQgEAAESLNUcBAABIg+wQQYP+AHx0RIn3vgIAAAC6AQAAALhIAAAADwVIhcAPiNQAAAC4AQAAAOjcAAAA6PEAAABIg/gED4XAAAAARInvuAMAAAAPBUSJ9zH2MdJBugAACAC4IAEAAA8FSIXAD4iZAAAAQYnF6LgAAABIg/gFdcsxwOiRAAAA62NEie++AgAAALoBAAAAuEgAAAAPBUiFwHhkiz2iAAAAhf90QDH2MdJFMdJFMcC4OAAAAA8FSIXAdUS4cAAAAA8FSIXAeDiDPXkAAAAAdBUx/74OVAAAMdK4EAAAAA8FSIXAeBpJi3wkCEmNdCQQSYsEJEmNVMQQuDsAAAAPBegNAAAAv38AAAC45wAAAA8F9EiJRCQIRInvSI10JAi6CAAAALgBAAAADwXDRInvSI10JAi6CAAAADHADwXDZpA=",
  arm64:
    "8wMAkf9DANFJCgAQNAFAuTUNQLm1A/g34AMVKkEAgNIiAIDSKAOA0gEAANTgBvi3IACA0joAAJRAAACUHxAA8WEGAFTgAxQqKAeA0gEAANTgAxUqAQCA0gIAgNIDAaDSSB6A0gEAANQgBfi39AMAKjIAAJQfFADxYf7/VAAAgNInAACUGwAAFOADFCpBAIDSIgCA0igDgNIBAADUYAP4tyAFQLlgAgA0AQCA0gIAgNIDAIDSBACA0ogbgNIBAADUQAIAtagTgNIBAADU4AH4tyMJQLnjAAA0AACA0sGBitICAIDSqAOA0gEAANTgAPi3aQJA+WAGQPlhQgCRIgwJi6gbgNIBAADUBQAAlOAPgNLIC4DSAQAA1AAAINTgAwD54AMUKuEDAJECAYDSCAiA0gEAANTAA1/W4AMUKuEDAJECAYDS6AeA0gEAANTAA1/W",
};
const MACHINE: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const HEADERS = 64 + 2 * 56;
/** Where it is mapped; above what mmap_min_addr may be. */
const BASE = 0x400000n;

/** What the program says, besides an error's number and a pid. */
export const WAITING = 1;
/** The command is going to be executed. */
export const EXECUTING = 0;

/** How the program goes on. */
export interface Continuation {
  /** told of what fails; execve(2) closes it */
  readonly socket: number;
  /** The command is a child of the caller's parent, in the pid namespace for children; a session of its own. */
  readonly forks?: { readonly terminal: boolean };
  /** A listening socket: it waits there to be told, and `socket` is for as long as that is not agreed. */
  readonly listener?: number;
}

/**
 * Makes the program, before limits and filters are in force, and lets `socket` pass on to it.
 * @returns a descriptor for {@link jump}; undefined where the kernel lets nobody execute memory files
 */
export function prepareTrampoline({
  socket,
  forks,
  listener = -1,
}: Continuation): number | undefined {
  let memory: number;
  try {
    memory = memfdCreate("command", { executable: true });
  } catch (error) {
    // vm.memfd_noexec is 2. There is no other way to fork the command in another pid namespace.
    if (isErrno(error, "EACCES") && forks === undefined) return undefined;
    throw error;
  }
  const flags = forks === undefined ? 0 : CLONE.CLONE_PARENT | SIGNALS.SIGCHLD;
  writeAll(memory, image([socket, flags, forks?.terminal === true ? 1 : 0, listener]));
  fcntl(socket, F_SETFD, 0);
  if (listener >= 0) fcntl(listener, F_SETFD, 0);
  return memory;
}

/** Becomes the program. Returns only by throwing. @param argv the command's path, then its arguments */
export function jump(memory: number, argv: StringVector, env: StringVector): never {
  return execMemory(memory, argv, env);
}

/** An ELF file (elf(5)) of one segment, and a header that says that the stack is not executable. */
function image(words: readonly number[]): Uint8Array {
  const code = Uint8Array.fromBase64(CODE[process.arch] as string);
  const bytes = new Uint8Array(HEADERS + code.length + 4 * words.length);
  const view = new DataView(bytes.buffer);
  const put = (offset: number, size: 2 | 4 | 8, value: bigint | number) => {
    if (size === 8) view.setBigUint64(offset, BigInt(value), true);
    else if (size === 4) view.setUint32(offset, Number(value), true);
    else view.setUint16(offset, Number(value), true);
  };
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  put(16, 2, 2); // ET_EXEC
  put(18, 2, MACHINE[process.arch] as number);
  put(20, 4, 1);
  put(24, 8, BASE + BigInt(HEADERS)); // entry
  put(32, 8, 64); // program headers
  put(52, 2, 64);
  put(54, 2, 56);
  put(56, 2, 2);
  put(64, 4, 1); // PT_LOAD
  put(68, 4, 5); // PF_R | PF_X
  put(80, 8, BASE);
  put(88, 8, BASE);
  put(96, 8, bytes.length);
  put(104, 8, bytes.length);
  put(112, 8, 0x1000);
  put(120, 4, 0x6474e551); // PT_GNU_STACK
  put(124, 4, 6); // PF_R | PF_W
  bytes.set(code, HEADERS);
  for (const [index, word] of words.entries()) put(HEADERS + code.length + 4 * index, 4, word);
  return bytes;
}
