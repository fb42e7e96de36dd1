/**
 * Writes a tar archive as it comes: ustar headers, and PAX records (pax(1), "pax Extended Header")
 * for what does not fit into them. The same members make the same bytes: nothing of the time, the
 * machine or the order of calls gets in. Holes are written as zeroes, which every reader knows.
 */
import { encodeBytes } from "../ffi/bytes.ts";
import type { TarEntry, TarEntryType, TarSink } from "./tar_entry.ts";
import { BLOCK, TarError } from "./tar_header.ts";

const TYPE: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** Fields of a header: where, and how many bytes. */
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const UID = [108, 8] as const;
const GID = [116, 8] as const;
const SIZE = [124, 12] as const;
const MTIME = [136, 12] as const;
const CHECKSUM_AT = 148;
const TYPE_AT = 156;
const LINK = [157, 100] as const;
const MAGIC_AT = 257;
const DEV_MAJOR = [329, 8] as const;
const DEV_MINOR = [337, 8] as const;
const PREFIX = [345, 155] as const;
type Field = readonly [at: number, length: number];

const ZEROES = new Uint8Array(65536);
/** What is gathered before it is handed on, in bytes: many members are smaller than their header. */
const GATHERED = 262_144;

type PaxRecord = readonly [key: string, value: string | Uint8Array];

/** Members in, bytes out. What it hands on is not kept, and has to be used before the call returns. */
export class TarWriter implements TarSink {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #gathered = new Uint8Array(GATHERED);
  #filled = 0;
  #size = 0;
  #position = 0;
  /** Bytes of the archive until now. */
  length = 0;

  /** @param write takes the next bytes of the archive */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  entry(entry: TarEntry): void {
    const path = entry.type === "directory" ? `${entry.path.replace(/\/+$/, "")}/` : entry.path;
    const { block, records } = encodeHeader({ ...entry, path });
    if (records.length > 0) this.#putPax(path, records);
    this.#put(block);
    this.#size = entry.type === "file" ? entry.size : 0;
    this.#position = 0;
  }

  data(bytes: Uint8Array, offset: number): void {
    if (offset < this.#position || offset + bytes.length > this.#size)
      throw new RangeError(`data at ${offset} does not belong into a member of ${this.#size}`);
    this.#putZeroes(offset - this.#position);
    this.#put(bytes);
    this.#position = offset + bytes.length;
  }

  endFile(): void {
    this.#putZeroes(this.#size - this.#position);
    this.#putZeroes((BLOCK - (this.#size % BLOCK)) % BLOCK);
  }

  /** Ends the archive. */
  finish(): void {
    this.#putZeroes(2 * BLOCK);
    this.#flush();
  }

  #putPax(path: string, records: readonly PaxRecord[]): void {
    const content = Buffer.concat(records.map(([key, value]) => encodeRecord(key, value)));
    const base = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
    const name = `PaxHeaders.0/${base.replace(/[^\x20-\x7e]/g, "_").slice(0, 80)}`;
    const block = newBlock("x");
    putText(block, NAME, name);
    for (const field of [UID, GID, MTIME]) putOctal(block, field, 0);
    putOctal(block, MODE, 0o644);
    putOctal(block, SIZE, content.length);
    putChecksum(block);
    this.#put(block);
    this.#put(content);
    this.#putZeroes((BLOCK - (content.length % BLOCK)) % BLOCK);
  }

  #putZeroes(count: number): void {
    for (let left = count; left > 0; left -= ZEROES.length)
      this.#put(left < ZEROES.length ? ZEROES.subarray(0, left) : ZEROES);
  }

  #put(bytes: Uint8Array): void {
    this.length += bytes.length;
    if (this.#filled + bytes.length > GATHERED) this.#flush();
    if (bytes.length >= GATHERED / 2) {
      this.#flush();
      this.#write(bytes);
      return;
    }
    this.#gathered.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #flush(): void {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0) this.#write(this.#gathered.subarray(0, filled));
  }
}

interface Encoded {
  readonly block: Uint8Array;
  readonly records: readonly PaxRecord[];
}

