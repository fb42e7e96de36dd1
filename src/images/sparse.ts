/** Sparse files in tar archives: GNU tar's manual, "Storing Sparse Files", all four formats. */
import { decodeBytes } from "../ffi/bytes.ts";
import type { PaxRecords } from "./pax.ts";
import { BLOCK, parseNumber, TarError } from "./tar_header.ts";

/** One run of data within a sparse file; the rest are holes. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** Where the data of the file goes, and how long the file is. */
export interface SparseMap {
  readonly segments: readonly Segment[];
  /** The size of the file, holes included. */
  readonly size: number;
}

/** Segments that are read at most: 16 MB of memory. GNU tar makes one for each run of data. */
const SEGMENT_LIMIT = 1_000_000;

const bad = (at: number) =>
  new TarError(`the tar archive is damaged: bad sparse map at byte ${at}`);

/**
 * Judges a map: in order, without overlap, inside the file, and exactly the data that is there.
 * @param stored bytes of data in the archive
 * @throws {TarError}
 */
export function checkSparse(map: SparseMap, stored: number, at: number): SparseMap {
  let end = 0;
  let total = 0;
  for (const { offset, length } of map.segments) {
    if (offset < end || length < 0) throw bad(at);
    end = offset + length;
    total += length;
  }
  if (!Number.isSafeInteger(end) || end > map.size || total !== stored) throw bad(at);
  return map;
}

/** Pairs in a header: 12 bytes offset, 12 bytes length; an empty one ends the list. */
function readPairs(block: Uint8Array, start: number, count: number, into: Segment[], at: number) {
  for (let i = 0; i < count; i++) {
    const from = start + i * 24;
    if (block[from] === 0) return;
    const offset = parseNumber(block.subarray(from, from + 12), "sparse map", at);
    const length = parseNumber(block.subarray(from + 12, from + 24), "sparse map", at);
    into.push({ offset, length });
  }
}

/** The old GNU format (type S): four pairs in the header, then blocks of 21 while a flag says so. */
export class OldGnuSparse {
  readonly segments: Segment[] = [];
  readonly size: number;
  /** More of the map follows in the next block. */
  extended: boolean;

  constructor(
    header: Uint8Array,
    private readonly at: number,
  ) {
    readPairs(header, 386, 4, this.segments, at);
    this.extended = header[482] !== 0;
    this.size = parseNumber(header.subarray(483, 495), "sparse size", at);
  }

  /** Takes the next block of the map. */
  add(block: Uint8Array): void {
    readPairs(block, 0, 21, this.segments, this.at);
    if (this.segments.length > SEGMENT_LIMIT) throw bad(this.at);
    this.extended = block[504] !== 0;
  }
}

function fromNumbers(numbers: readonly number[], at: number): Segment[] {
  const segments: Segment[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    const offset = numbers[i];
    const length = numbers[i + 1];
    if (offset === undefined || length === undefined) throw bad(at);
    segments.push({ offset, length });
  }
  if (segments.length > SEGMENT_LIMIT) throw bad(at);
  return segments;
}

function decimal(text: string, at: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw bad(at);
  return value;
}

/** The map of the PAX formats 0.0 (repeated records) and 0.1 (one record), or undefined. */
export function paxSparseSegments(records: PaxRecords, at: number): Segment[] | undefined {
  const map = records.findLast(([key]) => key === "GNU.sparse.map");
  if (map !== undefined) {
    const text = decodeBytes(map[1]);
    return fromNumbers(text === "" ? [] : text.split(",").map((item) => decimal(item, at)), at);
  }
  const pairs = records.filter(
    ([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes",
  );
  if (pairs.length === 0) return undefined;
  pairs.forEach(([key], index) => {
    if (key !== (index % 2 === 0 ? "GNU.sparse.offset" : "GNU.sparse.numbytes")) throw bad(at);
  });
  return fromNumbers(
    pairs.map(([, value]) => decimal(decodeBytes(value), at)),
    at,
  );
}

/** The PAX format 1.0: the map is decimal lines before the data, filled up to a whole block. */
export class PaxSparseReader {
  private count: number | undefined;
  private readonly numbers: number[] = [];
  private digits = "";

  constructor(private readonly at: number) {}

  /** Takes the next block of the map. @returns the segments when that was the last */
  add(block: Uint8Array): Segment[] | undefined {
    for (let i = 0; i < BLOCK; i++) {
      const byte = block[i] as number;
      if (byte !== 0x0a) {
        if (this.digits.length > 20) throw bad(this.at);
        this.digits += String.fromCharCode(byte);
        continue;
      }
      const value = decimal(this.digits, this.at);
      this.digits = "";
      if (this.count === undefined) {
        if (value > SEGMENT_LIMIT) throw bad(this.at);
        this.count = value;
      } else this.numbers.push(value);
      if (this.numbers.length === this.count * 2) return fromNumbers(this.numbers, this.at);
    }
    return undefined;
  }
}
