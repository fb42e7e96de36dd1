/** Tar archives made by hand, also such as no archiver would write. */

const encoder = new TextEncoder();

/** A member. Strings are written as UTF-8; numbers in octal unless given as bytes or text. */
export interface Member {
  readonly name?: string | Uint8Array;
  readonly type?: string;
  readonly data?: string | Uint8Array;
  readonly link?: string | Uint8Array;
  readonly mode?: number;
  readonly uid?: number | string | Uint8Array;
  readonly gid?: number | string | Uint8Array;
  /** The length of `data`, unless the header shall lie. */
  readonly size?: number | string | Uint8Array;
  readonly mtime?: number | string | Uint8Array;
  readonly major?: number;
  readonly minor?: number;
  readonly magic?: string;
  readonly prefix?: string;
  /** The right one, unless the header shall lie. */
  readonly checksum?: string;
  /** Last changes to the header, before its checksum. */
  readonly patch?: (header: Uint8Array) => void;
}

const bytesOf = (value: string | Uint8Array) =>
  typeof value === "string" ? encoder.encode(value) : value;

/** A number that does not fit into octal: GNU's base-256. */
export function base256(value: bigint, length = 12): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = BigInt.asUintN(length * 8, value);
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0] = (bytes[0] as number) | 0x80;
  return bytes;
}

/** One member: header, data, and padding. */
export function member(options: Member): Uint8Array {
  const data = bytesOf(options.data ?? "");
  const header = new Uint8Array(512);
  const put = (at: number, length: number, value: string | Uint8Array) => {
    header.set(bytesOf(value).subarray(0, length), at);
  };
  const number = (at: number, length: number, value: number | string | Uint8Array) => {
    put(
      at,
      length,
      typeof value === "number" ? value.toString(8).padStart(length - 1, "0") : value,
    );
  };
  put(0, 100, options.name ?? "");
  number(100, 8, options.mode ?? 0o644);
  number(108, 8, options.uid ?? 0);
  number(116, 8, options.gid ?? 0);
  number(124, 12, options.size ?? data.length);
  number(136, 12, options.mtime ?? 1_700_000_000);
  put(156, 1, options.type ?? "0");
  put(157, 100, options.link ?? "");
  put(257, 8, options.magic ?? "ustar\x0000");
  number(329, 8, options.major ?? 0);
  number(337, 8, options.minor ?? 0);
  if (options.prefix !== undefined) put(345, 155, options.prefix);
  options.patch?.(header);
  put(148, 8, "        ");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, 8, options.checksum ?? `${sum.toString(8).padStart(6, "0")}\0 `);
  return concat([header, data, new Uint8Array((512 - (data.length % 512)) % 512)]);
}

/** One PAX record. */
export function paxRecord(key: string, value: string | Uint8Array): Uint8Array {
  const rest = concat([encoder.encode(` ${key}=`), bytesOf(value), encoder.encode("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return concat([encoder.encode(String(length)), rest]);
}

/** A PAX header for the next member, or (type "g") for all that follow. */
export function pax(
  records: readonly (readonly [key: string, value: string | Uint8Array])[],
  type = "x",
): Uint8Array {
  return member({ name: "pax", type, data: concat(records.map(([k, v]) => paxRecord(k, v))) });
}

/** GNU's long name (type "L") or long link target (type "K") for the next member. */
export function gnuLong(name: string | Uint8Array, type: "L" | "K" = "L"): Uint8Array {
  return member({
    name: "././@LongLink",
    type,
    magic: "ustar  \0",
    data: concat([bytesOf(name), Uint8Array.of(0)]),
  });
}

/** Members, and the two blocks of zeroes at the end. */
export function archive(...members: readonly (Member | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const parts = members.map((part) => (part instanceof Uint8Array ? part : member(part)));
  return concat([...parts, new Uint8Array(1024)]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
