/** The archive that `import` and `load` read. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { close, O, open } from "../linux/fd.ts";
import { S_IFDIR, S_IFMT, statFd } from "../linux/file.ts";
import { isTerminal } from "../linux/tty.ts";

/** The archive, open for reading; closed when it is disposed of, unless it is stdin. */
export interface Archive extends Disposable {
  readonly fd: number;
}

/** Ways out, for the command that reads the archive. */
export interface ArchiveHints {
  /** Of a terminal for stdin. */
  readonly terminal: string;
  /** Of a directory; undefined where one will do. */
  readonly directory?: ((path: string) => string) | undefined;
}

/**
 * @param file a path; undefined for stdin
 * @throws {MydockerError}
 */
export function openArchive(file: string | undefined, hints: ArchiveHints): Archive {
  if (file === undefined) {
    if (isTerminal(0))
      throw new MydockerError("refusing to read an archive from a terminal", {
        hint: hints.terminal,
      });
    return { fd: 0, [Symbol.dispose]() {} };
  }
  try {
    const fd = open(file, O.O_RDONLY);
    if (hints.directory !== undefined && (statFd(fd).mode & S_IFMT) === S_IFDIR) {
      close(fd);
      throw new MydockerError(`open ${file}: is a directory`, { hint: hints.directory(file) });
    }
    return { fd, [Symbol.dispose]: () => close(fd) };
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(`open ${file}: ${errnoText(cause.errno)}`, { cause });
  }
}
