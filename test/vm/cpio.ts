/** Archives in the kernel's format (Documentation/driver-api/early-userspace/buffer-format.rst). */

/** A file, or a directory without content. */
export interface ArchiveEntry {
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

/** The archive of these entries. */
export function cpio(entries: readonly ArchiveEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const padded = (bytes: Uint8Array) => {
    parts.push(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
  };
  const end = { name: "TRAILER!!!", mode: 0, content: new Uint8Array(0) };
  [...entries, end].forEach(({ name, mode, content }, index) => {
    const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = fields.map((value) => value.toString(16).padStart(8, "0")).join("");
    padded(new TextEncoder().encode(`070701${header}${name}\0`));
    padded(content);
  });
  return Buffer.concat(parts);
}
