/**
 * One 512-byte tar header: pax(1) "ustar Interchange Format", tar(5), and GNU tar's manual
 * ("Basic Tar Format", "Storing Sparse Files").
 */

import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { quote } from "../quote.ts";

/** Bytes that are no tar archive, or one that we refuse. */
export class TarError extends MydockerError {
  override readonly name = "TarError";
}

export const BLOCK = 512;

/** A name for a message: quoted, and not longer than a line or two whatever the archive says. */
export function quoteName(name: string): string {
  return quote(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

/** A header's fields as they are written, before PAX and GNU extensions change them. */
export interface RawHeader {
  readonly type: string;
  readonly path: string;
  readonly linkTarget: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow. */
  readonly size: number;
  /** seconds since 1970 */
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

const MAGIC_AT = 257;
const isMagic = (block: Uint8Array, text: string) => {
  for (let i = 0; i < text.length; i++)
    if (block[MAGIC_AT + i] !== text.charCodeAt(i)) return false;
  return true;
};

/** True for a block of zeroes: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

/**
 * Decodes a header block.
 * @param at where the block is in the archive, for messages
 * @throws {TarError}
 */
export function decodeHeader(block: Uint8Array, at: number): RawHeader {
  checkSum(block, at);
  const ustar = isMagic(block, "ustar\0");
  const number = (field: string, start: number, length: number) =>
    parseNumber(block.subarray(start, start + length), field, at);
  const prefix = ustar ? text(block, 345, 155) : "";
  const name = text(block, 0, 100);
  const device = ustar || isMagic(block, "ustar ");
  return {
    type: String.fromCharCode(block[156] as number),
    path: prefix === "" ? name : `${prefix}/${name}`,
    linkTarget: text(block, 157, 100),
    mode: number("mode", 100, 8),
    uid: number("uid", 108, 8),
    gid: number("gid", 116, 8),
    size: number("size", 124, 12),
    mtime: number("mtime", 136, 12),
    devMajor: device ? number("device number", 329, 8) : 0,
    devMinor: device ? number("device number", 337, 8) : 0,
  };
}

/** Bytes up to the first NUL. */
function text(block: Uint8Array, start: number, length: number): string {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return decodeBytes(block.subarray(start, end));
}

/** The sum of the header's bytes with the checksum field as spaces; old tars summed signed bytes. */
function checkSum(block: Uint8Array, at: number): void {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] as number);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const expected = parseOctal(block.subarray(148, 156));
  if (expected === undefined || (expected !== unsigned && expected !== signed))
    throw new TarError(
      `this is no tar archive, or a damaged one: bad header checksum at byte ${at}`,
    );
}

/** Octal digits between spaces and NULs, or undefined. */
function parseOctal(field: Uint8Array): number | undefined {
  let i = 0;
  while (i < field.length && (field[i] === 0x20 || field[i] === 0)) i++;
  let value = 0;
  for (; i < field.length; i++) {
    const byte = field[i] as number;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + byte - 0x30;
  }
  for (; i < field.length; i++) if (field[i] !== 0x20 && field[i] !== 0) return undefined;
  return value;
}

/**
 * A number of a header: octal, or big-endian two's complement with the top bit set ("base-256",
 * GNU and star).
 * @throws {TarError} when it is neither, or beyond 2^53
 */
export function parseNumber(field: Uint8Array, what: string, at: number): number {
  const first = field[0] as number;
  let value: number | undefined;
  if ((first & 0x80) === 0) value = parseOctal(field);
  else {
    const negative = (first & 0x40) !== 0;
    // Inverting the bytes of a negative number keeps the sum exact.
    value = 0;
    for (let i = 0; i < field.length; i++) {
      const byte = i === 0 ? (first & 0x7f) | (negative ? 0x80 : 0) : (field[i] as number);
      value = value * 256 + (negative ? ~byte & 0xff : byte);
    }
    if (negative) value = -1 - value;
  }
  if (value === undefined || !Number.isSafeInteger(value))
    throw new TarError(`the tar archive is damaged: bad ${what} in the header at byte ${at}`);
  return value;
}
