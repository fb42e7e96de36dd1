/** PAX extended headers: pax(1), "pax Extended Header". */
import { decodeBytes } from "../ffi/bytes.ts";
import { TarError } from "./tar_header.ts";

/** Records by keyword, in order, as bytes: a keyword may occur more than once (GNU sparse 0.0). */
export type PaxRecords = readonly (readonly [key: string, value: Uint8Array])[];

/**
 * Splits `LENGTH KEY=VALUE\n` records.
 * @param at where the header is in the archive, for messages
 * @throws {TarError}
 */
export function parsePax(data: Uint8Array, at: number): PaxRecords {
  const bad = () =>
    new TarError(`the tar archive is damaged: bad PAX record in the header at byte ${at}`);
  const records: [string, Uint8Array][] = [];
  for (let start = 0; start < data.length; ) {
    // GNU tar and star pad with NULs now and then.
    if (data[start] === 0 && data.subarray(start).every((byte) => byte === 0)) break;
    let length = 0;
    let i = start;
    for (; i < data.length && data[i] !== 0x20; i++) {
      const digit = (data[i] as number) - 0x30;
      if (digit < 0 || digit > 9 || length > data.length) throw bad();
      length = length * 10 + digit;
    }
    const end = start + length;
    const equals = data.indexOf(0x3d, i);
    if (i === start || end > data.length || equals === -1 || equals >= end || equals === i + 1)
      throw bad();
    if (data[end - 1] !== 0x0a) throw bad();
    records.push([decodeBytes(data.subarray(i + 1, equals)), data.slice(equals + 1, end - 1)]);
    start = end;
  }
  return records;
}

/** A record's value as a decimal integer. @throws {TarError} */
export function paxInteger(value: Uint8Array, key: string, at: number): number {
  const text = decodeBytes(value);
  const number = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(number))
    throw new TarError(`the tar archive is damaged: bad PAX ${key} in the header at byte ${at}`);
  return number;
}

/** A time `[-]SECONDS[.FRACTION]` with nanoseconds ≥ 0, as timespec counts. @throws {TarError} */
export function paxTime(
  value: Uint8Array,
  key: string,
  at: number,
): { seconds: number; nanoseconds: number } {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(decodeBytes(value));
  const seconds = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(seconds))
    throw new TarError(`the tar archive is damaged: bad PAX ${key} in the header at byte ${at}`);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** A record's value as a path: bytes without NUL. @throws {TarError} */
export function paxPath(value: Uint8Array, key: string, at: number): string {
  if (value.includes(0))
    throw new TarError(`the tar archive is damaged: NUL in PAX ${key} in the header at byte ${at}`);
  return decodeBytes(value);
}
