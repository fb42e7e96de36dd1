/**
 * Byte strings.
 *
 * Command lines, environments and file names are bytes to the kernel, not text. Everywhere above
 * this layer they travel as JavaScript strings in "surrogateescape" form (Python's PEP 383): valid
 * UTF-8 decodes as usual, and a byte 0x80–0xFF that is not part of valid UTF-8 becomes the lone
 * surrogate U+DC80–U+DCFF. The form survives JSON (`JSON.stringify` writes lone surrogates as
 * `\udcXX`), comparison and concatenation, and turns back into exactly the bytes that came in.
 */

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of `text`, without a terminator. Lone surrogates outside U+DC80–DCFF become U+FFFD. */
export function encodeBytes(text: string): Uint8Array {
  if (text.isWellFormed()) return encoder.encode(text);
  const parts: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code >= 0xdc80 && code <= 0xdcff) parts.push(code - 0xdc00);
    else parts.push(...encoder.encode(char));
  }
  return Uint8Array.from(parts);
}

/** Decodes bytes that may hold anything; the inverse of {@link encodeBytes}. */
export function decodeBytes(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return decodeEscaping(bytes);
  }
}

/** The length of the valid UTF-8 sequence at `at` (RFC 3629), or 0 when the byte there is not one. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  const length =
    lead >= 0xc2 && lead <= 0xdf ? 2 : lead >> 4 === 0xe ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1] as number;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) if (((bytes[at + i] as number) & 0xc0) !== 0x80) return 0;
  return length;
}

function decodeEscaping(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] as number));
      at += 1;
    } else {
      text += strictDecoder.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/**
 * A C string: the bytes of `text` and a NUL.
 * @throws {TypeError} when `text` holds a NUL, which C would take for its end.
 */
export function cString(text: string): Uint8Array {
  if (text.includes("\0"))
    throw new TypeError(`a NUL byte cannot be passed to the kernel: ${JSON.stringify(text)}`);
  if (text.isWellFormed()) return encoder.encode(`${text}\0`);
  const bytes = encodeBytes(text);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}
