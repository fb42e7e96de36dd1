/** What a tar reader tells of an archive, and how much of it there may be. */

/** Kinds of members, whatever letter the format has for them. */
export type TarEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character"
  | "block"
  | "fifo";

/** A member of an archive, every extension applied. Nothing about it is trusted. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As written: absolute, with `..`, with a trailing slash. */
  readonly path: string;
  readonly linkTarget: string;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** seconds since 1970 */
  readonly mtime: number;
  readonly mtimeNanoseconds: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: readonly (readonly [name: string, value: Uint8Array])[];
}

/** Whom the reader tells what it finds. Files get `data` in ascending order of offsets, then `endFile`. */
export interface TarSink {
  entry(entry: TarEntry): void;
  data(bytes: Uint8Array, offset: number): void;
  endFile(): void;
}

/** How much an archive may make us keep. */
export interface TarLimits {
  /** Headers of any kind. */
  readonly headers: number;
  /** Bytes of one PAX or long-name header. */
  readonly headerBytes: number;
}

/** A full desktop has half a million files; Go, too, reads headers of a megabyte at most. */
export const TAR_LIMITS: TarLimits = { headers: 2_000_000, headerBytes: 1 << 20 };
