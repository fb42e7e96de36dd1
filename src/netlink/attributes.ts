/** Netlink attributes: a type and a value each, which may be attributes again (linux/netlink.h, struct nlattr). */
import { cString, decodeBytes } from "../ffi/bytes.ts";

const NLA_F_NESTED = 0x8000;
/** What of a type is no flag. */
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 4;

/** A type and the bytes of its value. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Everything in a message starts at a multiple of 4 bytes. */
export const align = (length: number): number => (length + 3) & ~3;

/** A byte. */
export const u8 = (type: number, value: number): Attribute => ({
  type,
  value: Uint8Array.of(value),
});

/** 16 bits, in the machine's byte order. */
export const u16 = (type: number, value: number): Attribute => ({
  type,
  value: Uint8Array.of(value & 0xff, value >> 8),
});

/** 32 bits, in the machine's byte order. */
export function u32(type: number, value: number): Attribute {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return { type, value: bytes };
}

/** A text, with a NUL at its end. */
export const text = (type: number, value: string): Attribute => ({ type, value: cString(value) });

/** Bytes as they are. */
export const bytes = (type: number, value: Uint8Array): Attribute => ({ type, value });

/** Attributes in an attribute. @param header what stands before them */
export const nested = (
  type: number,
  attributes: readonly Attribute[],
  header: Uint8Array = new Uint8Array(0),
): Attribute => ({
  type: type | NLA_F_NESTED,
  value: concat([header, encodeAttributes(attributes)]),
});

/** Attributes as in a message, each padded. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const length = attributes.reduce((sum, { value }) => sum + align(HEADER + value.length), 0);
  const encoded = new Uint8Array(length);
  const view = new DataView(encoded.buffer);
  let at = 0;
  for (const { type, value } of attributes) {
    view.setUint16(at, HEADER + value.length, true);
    view.setUint16(at + 2, type, true);
    encoded.set(value, at + HEADER);
    at += align(HEADER + value.length);
  }
  return encoded;
}

/** Attributes by type; the last one of a type counts. @throws {Error} for a length that cannot be */
export function decodeAttributes(encoded: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  for (let at = 0; at + HEADER <= encoded.length; ) {
    const length = view.getUint16(at, true);
    if (length < HEADER || at + length > encoded.length) {
      throw new Error(`netlink: an attribute of ${length} bytes at ${at} of ${encoded.length}`);
    }
    found.set(
      view.getUint16(at + 2, true) & NLA_TYPE_MASK,
      encoded.subarray(at + HEADER, at + length),
    );
    at += align(length);
  }
  return found;
}

/** The number in an attribute of 1, 2 or 4 bytes; undefined without one. */
export function numberOf(value: Uint8Array | undefined): number | undefined {
  if (value === undefined) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length >= 4) return view.getUint32(0, true);
  return value.length >= 2 ? view.getUint16(0, true) : value[0];
}

/** The text in an attribute, without its NUL; undefined without one. */
export function textOf(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return decodeBytes(end === -1 ? value : value.subarray(0, end));
}

/** One after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
