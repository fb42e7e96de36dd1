/** Compares an unpacked layer with what its tar says. */
import { close, O, open } from "../linux/fd.ts";
import { getXattrOf } from "../linux/xattr.ts";
import { ContentDigest, type ExpectedNode, type ExpectedTree } from "./expected_tree.ts";
import { OPAQUE_XATTR, OVERLAY_XATTR } from "./metadata.ts";
import type { TarEntry, TarSink } from "./tar_entry.ts";
import { quoteName } from "./tar_header.ts";
import { finishSteps, TreeReader } from "./tree_reader.ts";

/** Labels of this machine, and what a file system may not have taken. */
const NOT_COMPARED = /^(?:security\.(?:selinux|ima|evm)|system\..*)$/;
/** Seconds that every file system has; others are cut off. */
const TIMES = [-(2 ** 31), 2 ** 31] as const;

/**
 * What is not as it should be, a line each.
 * @param diff the layer's directory
 * @throws {MydockerError} for what cannot be read
 */
export function compareTree(diff: string, expected: ExpectedTree): string[] {
  const fd = open(diff, O.O_PATH | O.O_DIRECTORY | O.O_NOFOLLOW);
  try {
    const comparison = new Comparison(expected);
    const reader = new TreeReader(comparison, {
      select: ({ fd: found, path }) => comparison.expects(found, path),
    });
    finishSteps(reader.readItem(fd, ""));
    return comparison.finish();
  } finally {
    close(fd);
  }
}

class Comparison implements TarSink {
  readonly #found: string[] = [];
  /** Paths that were not seen yet. */
  readonly #missing: Set<string>;
  readonly #names = new Map<ExpectedNode, string>();
  #file: { path: string; node: ExpectedNode; digest: ContentDigest } | undefined;

  constructor(private readonly expected: ExpectedTree) {
    this.#missing = new Set(expected.nodes.keys());
  }

  /** @returns false for what should not be there: what is in it should not, either */
  expects(fd: number, path: string): boolean {
    this.#missing.delete(path);
    const node = this.expected.nodes.get(path);
    if (node === undefined) {
      this.#note(path, "is not in its archive");
      return false;
    }
    const isOpaque = node.kind === "directory" && getXattrOf(fd, OPAQUE_XATTR)?.[0] === 0x79;
    if (isOpaque !== node.isOpaque)
      this.#note(path, isOpaque ? "hides what is below it" : "does not hide what is below it");
    return true;
  }

  entry(found: TarEntry): void {
    const path = found.path.replace(/\/$/, "");
    const node = this.expected.nodes.get(path);
    if (node === undefined) return;
    const first = this.#names.get(node);
    if (found.type === "hardlink") {
      if (this.expected.nodes.get(found.linkTarget) !== node)
        this.#note(path, `is a hard link to ${quoteName(found.linkTarget)}`);
      return;
    }
    if (first === undefined) this.#names.set(node, path);
    else this.#note(path, `is no hard link to ${quoteName(first)}`);
    const difference = differenceOf(node, found);
    if (difference !== undefined) this.#note(path, difference);
    else if (found.type === "file") this.#file = { path, node, digest: new ContentDigest() };
  }

  data(bytes: Uint8Array, offset: number): void {
    this.#file?.digest.add(bytes, offset);
  }

  endFile(): void {
    if (this.#file === undefined) return;
    const { path, node, digest } = this.#file;
    this.#file = undefined;
    if (digest.end() !== node.content) this.#note(path, "has another content");
  }

  finish(): string[] {
    for (const path of this.#missing)
      if (!this.#missing.has(path.slice(0, Math.max(0, path.lastIndexOf("/")))) || path === "")
        this.#note(path, "is missing");
    return this.#found;
  }

  #note(path: string, what: string): void {
    this.#found.push(`${quoteName(path === "" ? "/" : path)} ${what}`);
  }
}

function differenceOf(node: ExpectedNode, found: TarEntry): string | undefined {
  const { entry, kind } = node;
  const type = kind === "directory" ? "directory" : kind === "whiteout" ? "character" : entry?.type;
  if (found.type !== type) return `is a ${found.type}, and not a ${type}`;
  if (kind === "whiteout")
    return found.devMajor === 0 && found.devMinor === 0 ? undefined : "is a device";
  if (entry === undefined) return undefined;
  if (found.linkTarget !== entry.linkTarget) return `leads to ${quoteName(found.linkTarget)}`;
  if (type === "file" && found.size !== entry.size)
    return `has ${found.size} bytes, and not ${entry.size}`;
  const isDevice = type === "character" || type === "block";
  if (isDevice && (found.devMajor !== entry.devMajor || found.devMinor !== entry.devMinor))
    return "is another device";
  if (found.uid !== entry.uid || found.gid !== entry.gid)
    return `belongs to ${found.uid}:${found.gid}, and not to ${entry.uid}:${entry.gid}`;
  if (type !== "symlink" && found.mode !== entry.mode)
    return `has the mode ${found.mode.toString(8)}, and not ${entry.mode.toString(8)}`;
  const isKept = entry.mtime > TIMES[0] && entry.mtime < TIMES[1];
  if (isKept && (found.mtime !== entry.mtime || found.mtimeNanoseconds !== entry.mtimeNanoseconds))
    return "was changed at another time";
  return type === "file" || type === "directory" ? xattrDifference(entry, found) : undefined;
}

function xattrDifference(entry: TarEntry, found: TarEntry): string | undefined {
  const relevant = (name: string) => !NOT_COMPARED.test(name) && !OVERLAY_XATTR.test(name);
  const has = new Map(found.xattrs);
  for (const [name, value] of entry.xattrs) {
    const own = has.get(name);
    has.delete(name);
    if (relevant(name) && (own === undefined || Buffer.compare(own, value) !== 0))
      return `has another attribute ${quoteName(name)}`;
  }
  const more = [...has.keys()].find(relevant);
  return more === undefined ? undefined : `has an attribute ${quoteName(more)}`;
}
