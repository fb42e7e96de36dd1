/**
 * A writer for POSIX ustar archives (pax(1), "ustar Interchange Format") whose output depends on
 * nothing but its entries: sorted by path, owned by root, one time stamp for all.
 */

export type TarEntry =
  | { readonly type: "directory"; readonly path: string; readonly mode: number }
  | {
      readonly type: "file";
      readonly path: string;
      readonly mode: number;
      readonly content: Uint8Array | string;
    }
  | { readonly type: "symlink"; readonly path: string; readonly target: string };

const BLOCK = 512;

/** Offset and length of each header field, from pax(1). */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  chksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [offset: number, length: number]>;

type Field = keyof typeof FIELDS;

const TYPE_FLAGS = { file: "0", symlink: "2", directory: "5" } as const;

const encoder = new TextEncoder();

/**
 * Writes entries as one archive.
 *
 * @param entries Paths are relative, without a leading or trailing slash; the order is irrelevant.
 * @param mtime Seconds since the epoch, for every entry.
 * @throws {RangeError} If a path, link target, size or time does not fit into a ustar header.
 * @throws {Error} If a path occurs twice, or its parent is not an entry.
 */
export function writeTar(entries: readonly TarEntry[], mtime: number): Uint8Array {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  checkPaths(sorted);
  const chunks: Uint8Array[] = [];
  for (const entry of sorted) {
    const content = entry.type === "file" ? toBytes(entry.content) : new Uint8Array(0);
    chunks.push(header(entry, content.length, mtime), content);
    chunks.push(new Uint8Array(-content.length & (BLOCK - 1)));
  }
  chunks.push(new Uint8Array(2 * BLOCK));
  return concat(chunks);
}

function checkPaths(sorted: readonly TarEntry[]): void {
  const directories = new Set<string>([""]);
  let previous: string | undefined;
  for (const { path, type } of sorted) {
    if (path === previous) throw new Error(`tar: ${path} is there twice`);
    if (path === "" || path.split("/").some((part) => part === "" || part === "..")) {
      throw new Error(`tar: ${JSON.stringify(path)} is no clean relative path`);
    }
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (!directories.has(parent)) throw new Error(`tar: ${path} has no parent directory entry`);
    if (type === "directory") directories.add(path);
    previous = path;
  }
}

function header(entry: TarEntry, size: number, mtime: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const path = entry.type === "directory" ? `${entry.path}/` : entry.path;
  const { prefix, name } = splitPath(path);
  putText(block, "name", name);
  putText(block, "prefix", prefix);
  putOctal(block, "mode", entry.type === "symlink" ? 0o777 : entry.mode);
  putOctal(block, "uid", 0);
  putOctal(block, "gid", 0);
  putOctal(block, "size", size);
  putOctal(block, "mtime", mtime);
  putText(block, "typeflag", TYPE_FLAGS[entry.type]);
  if (entry.type === "symlink") putText(block, "linkname", entry.target);
  putText(block, "magic", "ustar");
  putText(block, "version", "00");
  putOctal(block, "devmajor", 0);
  putOctal(block, "devminor", 0);
  putChecksum(block);
  return block;
}

/** A path over 100 bytes is split at a slash into `prefix` and `name`. */
function splitPath(path: string): { prefix: string; name: string } {
  if (encoder.encode(path).length <= FIELDS.name[1]) return { prefix: "", name: path };
  for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
    const prefix = path.slice(0, slash);
    const name = path.slice(slash + 1);
    if (name !== "" && encoder.encode(name).length <= FIELDS.name[1]) return { prefix, name };
  }
  throw new RangeError(`tar: ${path} is too long for ustar`);
}

function putText(block: Uint8Array, field: Field, text: string): void {
  const [offset, length] = FIELDS[field];
  const bytes = encoder.encode(text);
  if (bytes.length > length) throw new RangeError(`tar: ${text} is too long for ${field}`);
  block.set(bytes, offset);
}

/** Octal digits that fill the field up to one NUL. */
function putOctal(block: Uint8Array, field: Field, value: number): void {
  const digits = FIELDS[field][1] - 1;
  const text = value.toString(8).padStart(digits, "0");
  if (!Number.isInteger(value) || value < 0 || text.length > digits) {
    throw new RangeError(`tar: ${value} does not fit into ${field}`);
  }
  putText(block, field, text);
}

/** The sum of all header bytes, the checksum field itself taken as spaces. */
function putChecksum(block: Uint8Array): void {
  putText(block, "chksum", "        ");
  const sum = block.reduce((total, byte) => total + byte, 0);
  putText(block, "chksum", `${sum.toString(8).padStart(6, "0")}\0 `);
}

function toBytes(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? encoder.encode(content) : content;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
