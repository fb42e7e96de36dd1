/** What changes the header after it: PAX records, for one member or all that follow, and GNU's long names. */
import { type PaxRecords, parsePax, paxInteger, paxPath, paxTime } from "./pax.ts";
import { BLOCK, type RawHeader, TarError } from "./tar_header.ts";

/** PAX for the next member, PAX for all that follow, Solaris' PAX, GNU long link target, GNU long name. */
const TYPES = "xgXKL";
const XATTR = "SCHILY.xattr.";
/** True for a header that only says something of another one. */
export function isExtension(type: string): boolean {
  return TYPES.includes(type);
}

/** Collects extensions, and applies them to the member that they are for. */
export class TarExtensions {
  private current: { type: string; bytes: Uint8Array; filled: number } | undefined;
  private global: PaxRecords = [];
  private next: PaxRecords = [];
  private longPath: string | undefined;
  private longLink: string | undefined;
  /** Of the member that {@link apply} was last called for. */
  records: PaxRecords = [];
  private at = 0;

  /** @param limit bytes of one header at most */
  constructor(private readonly limit: number) {}

  /** There is something for a member that has not come. */
  get pending(): boolean {
    return this.next.length > 0 || this.longPath !== undefined || this.longLink !== undefined;
  }

  /** Begins with a header. @returns whether its content follows */
  begin(raw: RawHeader, at: number): boolean {
    if (raw.size > this.limit)
      throw new TarError(
        `the tar archive has a header of ${raw.size} bytes at byte ${at}; the limit is ${this.limit}`,
      );
    this.at = at;
    this.current = { type: raw.type, bytes: new Uint8Array(raw.size), filled: 0 };
    if (raw.size === 0) this.finish();
    return raw.size > 0;
  }

  /** Takes a block of its content. @returns whether more follows */
  add(block: Uint8Array): boolean {
    const current = this.current as { bytes: Uint8Array; filled: number };
    const count = Math.min(BLOCK, current.bytes.length - current.filled);
    current.bytes.set(block.subarray(0, count), current.filled);
    current.filled += count;
    if (current.filled < current.bytes.length) return true;
    this.finish();
    return false;
  }

  private finish(): void {
    const { type, bytes } = this.current as { type: string; bytes: Uint8Array };
    this.current = undefined;
    if (type === "x" || type === "X") this.next = parsePax(bytes, this.at);
    else if (type === "g") this.addGlobal(parsePax(bytes, this.at));
    else {
      const nul = bytes.indexOf(0);
      const path = paxPath(nul === -1 ? bytes : bytes.subarray(0, nul), "long name", this.at);
      if (type === "L") this.longPath = path;
      else this.longLink = path;
    }
  }

  /** Keeps one record of each keyword, and no more bytes than one header may have. */
  private addGlobal(records: PaxRecords): void {
    this.global = [...new Map([...this.global, ...records])];
    const size = this.global.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (size > this.limit)
      throw new TarError(
        `the tar archive has global headers of more than ${this.limit} bytes at byte ${this.at}`,
      );
  }

  /** The header with what was said of it; that is used up. */
  apply(header: RawHeader, at: number): RawHeader {
    this.at = at;
    this.records = this.next;
    this.next = [];
    const path = this.record("path");
    const link = this.record("linkpath");
    const { longPath, longLink } = this;
    this.longPath = undefined;
    this.longLink = undefined;
    return {
      ...header,
      path: path === undefined ? (longPath ?? header.path) : paxPath(path, "path", at),
      linkTarget:
        link === undefined ? (longLink ?? header.linkTarget) : paxPath(link, "linkpath", at),
      uid: this.integer("uid") ?? header.uid,
      gid: this.integer("gid") ?? header.gid,
      size: this.integer("size") ?? header.size,
    };
  }

  /** The last value of a keyword; a member's own record hides the global one, an empty one both. */
  record(key: string): Uint8Array | undefined {
    const value =
      this.records.findLast(([name]) => name === key)?.[1] ??
      this.global.findLast(([name]) => name === key)?.[1];
    return value?.length === 0 ? undefined : value;
  }

  integer(key: string): number | undefined {
    const value = this.record(key);
    return value === undefined ? undefined : paxInteger(value, key, this.at);
  }

  /** The size of a sparse file, holes included, if it is one. */
  sparseSize(): number | undefined {
    return this.integer("GNU.sparse.realsize") ?? this.integer("GNU.sparse.size");
  }

  /** The name of a sparse file, whose header has a made-up one. */
  sparseName(): string | undefined {
    const name = this.record("GNU.sparse.name");
    return name === undefined ? undefined : paxPath(name, "GNU.sparse.name", this.at);
  }

  mtime(): { seconds: number; nanoseconds: number } | undefined {
    const time = this.record("mtime");
    return time === undefined ? undefined : paxTime(time, "mtime", this.at);
  }

  xattrs(): (readonly [name: string, value: Uint8Array])[] {
    if (this.records.length === 0 && this.global.length === 0) return [];
    const found = new Map<string, Uint8Array>();
    for (const [key, value] of [...this.global, ...this.records]) {
      if (!key.startsWith(XATTR)) continue;
      if (key.length === XATTR.length || key.includes("\0"))
        throw new TarError(
          `the tar archive is damaged: bad name of an extended attribute at byte ${this.at}`,
        );
      found.set(key.slice(XATTR.length), value);
    }
    return [...found];
  }
}
