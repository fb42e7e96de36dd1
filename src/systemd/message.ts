/** Messages of D-Bus as bytes (D-Bus Specification, "Type System" and "Message Protocol"). Little endian. Pure. */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";

/** A value by its signature: texts for `s`, `o` and `g`, arrays for arrays, structs and dict entries. */
export type Value = string | number | bigint | boolean | readonly Value[] | Variant;

/** A value that says what type it has. */
export interface Variant {
  readonly signature: string;
  readonly value: Value;
}

/** What a message is (its second byte). */
export const KIND = { call: 1, reply: 2, error: 3, signal: 4 } as const;

/** Header fields that have a meaning here. */
const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  error: 4,
  replySerial: 5,
  destination: 6,
  signature: 8,
} as const;

/** A call of a method. */
export interface Call {
  readonly serial: number;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Nobody but a bus needs it. */
  readonly destination?: string;
  readonly signature: string;
  readonly values: readonly Value[];
}

/** What came in. */
export interface Message {
  readonly kind: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  /** the name of an error */
  readonly error?: string;
  readonly replySerial?: number;
  readonly values: readonly Value[];
}

/** The most that is taken for a message: a multiple of what systemd says in one. */
const MOST = 1 << 24;
/** Up to the length of the array of header fields. */
const FIXED = 16;

/** A call's bytes. */
export function encodeCall(call: Call): Uint8Array {
  const body = new Writer();
  body.all(call.signature, call.values);
  const field = (code: number, signature: string, value: string): Value => [
    code,
    { signature, value },
  ];
  const fields: Value[] = [
    field(FIELD.path, "o", call.path),
    field(FIELD.interface, "s", call.interface),
    field(FIELD.member, "s", call.member),
  ];
  if (call.destination !== undefined) fields.push(field(FIELD.destination, "s", call.destination));
  if (call.signature !== "") fields.push(field(FIELD.signature, "g", call.signature));
  const message = new Writer();
  message.all("yyyyuua(yv)", [
    "l".charCodeAt(0),
    KIND.call,
    0,
    1,
    body.length,
    call.serial,
    fields,
  ]);
  message.align(8);
  message.bytes(body.take());
  return message.take();
}

/**
 * The first message in these bytes, and how many it takes; undefined as long as it is not all there.
 * @throws {Error} for what is no message
 */
export function decodeMessage(bytes: Uint8Array): { message: Message; length: number } | undefined {
  if (bytes.length < FIXED) return undefined;
  const reader = new Reader(bytes);
  const [order, kind, , version, bodyLength] = reader.all("yyyyuu") as number[];
  if (order !== 0x6c || version !== 1) throw new Error("no message of D-Bus");
  const headerLength = FIXED + new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true);
  const bodyAt = Math.ceil(headerLength / 8) * 8;
  const length = bodyAt + (bodyLength as number);
  if (length > MOST) throw new Error("a message of D-Bus that is too long");
  if (bytes.length < length) return undefined;
  const [list] = reader.all("a(yv)") as [[number, Variant][]];
  const fields = new Map(list.map(([code, { value }]) => [code, value]));
  const text = (code: number) => fields.get(code) as string | undefined;
  const [path, face, member, error] = [
    text(FIELD.path),
    text(FIELD.interface),
    text(FIELD.member),
    text(FIELD.error),
  ];
  const replySerial = fields.get(FIELD.replySerial) as number | undefined;
  const body = new Reader(bytes.subarray(bodyAt, length));
  const message: Message = {
    kind: kind as number,
    values: body.all(text(FIELD.signature) ?? ""),
    ...(path === undefined ? {} : { path }),
    ...(face === undefined ? {} : { interface: face }),
    ...(member === undefined ? {} : { member }),
    ...(error === undefined ? {} : { error }),
    ...(replySerial === undefined ? {} : { replySerial }),
  };
  return { message, length };
}

/** Bytes of numbers, which are also what they are aligned to. */
const SIZES: Readonly<Record<string, number>> = {
  y: 1,
  n: 2,
  q: 2,
  b: 4,
  i: 4,
  u: 4,
  h: 4,
  x: 8,
  t: 8,
  d: 8,
};

const alignmentOf = (type: string): number =>
  SIZES[type] ?? (type === "(" || type === "{" ? 8 : type === "g" || type === "v" ? 1 : 4);

