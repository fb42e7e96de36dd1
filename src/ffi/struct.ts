/** C structs, declared: the only place that computes offsets. Layout rules of the x86-64 and AArch64 psABIs. */

const sizes = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, u64: 8, i64: 8, ptr: 8 } as const;

/** A scalar, or an array of `count` bytes. */
export type FieldType = keyof typeof sizes | { readonly bytes: number };

/** A declared struct: its size and offsets in bytes, and accessors over a buffer that holds it. */
export interface Struct<F extends Record<string, FieldType>> {
  readonly size: number;
  readonly offsets: Readonly<Record<keyof F, number>>;
  /** A zeroed buffer of `count` structs. */
  alloc(count?: number): Uint8Array;
  /** Reads a scalar of struct number `index`; 64-bit values as numbers (exact to 2^53). */
  get(buffer: Uint8Array, field: keyof F, index?: number): number;
  /** Writes a scalar of struct number `index`. */
  set(buffer: Uint8Array, field: keyof F, value: number | bigint, index?: number): void;
}

/** What the high half of a 64-bit value counts for. */
const HIGH = 2 ** 32;

/** Declares a struct by its fields in order, with natural alignment. */
export function defineStruct<const F extends Record<string, FieldType>>(fields: F): Struct<F> {
  const offsets = {} as Record<keyof F, number>;
  let end = 0;
  let alignment = 1;
  for (const [name, type] of Object.entries(fields)) {
    const size = typeof type === "string" ? sizes[type] : type.bytes;
    const align = typeof type === "string" ? size : 1;
    end = Math.ceil(end / align) * align;
    offsets[name as keyof F] = end;
    end += size;
    alignment = Math.max(alignment, align);
  }
  const size = Math.ceil(end / alignment) * alignment;
  const view = (buffer: Uint8Array) =>
    new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return {
    size,
    offsets,
    alloc: (count = 1) => new Uint8Array(size * count),
    get(buffer, field, index = 0) {
      const at = index * size + offsets[field];
      const data = view(buffer);
      switch (fields[field]) {
        case "u8":
          return data.getUint8(at);
        case "i8":
          return data.getInt8(at);
        case "u16":
          return data.getUint16(at, true);
        case "i16":
          return data.getInt16(at, true);
        case "u32":
          return data.getUint32(at, true);
        case "i32":
          return data.getInt32(at, true);
        case "i64":
          return Number(data.getBigInt64(at, true));
        default:
          // Not getBigUint64: a number is exact to 2^53 and makes no object.
          return data.getUint32(at, true) + data.getUint32(at + 4, true) * HIGH;
      }
    },
    set(buffer, field, value, index = 0) {
      const at = index * size + offsets[field];
      const data = view(buffer);
      switch (fields[field]) {
        case "u8":
        case "i8":
          data.setUint8(at, Number(value));
          break;
        case "u16":
        case "i16":
          data.setUint16(at, Number(value), true);
          break;
        case "u32":
        case "i32":
          data.setUint32(at, Number(value) >>> 0, true);
          break;
        default:
          if (typeof value === "number" && value >= 0) {
            data.setUint32(at, value % HIGH, true);
            data.setUint32(at + 4, Math.floor(value / HIGH), true);
          } else {
            data.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
          }
      }
    },
  };
}
