/** The caller's terminal while a container's terminal is shown on it. */
import { getAttributes, rawMode, setAttributes, type Termios } from "../linux/tty.ts";
import { Guardian } from "./guardian.ts";

/**
 * Raw mode, taken back on dispose. A guardian takes it back when we are killed: a shell whose
 * terminal stays raw is of no use to anybody.
 */
export class RawTerminal implements Disposable {
  readonly #fd: number;
  readonly #saved: Termios;
  readonly #guardian: Guardian | undefined;
  #restored = false;

  /** @param fd a terminal */
  constructor(fd: number) {
    this.#fd = fd;
    const saved = getAttributes(fd);
    this.#saved = saved;
    this.#guardian = Guardian.start(() => setAttributes(0, saved), fd);
    setAttributes(fd, rawMode(saved));
  }

  [Symbol.dispose](): void {
    if (this.#restored) return;
    this.#restored = true;
    try {
      setAttributes(this.#fd, this.#saved);
    } catch {
      // The terminal is gone, and with it the need to restore it.
    }
    this.#guardian?.dismiss();
  }
}