/** The first complete type of a signature. @throws {Error} when there is none */
function firstType(signature: string): string {
  const type = signature[0];
  if (type === undefined) throw new Error("a signature of D-Bus that is cut off");
  if (type === "a") return `a${firstType(signature.slice(1))}`;
  if (type in SIZES || "sogv".includes(type)) return type;
  const end = { "(": ")", "{": "}" }[type];
  if (end === undefined) throw new Error(`D-Bus has no type ${JSON.stringify(type)}`);
  let at = 1;
  do
    at += firstType(signature.slice(at)).length; // there is at least one
  while (signature[at] !== end);
  return signature.slice(0, at + 1);
}

function* typesOf(signature: string): Generator<string> {
  for (let rest = signature; rest !== ""; ) {
    const type = firstType(rest);
    yield type;
    rest = rest.slice(type.length);
  }
}

class Writer {
  #buffer = new Uint8Array(256);
  length = 0;

  take(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  all(signature: string, values: readonly Value[]): void {
    let index = 0;
    for (const type of typesOf(signature)) this.#value(type, values[index++] as Value);
  }

  align(to: number): void {
    this.#reserve(Math.ceil(this.length / to) * to - this.length);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Makes room for zeros. @returns where they are */
  #reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#buffer.length) {
      const larger = new Uint8Array(this.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    return at;
  }

  #number(type: string, value: number | bigint): void {
    const size = SIZES[type] as number;
    this.align(size);
    const at = this.#reserve(size);
    const view = new DataView(this.#buffer.buffer);
    if (type === "d") view.setFloat64(at, Number(value), true);
    else if (size === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else if (size === 4) view.setUint32(at, Number(value), true);
    else if (size === 2) view.setUint16(at, Number(value), true);
    else view.setUint8(at, Number(value));
  }

  #text(lengthType: string, text: string): void {
    const bytes = encodeBytes(text);
    this.#number(lengthType, bytes.length);
    this.bytes(bytes);
    this.#reserve(1);
  }

  #value(type: string, value: Value): void {
    switch (type[0]) {
      case "s":
      case "o":
        this.#text("u", value as string);
        return;
      case "g":
        this.#text("y", value as string);
        return;
      case "v": {
        const variant = value as Variant;
        this.#text("y", variant.signature);
        this.all(variant.signature, [variant.value]);
        return;
      }
      case "a":
        this.#array(type.slice(1), value as readonly Value[]);
        return;
      case "(":
      case "{":
        this.align(8);
        this.all(type.slice(1, -1), value as readonly Value[]);
        return;
      default:
        this.#number(type, typeof value === "boolean" ? Number(value) : (value as number));
    }
  }

  /** Its length does not count what aligns the first element. */
  #array(type: string, values: readonly Value[]): void {
    this.#number("u", 0);
    const lengthAt = this.length - 4;
    this.align(alignmentOf(type[0] as string));
    const start = this.length;
    for (const value of values) this.#value(type, value);
    new DataView(this.#buffer.buffer).setUint32(lengthAt, this.length - start, true);
  }
}

class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  all(signature: string): Value[] {
    return [...typesOf(signature)].map((type) => this.#value(type));
  }

  #skipTo(alignment: number): void {
    this.#at = Math.ceil(this.#at / alignment) * alignment;
  }

  /** @throws {Error} past the end */
  #next(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > this.bytes.length) throw new Error("a message of D-Bus that is cut off");
    return at;
  }

  #number(type: string): number | bigint {
    const size = SIZES[type] as number;
    this.#skipTo(size);
    const at = this.#next(size);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    if (type === "d") return view.getFloat64(at, true);
    if (size === 8) return type === "x" ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
    if (size === 4) return type === "i" ? view.getInt32(at, true) : view.getUint32(at, true);
    if (size === 2) return type === "n" ? view.getInt16(at, true) : view.getUint16(at, true);
    return view.getUint8(at);
  }

  #text(lengthType: string): string {
    const length = this.#number(lengthType) as number;
    const at = this.#next(length + 1);
    return decodeBytes(this.bytes.subarray(at, at + length));
  }

  #value(type: string): Value {
    switch (type[0]) {
      case "s":
      case "o":
        return this.#text("u");
      case "g":
        return this.#text("y");
      case "b":
        return this.#number("b") !== 0;
      case "v": {
        const signature = this.#text("y");
        const [value] = this.all(signature);
        return { signature, value: value as Value };
      }
      case "a": {
        const length = this.#number("u") as number;
        this.#skipTo(alignmentOf(type[1] as string));
        const end = this.#at + length;
        const values: Value[] = [];
        while (this.#at < end) values.push(this.#value(type.slice(1)));
        return values;
      }
      case "(":
      case "{":
        this.#skipTo(8);
        return this.all(type.slice(1, -1));
      default:
        return this.#number(type);
    }
  }
}
