/** The file that `-o` names: what is there stays until the new one is complete. */
import { MydockerError } from "../errors.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { close, O, open } from "../linux/fd.ts";
import {
  rename,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  statIfExists,
  unlinkIfExists,
} from "../linux/file.ts";
import { nameFile } from "../linux/replace_file.ts";
import { isTerminal } from "../linux/tty.ts";

/** Somewhere to write to. Disposed of without {@link commit}, a file is as it was before. */
export interface OutputFile extends Disposable {
  readonly fd: number;
  /** As a person knows it. */
  readonly path: string;
  /** Everything is written. */
  commit(): void;
}

/**
 * @param path undefined for stdout
 * @param terminalHint the way out when stdout is a terminal
 * @throws {MydockerError}
 */
export function openOutput(path: string | undefined, terminalHint: string): OutputFile {
  if (path !== undefined) return openFile(path);
  if (isTerminal(1))
    throw new MydockerError("refusing to write an archive to a terminal", { hint: terminalHint });
  return { fd: 1, path: "stdout", commit() {}, [Symbol.dispose]() {} };
}

function openFile(path: string): OutputFile {
  const fail = (why: string, cause?: unknown) =>
    new MydockerError(`cannot write to ${path}: ${why}`, { cause });
  try {
    const type = (statIfExists(path)?.mode ?? 0) & S_IFMT;
    if (type === S_IFDIR) throw fail("it is a directory");
    if (type === S_IFCHR || type === S_IFBLK) throw fail("it is a device");
    if (type === S_IFIFO) {
      // Also what a shell makes of >(command): it cannot be replaced, only written to.
      const fd = open(path, O.O_WRONLY);
      return { fd, path, commit() {}, [Symbol.dispose]: () => close(fd) };
    }
    return replaceable(path);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw fail(errnoText(cause.errno), cause);
  }
}

/** A file without a name until it is complete, where there are such; else with one beside it. */
function replaceable(path: string): OutputFile {
  const slash = path.lastIndexOf("/");
  const directory = slash === -1 ? "." : path.slice(0, slash) || "/";
  const temporary = `${directory}/.mydocker-${crypto.randomUUID()}`;
  let fd: number;
  let isNamed = false;
  try {
    fd = open(directory, O.O_TMPFILE | O.O_WRONLY, 0o600);
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP", "EISDIR", "EINVAL")) throw error;
    fd = open(temporary, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o600);
    isNamed = true;
  }
  return {
    fd,
    path,
    commit() {
      if (!isNamed) nameFile(fd, temporary);
      isNamed = true;
      rename(temporary, path);
      isNamed = false;
    },
    [Symbol.dispose]() {
      close(fd);
      if (isNamed) unlinkIfExists(temporary);
    },
  };
}
