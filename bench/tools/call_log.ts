/**
 * Which kernel calls a program made when, in a file that it shares with its forked child: records
 * of the program from the start of the file, of the child from its middle.
 */

/** One kernel call that has returned, or a mark. */
export interface LoggedCall {
  /** When it had returned, by the program's performance.now(). */
  readonly time: number;
  /** The call and what it was about: `open /etc/passwd`. */
  readonly text: string;
}

const RECORD = 128;
const TEXT = RECORD - 8;
const RECORDS = 2000;
/** The size of the file. */
export const LOG_SIZE = 2 * RECORDS * RECORD;

/** Writes records. The time that this takes is part of what is measured. */
export class CallLogWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #encoder = new TextEncoder();
  #next = 0;

  /** @param memory the mapped file */
  constructor(memory: Uint8Array) {
    this.#bytes = memory;
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  }

  add(time: number, text: string): void {
    const at = this.#next * RECORD;
    this.#next++;
    this.#view.setFloat64(at, time);
    this.#encoder.encodeInto(text, this.#bytes.subarray(at + 8, at + 8 + TEXT));
  }

  /** From now on this is the child. */
  switchToChild(): void {
    this.#next = RECORDS;
  }
}

/** Reads what a program and its child wrote. */
export function readCallLog(bytes: Uint8Array): { parent: LoggedCall[]; child: LoggedCall[] } {
  const middle = RECORDS * RECORD;
  return { parent: readRecords(bytes, 0), child: readRecords(bytes, middle) };
}

function readRecords(bytes: Uint8Array, from: number): LoggedCall[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const calls: LoggedCall[] = [];
  for (let at = from; at < from + RECORDS * RECORD; at += RECORD) {
    const time = view.getFloat64(at);
    if (time === 0) break;
    const text = new TextDecoder().decode(bytes.subarray(at + 8, at + RECORD));
    calls.push({ time, text: text.replace(/\0+$/, "") });
  }
  return calls;
}
