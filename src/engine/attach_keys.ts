/** Keys that end being attached, and nothing else: `ctrl-p,ctrl-q` (github.com/moby/term, ToBytes). */
import { MydockerError } from "../errors.ts";

/** Docker's. */
export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** Bytes of a list of keys. @throws {MydockerError} for what is no key */
export function parseDetachKeys(text: string): Uint8Array {
  return Uint8Array.from(
    text.split(",").flatMap((key) => {
      if (key.length === 1 && key.charCodeAt(0) < 0x80) return [key.charCodeAt(0)];
      const [, character = ""] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? [];
      if (character === "")
        throw new MydockerError(`Unknown character: '${key}'`, { exitCode: 125 });
      return [character.toLowerCase().charCodeAt(0) & 0x1f];
    }),
  );
}

/** Looks for the keys in what is typed, however it is cut. */
export class DetachKeys {
  readonly #keys: Uint8Array;
  #matched = 0;

  /** @param keys none: they are never found */
  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** @returns what of the input is to be passed on, and whether the keys came then */
  filter(input: Uint8Array): { readonly passed: Uint8Array; readonly detached: boolean } {
    if (this.#keys.length === 0) return { passed: input, detached: false };
    const passed: number[] = [];
    for (const byte of input) {
      if (byte !== this.#keys[this.#matched]) {
        passed.push(...this.#keys.subarray(0, this.#matched)); // they were only typed
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) {
        passed.push(byte);
      } else if (++this.#matched === this.#keys.length) {
        this.#matched = 0;
        return { passed: Uint8Array.from(passed), detached: true };
      }
    }
    return { passed: Uint8Array.from(passed), detached: false };
  }
}