function encodeHeader(entry: TarEntry): Encoded {
  const records: PaxRecord[] = [];
  const block = newBlock(TYPE[entry.type]);
  putPath(block, entry.path, records);
  if (!putText(block, LINK, entry.linkTarget)) records.push(["linkpath", entry.linkTarget]);
  putOctal(block, MODE, entry.mode & 0o7777);
  const size = entry.type === "file" ? entry.size : 0;
  for (const [field, key, value] of [
    [UID, "uid", entry.uid],
    [GID, "gid", entry.gid],
    [SIZE, "size", size],
  ] as const) {
    if (!putOctal(block, field, value)) records.push([key, String(value)]);
  }
  const fits = putOctal(block, MTIME, entry.mtime);
  if (!fits || entry.mtimeNanoseconds !== 0) records.push(["mtime", encodeTime(entry)]);
  const isDevice = entry.type === "character" || entry.type === "block";
  for (const [field, value] of [
    [DEV_MAJOR, entry.devMajor],
    [DEV_MINOR, entry.devMinor],
  ] as const) {
    if (!putOctal(block, field, isDevice ? value : 0))
      throw new TarError(`a tar archive has no room for the device number ${value}`);
  }
  const xattrs = entry.xattrs.toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value] of xattrs) records.push([`SCHILY.xattr.${name}`, value]);
  putChecksum(block);
  return { block, records };
}

function newBlock(type: string): Uint8Array {
  const block = new Uint8Array(BLOCK);
  block[TYPE_AT] = type.charCodeAt(0);
  block.set(encodeBytes("ustar\x0000"), MAGIC_AT);
  return block;
}

/** A name that is ASCII fits as it is, or in two parts (pax(1), "prefix"); any other is a record. */
function putPath(block: Uint8Array, path: string, records: PaxRecord[]): void {
  if (putText(block, NAME, path)) return;
  if (/^[\x20-\x7e]*$/.test(path) && path.length <= NAME[1] + 1 + PREFIX[1]) {
    const slash = path.lastIndexOf("/", PREFIX[1]);
    const rest = path.length - slash - 1;
    if (slash > 0 && rest > 0 && rest <= NAME[1]) {
      putText(block, PREFIX, path.slice(0, slash));
      block.fill(0, NAME[0], NAME[0] + NAME[1]);
      putText(block, NAME, path.slice(slash + 1));
      return;
    }
  }
  records.unshift(["path", path]);
}

/** @returns false for what is not printable ASCII, or too long: then a part of it is there, for readers without PAX */
function putText(block: Uint8Array, [at, length]: Field, text: string): boolean {
  const fits = /^[\x20-\x7e]*$/.test(text) && text.length <= length;
  const shown = fits ? text : text.replace(/[^\x20-\x7e]/g, "_").slice(0, length);
  for (let i = 0; i < shown.length; i++) block[at + i] = shown.charCodeAt(i);
  return fits;
}

/** Octal digits and a NUL. @returns false for what does not fit: then there is a zero */
function putOctal(block: Uint8Array, [at, length]: Field, value: number): boolean {
  const fits = value >= 0 && value < 8 ** (length - 1);
  const digits = (fits ? value : 0).toString(8).padStart(length - 1, "0");
  for (let i = 0; i < digits.length; i++) block[at + i] = digits.charCodeAt(i);
  return fits;
}

function putChecksum(block: Uint8Array): void {
  block.fill(0x20, CHECKSUM_AT, CHECKSUM_AT + 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  const digits = `${sum.toString(8).padStart(6, "0")}\0`;
  for (let i = 0; i < digits.length; i++) block[CHECKSUM_AT + i] = digits.charCodeAt(i);
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function encodeRecord(key: string, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === "string" ? encodeBytes(value) : value;
  const name = encodeBytes(` ${key}=`);
  const rest = name.length + bytes.length + 1;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.concat([encodeBytes(String(length)), name, bytes, Uint8Array.of(0x0a)]);
}

/** Seconds with a fraction; one before 1970 counts away from zero, unlike timespec. */
function encodeTime({ mtime, mtimeNanoseconds }: TarEntry): string {
  if (mtimeNanoseconds === 0) return String(mtime);
  const isBefore = mtime < 0;
  const seconds = isBefore ? -mtime - 1 : mtime;
  const nanoseconds = isBefore ? 1_000_000_000 - mtimeNanoseconds : mtimeNanoseconds;
  const fraction = String(nanoseconds).padStart(9, "0").replace(/0+$/, "");
  return `${isBefore ? "-" : ""}${seconds}.${fraction}`;
}
