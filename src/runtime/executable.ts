/** Finding the container's command, and saying why it does not start. Runs inside the container's root. */
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { errnoCode, errnoText } from "../ffi/errno.ts";
import { close, O, open, read } from "../linux/fd.ts";
import { S_IFDIR, S_IFMT, S_IFREG, type Stat, statIfExists } from "../linux/file.ts";
import { quote } from "../quote.ts";

/** Why a command cannot be run, and the exit code for it: 127 not found, 126 found but not runnable. */
export interface ExecProblem {
  readonly problem: string;
  readonly exitCode: 126 | 127;
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Looks a command up as execvp(3) does, in the PATH that the container's environment gives. */
export function findExecutable(
  command: string,
  env: readonly string[],
): { path: string } | ExecProblem {
  if (command === "") return { problem: "the command is an empty string", exitCode: 127 };
  if (command.includes("/")) return { path: command };
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH;
  let refused: string | undefined;
  for (const directory of path.split(":")) {
    const candidate = `${directory || "."}/${command}`;
    const found = statUnlessDenied(candidate);
    if (found === undefined || (found.mode & S_IFMT) !== S_IFREG) continue;
    if ((found.mode & 0o111) !== 0) return { path: candidate };
    refused ??= candidate;
  }
  if (refused !== undefined)
    return {
      problem: `exec ${refused}: permission denied: not executable (mode lacks x)`,
      exitCode: 126,
    };
  return {
    problem: `exec: ${quote(command)}: executable file not found in $PATH`,
    exitCode: 127,
  };
}

const MACHINES: Readonly<Record<number, string>> = {
  3: "i386",
  8: "mips",
  20: "ppc",
  21: "ppc64",
  22: "s390x",
  40: "arm",
  62: "x86-64",
  183: "arm64",
  243: "riscv",
};
const OWN_MACHINE = process.arch === "arm64" ? 183 : 62;

/** execvp(3) goes on to the next directory of PATH when it may not look into one. */
function statUnlessDenied(path: string): Stat | undefined {
  try {
    return statIfExists(path);
  } catch (error) {
    if (isErrno(error, "EACCES", "ELOOP", "ENAMETOOLONG")) return undefined;
    throw error;
  }
}

/** What is known of a command from its file, before it is tried. */
export interface Outlook {
  /** why it will not work */
  readonly problem?: string;
  readonly exitCode: 126 | 127;
  /** It need not be tried. */
  readonly hopeless?: boolean;
  /** what an error of execve(2) is said of, if there is no problem to see */
  readonly subject: string;
  /** neither ELF nor a script */
  readonly unknownFormat?: boolean;
}

/**
 * Looks at a command's file for what may be wrong: mode, shebang, line ends, architecture, ELF
 * interpreter. What leads to mydocker itself, which the caller still is, is refused (trampoline.ts).
 */
export function examine(path: string): Outlook {
  const subject = `exec ${path}`;
  const hopeless = (why: string, exitCode: 126 | 127 = 126): Outlook => ({
    subject,
    problem: `${subject}: ${why}`,
    exitCode,
    hopeless: true,
  });
  let file: Stat | undefined;
  try {
    file = statIfExists(path);
  } catch (denied) {
    if (isErrno(denied, "ELOOP", "ENAMETOOLONG")) return hopeless(errnoText(denied.errno));
    if (!isErrno(denied, "EACCES")) throw denied;
    return hopeless("permission denied: this user may not look into a directory on the way to it");
  }
  if (file === undefined) return hopeless("no such file or directory", 127);
  if (isOwn(file)) return hopeless(LEADS_TO_US);
  if ((file.mode & S_IFMT) === S_IFDIR) return hopeless("permission denied: is a directory");
  if ((file.mode & S_IFMT) !== S_IFREG) return hopeless("permission denied: not a regular file");
  if ((file.mode & 0o111) === 0)
    return hopeless("permission denied: not executable (mode lacks x)");
  const head = readHead(path);
  if (head === undefined) return { subject, exitCode: 126 };
  if (head[0] === 0x23 && head[1] === 0x21) return examineScript(subject, head);
  if (head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46)
    return examineElf(subject, head);
  return { subject, exitCode: 126, unknownFormat: true };
}

const LEADS_TO_US = "permission denied: it leads to mydocker itself";

function isOwn(file: Stat | undefined): boolean {
  if (file === undefined || (file.mode & S_IFMT) !== S_IFREG) return false;
  const own = statUnlessDenied("/proc/self/exe");
  return (
    own !== undefined &&
    file.ino === own.ino &&
    file.devMajor === own.devMajor &&
    file.devMinor === own.devMinor
  );
}

function examineScript(subject: string, head: Uint8Array): Outlook {
  const line = decodeBytes(head.subarray(2, Math.max(2, head.indexOf(10)))).trimStart();
  const interpreter = line.split(/[ \t]/)[0] ?? "";
  const bad = `${subject}: bad interpreter`;
  if (interpreter.endsWith("\r")) {
    const problem = `${bad} ${quote(interpreter)}: the script has Windows line ends (CRLF); convert it with dos2unix`;
    return { subject, exitCode: 126, problem };
  }
  const file = statUnlessDenied(interpreter);
  const named = { subject: `${bad}: ${interpreter}`, exitCode: 126 } as const;
  if (file === undefined)
    return { ...named, problem: `${named.subject}: no such file or directory` };
  if (isOwn(file)) return { ...named, problem: `${subject}: ${LEADS_TO_US}`, hopeless: true };
  return named;
}

function examineElf(subject: string, head: Uint8Array): Outlook {
  const found = (why: string): Outlook => ({
    subject,
    exitCode: 126,
    problem: `${subject}: ${why}`,
  });
  const machine = (head[18] ?? 0) | ((head[19] ?? 0) << 8);
  if (machine !== OWN_MACHINE)
    return found(
      `wrong architecture: the file is for ${MACHINES[machine] ?? `machine ${machine}`}, this host is ${MACHINES[OWN_MACHINE]}`,
    );
  const interpreter = elfInterpreter(head);
  if (interpreter === undefined) return { subject, exitCode: 126 };
  const file = statUnlessDenied(interpreter);
  if (file === undefined)
    return found(
      `missing ELF interpreter ${interpreter}: the file is linked against a libc that this image does not have`,
    );
  return isOwn(file) ? { ...found(LEADS_TO_US), hopeless: true } : { subject, exitCode: 126 };
}

/** Says why a command could not be executed. @param errno of execve(2), negated or not */
export function explainExec(
  { problem, exitCode, subject, unknownFormat }: Outlook,
  errno: number,
): ExecProblem {
  if (problem !== undefined) return { problem, exitCode };
  const number = Math.abs(errno);
  const why =
    unknownFormat === true && errnoCode(number) === "ENOEXEC"
      ? "exec format error: neither an ELF file nor a script with a #! line"
      : errnoText(number);
  return { problem: `${subject}: ${why}`, exitCode };
}

function readHead(path: string): Uint8Array | undefined {
  try {
    const fd = open(path, O.O_RDONLY | O.O_NONBLOCK);
    try {
      const buffer = new Uint8Array(4096);
      return buffer.subarray(0, read(fd, buffer));
    } finally {
      close(fd);
    }
  } catch {
    return undefined; // not readable: the caller still has the errno of execve
  }
}

/** PT_INTERP of a 64-bit ELF file (elf(5)), when it lies in the first 4096 bytes. */
function elfInterpreter(head: Uint8Array): string | undefined {
  if (head[4] !== 2 || head.length < 64) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const table = Number(view.getBigUint64(32, true));
  const [entrySize, count] = [view.getUint16(54, true), view.getUint16(56, true)];
  for (let i = 0; i < count; i++) {
    const at = table + i * entrySize;
    if (at + 56 > head.length) return undefined;
    if (view.getUint32(at, true) !== 3) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const size = Number(view.getBigUint64(at + 32, true));
    if (offset + size > head.length || size === 0) return undefined;
    return decodeBytes(head.subarray(offset, offset + size - 1));
  }
  return undefined;
}
