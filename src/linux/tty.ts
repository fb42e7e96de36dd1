/** Terminals: termios(3), window sizes, pseudoterminals (pts(4), ioctl_tty(2)). */
import { check } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";

const TCGETS = 0x5401;
const TCSETSW = 0x5403;
const TIOCSCTTY = 0x540e;
const TIOCGPGRP = 0x540f;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;

/** The kernel's struct termios, kept as the bytes it is so that it can be restored exactly. */
export type Termios = Uint8Array;

/** isatty(3). */
export function isTerminal(fd: number): boolean {
  return libc.ioctl(fd, TCGETS, new Uint8Array(64)) === 0;
}

/** tcgetattr(3). */
export function getAttributes(fd: number): Termios {
  const termios = new Uint8Array(64);
  check("ioctl TCGETS", { fd }, libc.ioctl(fd, TCGETS, termios));
  return termios;
}

/** tcsetattr(3) with TCSADRAIN: after what was written has been shown. */
export function setAttributes(fd: number, termios: Termios): void {
  check("ioctl TCSETSW", { fd }, libc.ioctl(fd, TCSETSW, termios));
}

/** Raw mode, as cfmakeraw(3) defines it. @returns a changed copy */
export function rawMode(termios: Termios): Termios {
  const raw = termios.slice();
  const flags = new Uint32Array(raw.buffer, 0, 4); // c_iflag, c_oflag, c_cflag, c_lflag
  flags[0] = (flags[0] as number) & ~0o2753; // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  flags[1] = (flags[1] as number) & ~1; // OPOST
  flags[2] = ((flags[2] as number) & ~0o460) | 0o60; // CSIZE PARENB → CS8
  flags[3] = (flags[3] as number) & ~0o100113; // ECHO ECHONL ICANON ISIG IEXTEN
  raw[C_CC + VMIN] = 1;
  raw[C_CC + VTIME] = 0;
  return raw;
}

/** ISIG of c_lflag, and places in c_cc (termios(3), asm-generic/termbits.h). */
const ISIG = 1;
const C_LFLAG = 3;
const C_CC = 17;
const VINTR = 0;
const VQUIT = 1;
const VTIME = 5;
const VMIN = 6;

/** The characters for which a terminal sends SIGINT and SIGQUIT; undefined when it sends none. */
export function signalCharacters(fd: number): { interrupt: number; quit: number } | undefined {
  const termios = getAttributes(fd);
  if (((new Uint32Array(termios.buffer, 0, 4)[C_LFLAG] as number) & ISIG) === 0) return undefined;
  return {
    interrupt: termios[C_CC + VINTR] as number,
    quit: termios[C_CC + VQUIT] as number,
  };
}

/** tcgetpgrp(3): who gets a terminal's signals. Also of a master, whosever terminal it is. */
export function foregroundGroup(fd: number): number {
  const group = new Uint8Array(4);
  check("ioctl TIOCGPGRP", { fd }, libc.ioctl(fd, TIOCGPGRP, group));
  return new Int32Array(group.buffer)[0] as number;
}

/** struct winsize: rows, columns, pixels; 8 bytes. */
export function getWindowSize(fd: number): Uint8Array | undefined {
  const size = new Uint8Array(8);
  return libc.ioctl(fd, TIOCGWINSZ, size) === 0 ? size : undefined;
}

/** struct winsize of so many characters. */
export function windowSizeOf({ height, width }: { height: number; width: number }): Uint8Array {
  return new Uint8Array(Uint16Array.of(height, width, 0, 0).buffer);
}

/** TIOCSWINSZ (ioctl_tty(2)). @param size struct winsize */
export function setWindowSize(fd: number, size: Uint8Array): void {
  check("ioctl TIOCSWINSZ", { fd }, libc.ioctl(fd, TIOCSWINSZ, size));
}

/** unlockpt(3) on a pseudoterminal's master. */
export function unlockTerminal(master: number): void {
  check("ioctl TIOCSPTLCK", { fd: master }, libc.ioctl(master, TIOCSPTLCK, new Uint8Array(4)));
}

/** Opens the slave by its master, not by a path that something could have put in its place (CVE-2025-52565). */
export function openPeer(master: number): number {
  const O_RDWR_NOCTTY_CLOEXEC = 2 | 0o400 | 0o2000000;
  return check(
    "ioctl TIOCGPTPEER",
    { fd: master },
    libc.ioctl_int(master, TIOCGPTPEER, O_RDWR_NOCTTY_CLOEXEC),
  );
}

/** Makes a terminal the controlling one of the calling session leader. */
export function setControllingTerminal(fd: number): void {
  check("ioctl TIOCSCTTY", { fd }, libc.ioctl_int(fd, TIOCSCTTY, 0));
}
