/** The archive that `import` reads. */
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

/** @param file a path, or `-` for stdin */
export function openArchive(file: string): Archive {
  if (file === "-") {
    if (isTerminal(0))
      throw new MydockerError("refusing to read an archive from a terminal", {
        hint: "redirect a file to it: mydocker import - NAME < rootfs.tar",
      });
    return { fd: 0, [Symbol.dispose]() {} };
  }
  if (/^https?:\/\//.test(file))
    throw new MydockerError("import from a URL is not supported by this version yet", {
      hint: `curl -L ${file} | mydocker import - NAME`,
    });
  try {
    const fd = open(file, O.O_RDONLY);
    if ((statFd(fd).mode & S_IFMT) === S_IFDIR) {
      close(fd);
      throw new MydockerError(`open ${file}: is a directory`, {
        hint: `tar -C ${file} -c . | mydocker import - NAME`,
      });
    }
    return { fd, [Symbol.dispose]: () => close(fd) };
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(`open ${file}: ${errnoText(cause.errno)}`, { cause });
  }
}
