/** Starting another program (posix_spawn(3)): nothing of the caller's JavaScript runs in the child. */
import { cString } from "../ffi/bytes.ts";
import { SysError } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { closeOnExecFrom } from "./fd.ts";
import { stringVector } from "./process.ts";

// spawn.h of glibc: opaque, and never larger than this.
const SIZE_OF_ACTIONS = 512;
const SIZE_OF_ATTRIBUTES = 512;
const POSIX_SPAWN_SETPGROUP = 2;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const POSIX_SPAWN_SETSID = 0x80;
/** sizeof(sigset_t) of glibc, bytes */
const SIGSET_SIZE = 128;

/** What is started, and on which standard streams. */
export interface Program {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** Descriptors that become its 0, 1 and 2; absent ones are the caller's. */
  readonly stdin?: number;
  readonly stdout?: number;
  readonly stderr?: number;
  /** It leads a session of its own, not only a process group. */
  readonly session?: boolean;
  /** It stays in the caller's process group: what a terminal says to the caller is said to it. */
  readonly sameGroup?: boolean;
}

/**
 * Starts a program as the leader of a process group, with no signal blocked or ignored, whatever the
 * caller's are, and no other descriptors: all of ours are close-on-exec afterwards.
 * @returns its pid
 * @throws {SysError} posix_spawn, with the path
 */
export function spawnProgram(program: Program): number {
  const { path, argv, env } = program;
  closeOnExecFrom(3);
  const actions = new Uint8Array(SIZE_OF_ACTIONS);
  const attributes = new Uint8Array(SIZE_OF_ATTRIBUTES);
  libc.posix_spawn_file_actions_init(actions);
  libc.posix_spawnattr_init(attributes);
  try {
    const streams = [program.stdin, program.stdout, program.stderr];
    streams.forEach((fd, to) => {
      if (fd !== undefined) libc.posix_spawn_file_actions_adddup2(actions, fd, to);
    });
    const ownGroup = program.sameGroup === true ? 0 : POSIX_SPAWN_SETPGROUP;
    const group = program.session === true ? POSIX_SPAWN_SETSID : ownGroup;
    const flags = group | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    libc.posix_spawnattr_setflags(attributes, flags);
    libc.posix_spawnattr_setsigmask(attributes, new Uint8Array(SIGSET_SIZE));
    libc.posix_spawnattr_setsigdefault(attributes, new Uint8Array(SIGSET_SIZE).fill(0xff));
    const pid = new Int32Array(1);
    const [argVector, envVector] = [stringVector(argv), stringVector(env)];
    const error = libc.posix_spawn(
      pid,
      cString(path),
      actions,
      attributes,
      argVector.pointers,
      envVector.pointers,
    );
    // It returns the error's number instead of setting errno.
    if (error !== 0) throw new SysError("posix_spawn", { path }, error);
    return pid[0] as number;
  } finally {
    libc.posix_spawn_file_actions_destroy(actions);
    libc.posix_spawnattr_destroy(attributes);
  }
}
